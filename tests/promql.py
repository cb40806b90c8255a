"""Which metrics a PromQL expression reads, and how: as much of the grammar as our rules and panels use.

What is not understood is an error, so that nothing goes unchecked.

Source: https://prometheus.io/docs/prometheus/latest/querying/basics/ and …/operators/, read in November 2026.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

__all__ = ["Expression", "Selector", "parse"]

_TOKEN = re.compile(
    r"""\s*(?:
    (?P<text>"(?:[^"\\]|\\.)*")
    | (?P<duration>\[(?:\d+(?:ms|[smhd])|\$__rate_interval)\])
    | (?P<number>\d+(?:\.\d+)?(?![\w.]))
    | (?P<offset>offset\s+\d+[smhd])
    | (?P<name>[a-zA-Z_:][\w:]*)
    | (?P<mark>[<>=!]=|=~|!~|[-+*/<>=(){},])
    )""",
    re.VERBOSE,
)
_AGGREGATIONS = {"sum", "max", "min", "avg", "count"}
_FUNCTIONS = {"rate", "increase", "deriv", "histogram_quantile"}
_OPERATORS = {"and", "or", "unless"}


@dataclass(frozen=True, kw_only=True)
class Selector:
    """One metric as it is read.

    Parameters
    ----------
    matchers
        Label → the text that it is compared with.
    functions
        Those around it, aggregations as well, the outermost first.
    is_range
        Whether a duration follows, ``[5m]``.
    """

    name: str
    matchers: dict[str, str]
    functions: tuple[str, ...]
    is_range: bool

    @property
    def is_aggregated(self) -> bool:
        """Whether its labels are gone from the result, except those of ``by``."""
        return not _AGGREGATIONS.isdisjoint(self.functions)


@dataclass(kw_only=True)
class Expression:
    """What an expression reads.

    Parameters
    ----------
    by, on
        The labels of all ``by (…)`` and of all ``on (…)``.
    """

    selectors: list[Selector] = field(default_factory=list)
    by: set[str] = field(default_factory=set)
    on: set[str] = field(default_factory=set)


def parse(text: str) -> Expression:
    """Read an expression.

    Raises
    ------
    ValueError
        It is none, or uses what is not known here.
    """
    return _Reader(text).read()


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens: list[tuple[str, str]] = []
        position = 0
        while position < len(text.rstrip()):
            found = _TOKEN.match(text, position)
            if found is None or found.lastgroup is None:
                raise self._error(f"at {text[position : position + 20]!r}")
            self._tokens.append((found.lastgroup, found[found.lastgroup]))
            position = found.end()
        self._at = 0

    def _error(self, what: str) -> ValueError:
        return ValueError(f"not understood: {what} in {self._text!r}")

    def _peek(self) -> str:
        return self._tokens[self._at][1] if self._at < len(self._tokens) else ""

    def _next(self, *wanted: str) -> str:
        kind, token = self._tokens[self._at] if self._at < len(self._tokens) else ("", "")
        if not token or (wanted and token not in wanted and kind not in wanted):
            raise self._error(f"{token!r} where {wanted} is due")
        self._at += 1
        return token

    def read(self) -> Expression:
        result = Expression()
        stack: list[str] = []  # a function's name, or nothing, per open parenthesis
        while self._at < len(self._tokens):
            kind, token = self._tokens[self._at]
            self._at += 1
            if token == "(":
                stack.append("")
            elif token == ")":
                if not stack:
                    raise self._error("a parenthesis too many")
                stack.pop()
            elif token == "on":
                result.on.update(self._labels())
            elif token in _AGGREGATIONS:
                if self._peek() == "by":
                    self._next()
                    result.by.update(self._labels())
                self._next("(")
                stack.append(token)
            elif self._peek() == "(" and token in _FUNCTIONS:
                self._next()
                stack.append(token)
            elif kind == "name" and token not in _OPERATORS:
                result.selectors.append(self._selector(token, stack))
            elif kind in ("text", "duration") or token in ("{", "}", "="):
                raise self._error(f"{token!r} out of place")
        if stack:
            raise self._error("a parenthesis too few")
        return result

    def _labels(self) -> list[str]:
        self._next("(")
        labels = []
        while self._peek() != ")":
            labels.append(self._next("name"))
            if self._peek() == ",":
                self._next()
        self._next(")")
        return labels

    def _selector(self, name: str, stack: list[str]) -> Selector:
        matchers = {}
        if self._peek() == "(":
            raise self._error(f"the function {name}")
        if self._peek() == "{":
            self._next()
            while self._peek() != "}":
                label = self._next("name")
                self._next("=", "!=", "=~", "!~")
                matchers[label] = self._next("text")[1:-1]
                if self._peek() == ",":
                    self._next()
            self._next("}")
        is_range = self._peek().startswith("[")
        if is_range:
            self._next()
        functions = tuple(function for function in stack if function)
        return Selector(name=name, matchers=matchers, functions=functions, is_range=is_range)
