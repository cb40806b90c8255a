"""The records of one poll, as a bar builder goes through them: per feed, with their trading days."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ticktrail.bars.candles import Times
from ticktrail.bars.ladder import NEVER_NS
from ticktrail.bars.rows import Rows, take, trade_rows
from ticktrail.model import Array, Columns, Heartbeat, Trade
from ticktrail.reference.days import trading_days

__all__ = ["Beats", "Part", "feeds_of", "parts_of"]


@dataclass(frozen=True, kw_only=True)
class Part:
    """Some of a poll's trades, all of one feed; arrays of shape ``(n,)``.

    Parameters
    ----------
    index
        Their places in the poll.
    days
        Trading dates by the market's zone, in days since 1970-01-01.
    """

    index: npt.NDArray[np.intp]
    rows: Rows
    offsets: Times
    recv_ns: Times
    days: npt.NDArray[np.int32]

    @staticmethod
    def of(trades: Columns[Trade], offsets: Times, feed: bytes, zone: str) -> Part:
        """Select a feed's trades."""
        rows = trade_rows(trades)
        part = Part(
            index=np.arange(len(rows)),
            rows=rows,
            offsets=offsets,
            recv_ns=trades["ts_recv_ns"],
            days=_days(trades["ts_ns"], zone),
        )
        return part.where(trades["feed"] == feed)

    def where(self, mask: npt.NDArray[np.bool_]) -> Part:
        """Select some of the rows."""
        if mask.all():
            return self
        return Part(
            index=self.index[mask],
            rows=take(self.rows, mask),
            offsets=self.offsets[mask],
            recv_ns=self.recv_ns[mask],
            days=self.days[mask],
        )


@dataclass(frozen=True, kw_only=True)
class Beats:
    """A poll's heartbeats; arrays of shape ``(n,)``, offsets rising."""

    feeds: Array
    offsets: Times
    times_ns: Times

    @staticmethod
    def of(heartbeats: Columns[Heartbeat] | None, offsets: Times | None) -> Beats:
        """Take a poll's heartbeats, of which there may be none."""
        if heartbeats is None:
            none = np.empty(0, dtype=np.int64)
            return Beats(feeds=np.empty(0, "S1"), offsets=none, times_ns=none)
        if offsets is None:
            raise ValueError("heartbeats need their offsets")
        return Beats(feeds=heartbeats["feed"], offsets=offsets, times_ns=heartbeats["ts_recv_ns"])

    def of_feed(self, feed: bytes) -> Beats:
        """Select a feed's."""
        return self._where(self.feeds == feed)

    def since(self, offset: int) -> Beats:
        """Select those from an offset on."""
        return self._where(self.offsets >= offset)

    def times_before(self, offsets: Times, began: int) -> Times:
        """Give the latest time told before each of some offsets, by heartbeats after `began`."""
        if len(self.offsets) == 0:
            return np.full(len(offsets), NEVER_NS)
        times_ns = np.maximum.accumulate(np.where(self.offsets > began, self.times_ns, NEVER_NS))
        before: Times = np.append(NEVER_NS, times_ns)[np.searchsorted(self.offsets, offsets)]
        return before

    def last_time(self, began: int) -> int:
        """Give the latest time told by heartbeats after `began`."""
        return max(self.times_ns[self.offsets > began].tolist(), default=NEVER_NS)

    def _where(self, mask: npt.NDArray[np.bool_]) -> Beats:
        if mask.all():
            return self
        return Beats(feeds=self.feeds[mask], offsets=self.offsets[mask], times_ns=self.times_ns[mask])


def feeds_of(trades: Columns[Trade], beats: Beats) -> list[bytes]:
    """Name the feeds of a poll."""
    feeds = {feed for column in (trades["feed"], beats.feeds) for feed in _distinct(column)}
    return sorted(feeds)


def parts_of(part: Part) -> Iterator[tuple[int, Part]]:
    """Split by trading day."""
    for day in np.unique(part.days).tolist():
        yield day, part.where(part.days == day)


def _distinct(column: Array) -> list[bytes]:
    # One feed is the rule, and sorting text is slow.
    if len(column) and (column == column[0]).all():
        return [bytes(column[0])]
    return [bytes(feed) for feed in np.unique(column)]


def _days(ts_ns: Times, zone: str) -> npt.NDArray[np.int32]:
    # The ends of a poll nearly always lie in one day, and then so does all between.
    if len(ts_ns) == 0:
        return np.empty(0, dtype=np.int32)
    ends = trading_days(np.array([ts_ns.min(), ts_ns.max()]), zone)
    return np.full(len(ts_ns), ends[0]) if ends[0] == ends[1] else trading_days(ts_ns, zone)
