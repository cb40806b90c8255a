"""Which partitions a filter can find rows in, decided by Arrow's own simplification of expressions.

What is known of all rows of a partition ("symbol is IBM, ts from 14:30 to 14:45") is a guarantee. If Arrow
can reduce the filter under it to false, no row passes, and the partition need not be read. Only what Arrow
proves is left out, so a filter that nobody here foresaw can make a query read too much, never too little.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from functools import cached_property, reduce
from operator import and_
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.fs

from ticktrail.clock import NS_PER_US
from ticktrail.store import SpanNs

__all__ = ["Filter", "equal", "within"]

# A span of time is cut at no more than so many of the filter's constants.
_CUTS_MAX = 200
# What Arrow writes like calls, and all that DuckDB makes of comparisons, IN, BETWEEN and NULL.
_COMPARISONS = {"if_else", "invert", "is_in", "is_null", "is_valid"}
_NS_OF_UNIT = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
_TS = pa.timestamp("us", tz="UTC")

# Fragments are never opened: they only carry guarantees.
_FORMAT = ds.IpcFileFormat()
_NOWHERE = pyarrow.fs.LocalFileSystem()


class Filter:
    """A filter on the rows of a table.

    Parameters
    ----------
    expression
        An Arrow expression, or None for all rows.
    schema
        Of the table.
    """

    def __init__(self, expression: Any, schema: Any) -> None:
        self.expression = expression
        self._schema = schema

    def can_pass(self, guarantees: Sequence[Any]) -> list[bool]:
        """Tell for each guarantee whether rows that fulfil it may pass the filter."""
        if self.expression is None or not guarantees:
            return [True] * len(guarantees)
        dataset = ds.FileSystemDataset.from_paths(
            [str(index) for index in range(len(guarantees))],
            schema=self._schema,
            format=_FORMAT,
            filesystem=_NOWHERE,
            partitions=list(guarantees),
        )
        passing = {int(fragment.path) for fragment in dataset.get_fragments(filter=self.expression)}
        return [index in passing for index in range(len(guarantees))]

    def apply(self, batch: Any) -> Any:
        """Keep the rows that pass."""
        return batch if self.expression is None else batch.filter(self.expression)

    def columns_for(self, columns: Sequence[str]) -> list[str]:
        """Name the columns that must be read: those asked for, and those that the filter looks at."""
        return [name for name in self._schema.names if name in columns or self.looks_at(name)]

    def looks_at(self, word: str) -> bool:
        """Tell whether the filter may look at a column, or may join conditions by a word."""
        # Arrow tells what an expression is made of in its text only. What is found there and is but a part
        # of some constant costs time, nothing else.
        return word in self._words

    @cached_property
    def is_bounded(self) -> bool:
        """Whether symbols are bounded on both sides, or times below: whether less than all is asked for.

        Found by way of rows that cannot exist: before or behind all symbols named, long before any venue.
        """
        past = {
            "day": pa.scalar(date(1, 1, 1)),
            "ts": pa.scalar(datetime(1, 1, 1, tzinfo=UTC), _TS),
            "ts_event_ns": pa.scalar(-(1 << 63)),
        }
        long_ago = reduce(and_, [equal(n, v) for n, v in past.items() if n in self._schema.names])
        others = self._symbols_between
        probes = [equal("symbol", symbol) & long_ago for symbol in (others[0], others[-1])]
        return not any(self.can_pass(probes))

    @cached_property
    def symbols(self) -> list[str] | None:
        """The symbols that can pass; None if they cannot be listed.

        A filter that does nothing with symbols but compare them with constants treats all symbols between two
        neighbouring constants alike, so that one of them answers for all.
        """
        if not self._only_compares or any(self._symbols_can_pass(self._symbols_between)):
            return None
        named = self._texts
        return [symbol for symbol, passes in zip(named, self._symbols_can_pass(named), strict=True) if passes]

    def cuts_ns(self, span_ns: SpanNs) -> list[int]:
        """List the times at which the filter may change its mind inside a span, with the span's ends."""
        inside = [cut for cut in self._times_ns if span_ns[0] < cut < span_ns[1]]
        return [span_ns[0], *(inside if len(inside) <= _CUTS_MAX else ()), span_ns[1]]

    def _symbols_can_pass(self, symbols: list[str]) -> list[bool]:
        return self.can_pass([equal("symbol", symbol) for symbol in symbols])

    @property
    def _symbols_between(self) -> list[str]:
        """One text before, between and behind all texts that the filter names, where there is any."""
        named = self._texts
        successors = [text + "\0" for text in named]
        return [text for text in ["", *successors] if text not in named] or [successors[-1]]

    @cached_property
    def _words(self) -> frozenset[str]:
        return frozenset(re.findall(r"\w+", str(self.expression)))

    @cached_property
    def _only_compares(self) -> bool:
        calls = set(re.findall(r"(\w+)\(", str(self.expression)))
        return calls <= _COMPARISONS and None not in self._constants

    @cached_property
    def _texts(self) -> list[str]:
        return sorted({c for c in self._constants if isinstance(c, str)}, key=str.encode)

    @cached_property
    def _times_ns(self) -> list[int]:
        return sorted({c for c in self._constants if isinstance(c, int)})

    @cached_property
    def _constants(self) -> list[str | int | None]:
        """All texts and times that the filter names; None for something that may hold more of them.

        Arrow shows them nowhere but in its serialised form, a record batch that has them in its columns.
        """
        if self.expression is None:
            return []
        _, (buffer, *_) = self.expression.__reduce__()
        batch = pa.ipc.open_file(buffer).get_batch(0)
        return [constant for column in batch.columns for constant in _constants_in(column)]


def equal(name: str, value: Any) -> Any:
    """Guarantee that a column has one value."""
    return pc.field(name) == value


def within(span_ns: SpanNs, names: Sequence[str]) -> Any:
    """Guarantee that event times lie in a span, for those of the columns that are there."""
    first_ns, end_ns = span_ns
    ts, ts_event_ns = pc.field("ts"), pc.field("ts_event_ns")
    first, last = (pa.scalar(ns // NS_PER_US, pa.int64()).cast(_TS) for ns in (first_ns, end_ns - 1))
    guarantee = (ts >= first) & (ts <= last)
    if "ts_event_ns" in names:
        guarantee &= (ts_event_ns >= first_ns) & (ts_event_ns < end_ns)
    return guarantee


def _constants_in(column: Any) -> Iterator[str | int | None]:
    kind = pa.types
    if kind.is_struct(column.type):
        for field in column.flatten():
            yield from _constants_in(field)
    elif kind.is_list(column.type):
        yield from _constants_in(column.flatten())
    elif kind.is_string(column.type) or kind.is_large_string(column.type) or kind.is_string_view(column.type):
        yield from column.drop_null().to_pylist()
    elif kind.is_timestamp(column.type):
        unit_ns = _NS_OF_UNIT[column.type.unit]
        for ticks in column.view(pa.int64()).drop_null().to_pylist():
            # A comparison changes its mind at the constant or right behind it.
            yield from (ticks * unit_ns, ticks * unit_ns + NS_PER_US)
    elif kind.is_int64(column.type):
        for ns in column.drop_null().to_pylist():
            yield from (ns, ns + 1)
    elif not (kind.is_primitive(column.type) or kind.is_null(column.type) or kind.is_binary(column.type)):
        yield None
