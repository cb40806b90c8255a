"""From a filter to the partitions that must be read, and the span of time that is wanted of each.

The catalogue is walked from the top, so that what is not wanted is not even listed: days first, then the
symbols and slots of the days that are left, then single partitions.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, TypeVar

import pyarrow.compute as pc

from ticktrail.model import INTERVALS_NS
from ticktrail.query.pruning import Filter, equal, within
from ticktrail.reference import date_of_day
from ticktrail.store import (
    BARS,
    DayRef,
    PartitionRef,
    Reader,
    SpanNs,
    Table,
    bucket_end,
    dataset_of,
    day_span_ns,
    slot_spans_ns,
    slots_of_day,
    sql_schema,
)

__all__ = ["datasets_of", "plan_reads"]

T = TypeVar("T")

# Beyond it, the check would take longer (some 0.05 ms each, more for long lists) than it could save.
_JOINT_CHECKS_MAX = 20_000


def datasets_of(table: Table) -> list[str]:
    """Name the datasets that make up a table: one, but for bars one per interval."""
    return [dataset_of(table, interval) for interval in INTERVALS_NS] if table is BARS else [table.name]


def plan_reads(reader: Reader, table: Table, rows: Filter) -> list[tuple[PartitionRef, SpanNs]]:
    """Choose the partitions in which rows that pass the filter may lie.

    Returns
    -------
    Partitions ordered by feed, symbol, day and slot, each with the span outside of which no row of it
    passes.

    Raises
    ------
    TicktrailError
        The catalogue cannot be read.
    """
    names = sql_schema(table).names
    days = [day for dataset in datasets_of(table) for day in reader.days(dataset)]
    days = _passing(rows, days, [_on_day(day) & within(day_span_ns(day), names) for day in days])
    spans = {day: _wanted_spans(rows, day, reader.slot_minutes(table)) for day in days}
    slots = {day: of_day.keys() for day, of_day in spans.items() if of_day is not None}
    refs = reader.partitions([day for day in days if slots.get(day, True)], rows.symbols, slots)
    if rows.symbols is None and rows.looks_at("symbol"):
        symbols = sorted({ref.symbol for ref in refs})
        left = set(_passing(rows, symbols, [equal("symbol", symbol) for symbol in symbols]))
        refs = [ref for ref in refs if ref.symbol in left]
    reads = [(ref, (spans[ref.day] or {}).get(ref.slot) or day_span_ns(ref.day)) for ref in refs]
    if rows.looks_at("or") and len(reads) <= _JOINT_CHECKS_MAX:
        # Symbols and times were looked at one by one so far; where one of several conditions suffices, it
        # may allow a symbol and a time, but not both together.
        known = [_on_day(ref.day) & equal("symbol", ref.symbol) & within(span, names) for ref, span in reads]
        reads = _passing(rows, reads, known)
    return sorted(reads, key=lambda read: (read[0].day.feed, read[0].symbol, read[0]))


def _wanted_spans(rows: Filter, day: DayRef, slot_minutes: int) -> dict[int, SpanNs] | None:
    """Find the slots of a day in which rows can pass, with the bounds of their times; None for all of it."""
    whole = day_span_ns(day)
    if len(rows.cuts_ns(whole)) == 2:
        return None  # the filter does not tell times of this day apart, and some passed
    names = sql_schema(day.table).names
    slots = [0] if day.interval else slots_of_day(slot_minutes)
    pieces = [
        (slot, piece)
        for slot in slots
        for span in ([whole] if day.interval else slot_spans_ns(day, slot, slot_minutes))
        for piece in pairwise(rows.cuts_ns(span))
    ]
    spans: dict[int, SpanNs] = {}
    on_day = _on_day(day)
    for slot, (first, end) in _passing(rows, pieces, [on_day & within(piece, names) for _, piece in pieces]):
        spans[slot] = spans[slot][0] if slot in spans else first, end
    return spans


def _on_day(day: DayRef) -> Any:
    feed = equal("feed", day.feed)
    if not day.interval:
        return feed & equal("day", date_of_day(day.day))
    first, end = pc.scalar(date_of_day(day.day)), pc.scalar(date_of_day(bucket_end(day)))
    return feed & equal("interval", day.interval) & (pc.field("day") >= first) & (pc.field("day") < end)


def _passing(rows: Filter, items: Sequence[T], known: Sequence[Any]) -> list[T]:
    return [item for item, passes in zip(items, rows.can_pass(known), strict=True) if passes]
