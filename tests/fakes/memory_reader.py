"""A `ticktrail.store.Reader` over an Arrow table, strict about what it is asked for."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any
from unittest.mock import patch

import pyarrow as pa
import pyarrow.compute as pc

from ticktrail.query import Engine
from ticktrail.reference import day_of_date
from ticktrail.store import DayRef, PartitionRef, SpanNs, Table

__all__ = ["MemoryReader", "engine_over"]


class MemoryReader:
    """Keeps rows in partitions and gives only those of the partitions and spans that it is asked for.

    Parameters
    ----------
    table
        Which table it has.
    rows
        In `ticktrail.store.sql_schema`, with a further column ``slot`` (int64).
    slot_minutes
        Width of the slots.
    """

    def __init__(self, table: Table, rows: Any, slot_minutes: int) -> None:
        self._table = table
        self._width = slot_minutes
        self.fill(rows)

    def fill(self, rows: Any) -> None:
        """Replace all rows, and forget what was asked."""
        self.rows = rows
        self.asked: list[PartitionRef] = []
        self._parts: dict[PartitionRef, list[int]] = {}
        keys = zip(
            *(rows.column(name).to_pylist() for name in ("feed", "symbol", "day", "slot")), strict=True
        )
        for index, (feed, symbol, day, slot) in enumerate(keys):
            ref = PartitionRef(DayRef(self._table.name, feed, day_of_date(day)), symbol, slot)
            self._parts.setdefault(ref, []).append(index)
        if "ts_ns" in rows.schema.names:
            # As the store keeps them: in the order of the clustering key.
            times, ids = (rows.column(name).to_pylist() for name in ("ts_ns", "event_id"))
            for part in self._parts.values():
                part.sort(key=lambda index: (times[index], ids[index]))

    def slot_minutes(self, table: Table) -> int:
        del table
        return self._width

    def days(self, dataset: str) -> list[DayRef]:
        return sorted({ref.day for ref in self._parts if ref.day.dataset == dataset})

    def partitions(
        self,
        days: Sequence[DayRef],
        symbols: Iterable[str] | None = None,
        slots: Mapping[DayRef, Collection[int]] | None = None,
    ) -> list[PartitionRef]:
        wanted = None if symbols is None else set(symbols)
        return [
            ref
            for ref in sorted(self._parts)
            if ref.day in days
            and (wanted is None or ref.symbol in wanted)
            and (slots is None or ref.day not in slots or ref.slot in slots[ref.day])
        ]

    def read_all(
        self, reads: Iterable[tuple[PartitionRef, SpanNs | None]], columns: Sequence[str]
    ) -> Iterator[tuple[PartitionRef, Any]]:
        for ref, span_ns in reads:
            self.asked.append(ref)
            rows = self.rows.take(self._parts[ref])
            if span_ns is not None:
                times = rows.column("ts_event_ns")
                first, end = (pa.scalar(ns, pa.int64()) for ns in span_ns)
                rows = rows.filter(pc.and_(pc.greater_equal(times, first), pc.less(times, end)))
            for batch in rows.select(list(columns)).to_batches():
                yield ref, batch

    def latest(self) -> list[Any]:
        return []

    def gaps(self) -> list[Any]:
        return []

    def alerts(self) -> list[Any]:
        return []


def engine_over(reader: MemoryReader, sandbox_bytes: int | None = None) -> Engine:
    """Build an engine that asks this reader instead of a store."""
    session: Any = None
    with patch("ticktrail.query.engine.Reader", return_value=reader):
        return Engine(session, sandbox_bytes=sandbox_bytes)
