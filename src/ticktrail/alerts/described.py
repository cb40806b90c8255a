"""The kinds of rules as data, for forms: what each takes, in which unit, and what is said of it."""

from __future__ import annotations

import inspect
import re
from typing import Any

import msgspec
from msgspec.inspect import (
    Field,
    FloatType,
    IntType,
    LiteralType,
    StructType,
    Type,
    UnionType,
    VarTupleType,
    type_info,
)

from ticktrail.alerts.kinds import KINDS, Params

__all__ = ["described_kinds"]

_UNITS = {
    "percent": "%",
    "by_percent": "%",
    "window_s": "s",
    "seconds": "s",
    "seconds_min": "s",
    "at_least_ms": "ms",
    "sigmas": "σ",
    "times": "×",
    "days": "days",
    "days_min": "days",
}
# "name, other" on a line of its own, and below it, indented, what they are.
_PARAMETERS = re.compile(r"^([a-z_, ]+)\n((?:    .*\n?)+)", re.MULTILINE)


def described_kinds() -> list[dict[str, Any]]:
    """Describe every kind.

    Returns
    -------
    For each ``kind``, ``note``, ``source`` (the records that it looks at), ``unit`` of its value, and
    ``params``: ``name``, ``kind`` (number, text, choice or list), ``unit``, ``choices``, ``default``,
    ``is_required``, ``note``.
    """
    return [
        {
            "kind": name,
            "note": kind.note or _doc(kind.params).partition("\n")[0],
            "source": kind.source,
            "unit": kind.unit,
            "params": _params(kind.params),
        }
        for name, kind in KINDS.items()
    ]


def _params(params: type[Params]) -> list[dict[str, Any]]:
    info = type_info(params)
    assert isinstance(info, StructType)
    notes = {
        name: " ".join(text.split())
        for names, text in _PARAMETERS.findall(_doc(params))
        for name in names.split(", ")
    }
    return [_param(field, notes.get(field.name, "")) for field in info.fields]


def _param(field: Field, note: str) -> dict[str, Any]:
    of = field.type
    is_optional = isinstance(of, UnionType) and of.includes_none
    if isinstance(of, UnionType):
        (of,) = [each for each in of.types if not isinstance(each, msgspec.inspect.NoneType)]
    return {
        "name": field.name,
        "kind": _kind(of),
        "unit": _UNITS.get(field.name, ""),
        "choices": list(of.values) if isinstance(of, LiteralType) else [],
        "default": None if field.required or is_optional else msgspec.to_builtins(field.default),
        "is_required": field.required,
        "note": note,
    }


def _kind(of: Type) -> str:
    if isinstance(of, FloatType | IntType):
        return "number"
    if isinstance(of, VarTupleType):
        return "list"
    return "choice" if isinstance(of, LiteralType) else "text"


def _doc(of: type[Params]) -> str:
    """Give a docstring without its marks of code and stress."""
    return (inspect.getdoc(of) or "").replace("`", "").replace("*", "")
