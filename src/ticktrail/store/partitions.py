"""Partitions as readers name them, and the times that can lie in them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ticktrail.store.tables import TABLES, Table, bucket_days

__all__ = ["DayRef", "PartitionRef", "SpanNs", "bucket_end", "day_span_ns", "slot_spans_ns", "slots_of_day"]

_MINUTE_NS = 60_000_000_000
_DAY_NS = 1_440 * _MINUTE_NS
# A venue's trading date is the date of an instant somewhere on earth: at most a day from that in UTC.
_DAYS_APART = (-1, 0, 1)
_BUCKET_DAYS_MAX = 366

SpanNs = tuple[int, int]


class DayRef(NamedTuple):
    """All partitions of a dataset and feed that begin on one day.

    Parameters
    ----------
    dataset
        The table's name; for bars with the interval: ``"bars:1m"``.
    feed
        The feed's name.
    day
        Days since 1970: the trading date; for bars the first of the bucket.
    """

    dataset: str
    feed: str
    day: int

    @property
    def table(self) -> Table:
        """The table that holds it."""
        return TABLES[self.dataset.partition(":")[0]]

    @property
    def interval(self) -> str:
        """The bars' interval; empty for other tables."""
        return self.dataset.partition(":")[2]


class PartitionRef(NamedTuple):
    """One partition: what is read at once.

    Parameters
    ----------
    day
        See `DayRef`.
    symbol
        Canonical.
    slot
        Start of the slot in UTC as hhmm; 0 for bars.
    """

    day: DayRef
    symbol: str
    slot: int


def bucket_end(day: DayRef) -> int:
    """Give the day behind the last one that can lie in its partitions, in days since 1970."""
    if not day.interval:
        return day.day + 1
    following = np.arange(day.day + 1, day.day + _BUCKET_DAYS_MAX + 1, dtype=np.int32)
    return int(following[np.argmax(bucket_days(day.interval, following) != day.day)])


def day_span_ns(day: DayRef) -> SpanNs:
    """Bound the times of all rows of a day's partitions, in UTC: from (inclusive), to (exclusive)."""
    return (day.day + _DAYS_APART[0]) * _DAY_NS, (bucket_end(day) + _DAYS_APART[-1]) * _DAY_NS


def slots_of_day(slot_minutes: int) -> list[int]:
    """List all slots of a day: their starts in UTC as hhmm."""
    return [minute // 60 * 100 + minute % 60 for minute in range(0, 1440, slot_minutes)]


def slot_spans_ns(day: DayRef, slot: int, slot_minutes: int) -> list[SpanNs]:
    """List the spans of UTC that the rows of a slot can lie in: one for each date that the day can touch."""
    start = (slot // 100 * 60 + slot % 100) * _MINUTE_NS
    width = slot_minutes * _MINUTE_NS
    return [
        ((day.day + apart) * _DAY_NS + start, (day.day + apart) * _DAY_NS + start + width)
        for apart in _DAYS_APART
    ]
