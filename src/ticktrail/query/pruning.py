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
from itertools import pairwise
from operator import and_
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.fs

from ticktrail.clock import NS_PER_US
from ticktrail.store import SpanNs

__all__ = ["Filter", "equal", "within"]

# The constants of a filter are sorted into these; a span is cut at no more than so many of them.
_CUTS_MAX = 200
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
        # Arrow tells an expression's columns only in its text. A name found there that is none, in a
        # constant, costs a column too many.
        words = set(re.findall(r"\w+", str(self.expression)))
        return [name for name in self._schema.names if name in columns or name in words]

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
        gaps = self._gaps_between_symbols
        return not any(self.can_pass([long_ago & gaps[0], long_ago & gaps[-1]]))

    @cached_property
    def symbols(self) -> list[str] | None:
        """The symbols that can pass; None if they cannot be listed."""
        if any(self.can_pass(self._gaps_between_symbols)):
            return None
        candidates = self._texts
        passing = self.can_pass([equal("symbol", text) for text in candidates])
        return [text for text, passes in zip(candidates, passing, strict=True) if passes]

    def cuts_ns(self, span_ns: SpanNs) -> list[int]:
        """List the times at which the filter may change its mind inside a span, with the span's ends."""
        inside = [cut for cut in self._times_ns if span_ns[0] < cut < span_ns[1]]
        return [span_ns[0], *(inside if len(inside) <= _CUTS_MAX else ()), span_ns[1]]

    @property
    def _gaps_between_symbols(self) -> list[Any]:
        """All symbols but those that the filter names, as guarantees."""
        symbol, texts = pc.field("symbol"), self._texts
        if not texts:
            return [symbol >= ""]
        inner = [(symbol > low) & (symbol < high) for low, high in pairwise(texts)]
        return [symbol < texts[0], *inner, symbol > texts[-1]]

    @cached_property
    def _texts(self) -> list[str]:
        return sorted({c for c in self._constants if isinstance(c, str)}, key=str.encode)

    @cached_property
    def _times_ns(self) -> list[int]:
        return sorted({c for c in self._constants if isinstance(c, int)})

    @cached_property
    def _constants(self) -> list[str | int]:
        """The filter's texts and times. They only suggest where to probe; no answer relies on them.

        Arrow shows them nowhere but in its serialised form, a record batch that holds them as columns.
        """
        if self.expression is None:
            return []
        try:
            _, (buffer, *_) = self.expression.__reduce__()
            batch = pa.ipc.open_file(buffer).get_batch(0)
        except (pa.ArrowInvalid, TypeError, ValueError):
            return []
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


def _constants_in(column: Any) -> Iterator[str | int]:
    if pa.types.is_struct(column.type):
        for field in column.flatten():
            yield from _constants_in(field)
    elif pa.types.is_list(column.type):
        yield from _constants_in(column.flatten())
    elif pa.types.is_string(column.type):
        yield from (text for text in column.to_pylist() if text is not None)
    elif pa.types.is_timestamp(column.type):
        unit_ns = _NS_OF_UNIT[column.type.unit]
        for ticks in column.view(pa.int64()).drop_null().to_pylist():
            # A comparison changes its mind at the constant or right behind it.
            yield from (ticks * unit_ns, ticks * unit_ns + NS_PER_US)
    elif pa.types.is_int64(column.type):
        for ns in column.drop_null().to_pylist():
            yield from (ns, ns + 1)
