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
    sql_schema,
)

__all__ = ["datasets_of", "plan_reads"]

T = TypeVar("T")


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
    refs = reader.partitions(days, rows.symbols)
    places = dict.fromkeys((ref.day, ref.slot) for ref in refs)
    spans = {place: _wanted_span(rows, *place, reader.slot_minutes(table)) for place in places}
    reads = [(ref, span) for ref in refs if (span := spans[ref.day, ref.slot]) is not None]
    known = [_on_day(ref.day) & equal("symbol", ref.symbol) & within(span, names) for ref, span in reads]
    # Symbol and time were looked at one by one so far; a filter may allow each, but not both together.
    reads = _passing(rows, reads, known)
    return sorted(reads, key=lambda read: (read[0].day.feed, read[0].symbol, read[0]))


def _wanted_span(rows: Filter, day: DayRef, slot: int, slot_minutes: int) -> SpanNs | None:
    """Bound the times of the rows of a slot that can pass; None where none can."""
    whole = day_span_ns(day)
    spans = [whole] if day.interval else slot_spans_ns(day, slot, slot_minutes)
    if len(rows.cuts_ns(whole)) == 2:
        # The filter does not tell times of this day apart, and some passed.
        return spans[0][0], spans[-1][1]
    names = sql_schema(day.table).names
    pieces = [piece for span in spans for piece in pairwise(rows.cuts_ns(span))]
    passing = _passing(rows, pieces, [_on_day(day) & within(piece, names) for piece in pieces])
    return (passing[0][0], passing[-1][1]) if passing else None


def _on_day(day: DayRef) -> Any:
    feed = equal("feed", day.feed)
    if not day.interval:
        return feed & equal("day", date_of_day(day.day))
    first, end = pc.scalar(date_of_day(day.day)), pc.scalar(date_of_day(bucket_end(day)))
    return feed & equal("interval", day.interval) & (pc.field("day") >= first) & (pc.field("day") < end)


def _passing(rows: Filter, items: Sequence[T], known: Sequence[Any]) -> list[T]:
    return [item for item, passes in zip(items, rows.can_pass(known), strict=True) if passes]
