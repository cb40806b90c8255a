"""Trades of one Kafka partition to bars.

**Time** is the partition's own. Per feed and trading day it is the latest `ts_recv` of a trade of that
day or a later one, or of a heartbeat of that feed. A window closes when time reaches its end plus the
allowance. Whether a trade is late is decided at its own place in the log, never by how the log was cut
into polls, and the wall clock is never asked: so a backlog, an import or a replay closes the same bars
with the same content as live did. Days have a time of their own because files have no receive times
(theirs repeat the event's): Monday may be imported after Tuesday.

**Sets.** Inside its window a bar is a set of trades keyed by identity (`ticktrail.bars.candles`). A trade
that comes after its bar closed is handed out as late; one that is far ahead of its receive time, as
ahead; neither is dropped silently.

**Restart.** The runner commits `commit_offset()` with `state()` as metadata, after everything that `read`
returned is acknowledged: the bars by the store, the late trades by whoever rebuilds their bars. Then:

1. No trade of an open second or minute lies before the committed offset.
2. The state names what was closed, and the offset up to which everything had been read.
3. Of the trades between the two offsets, those of closed windows are left out after a restart: their bar
   was acknowledged with all of its trades, or they were late and handed out. A window partly read again
   is therefore never given out with fewer trades. All others are taken again.
4. So the restored builder is the one that was committed, but for the longer bars' minutes, and those are
   read back from the store (`MinuteHistory`). Whatever was given out after the commit is given out again,
   bars with the same content.

After an exception from `read` the builder is half-way through a poll: restore it anew.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ticktrail.bars.candles import Times
from ticktrail.bars.history import MinuteHistory, Seeds, bar_rows
from ticktrail.bars.ladder import NEVER_NS, Candles
from ticktrail.bars.poll import Beats, Part, feeds_of, parts_of
from ticktrail.bars.progress import Ahead, Progress
from ticktrail.bars.rows import take
from ticktrail.bars.step import AHEAD_NS_MAX, BarCounts, Step
from ticktrail.bars.stream import DayStream
from ticktrail.bars.window import candles_to_bars, empty_bars, midnight_ns
from ticktrail.clock import NS_PER_MS
from ticktrail.config.settings import BarsSettings
from ticktrail.model import Array, Bar, Columns, Heartbeat, Trade
from ticktrail.reference.sessions import US_EQUITIES, Market

__all__ = ["ALL_CLOSED_NS", "BarBuilder", "us_equities"]

# What is closed of a date of which all is.
ALL_CLOSED_NS = 1 << 62

# What the commit's metadata can hold (`METADATA_BYTES_MAX`): some 30 bytes per open day, 6 per closed one.
# Live has one or two open days per feed, an import as many as it began and did not end.
_OPEN_DAYS_MAX = 40
_DONE_DAYS_MAX = 256

_LATE_FOR_SECOND, _LATE_FOR_MINUTE, _AHEAD = 1, 2, 3


@dataclass
class _Made:
    """A step in the making: bars, and what became of each of its trades."""

    fates: npt.NDArray[np.uint8]
    bars: list[Columns[Bar]] = field(default_factory=list)


def us_equities(_feed: str) -> Market:
    """Give the market of every feed that there is today."""
    return US_EQUITIES


class BarBuilder:
    """The bars of one partition. Not safe for use by several threads.

    Parameters
    ----------
    settings
        Allowance and intervals.
    market_of
        Gives the market of a feed.
    history
        Needed by a restored builder for the bars longer than a minute; without it, those that were open
        at the restart lack the minutes before it.
    """

    def __init__(
        self,
        settings: BarsSettings,
        market_of: Callable[[str], Market] = us_equities,
        history: MinuteHistory | None = None,
    ) -> None:
        self.counts = BarCounts()
        self.lateness_ns = settings.lateness_ms * NS_PER_MS
        self._intervals = frozenset(settings.intervals)
        self._market_of = market_of
        self._history = history
        self._streams: dict[tuple[str, int], DayStream] = {}
        self._seeds: dict[tuple[str, int], Seeds] = {}
        self._progress = Progress(next_offset=-1)
        self._reread_until = -1
        self._read_until = -1

    def restore(self, state: str, offset: int = -1) -> None:
        """Take up where another builder stood; only before the first `read`.

        Parameters
        ----------
        state
            What `state` gave, read back with the committed offset.
        offset
            That offset, where reading must go on.

        Raises
        ------
        CodecError
            If it is no state of this version.
        """
        self._progress = Progress.from_text(state)
        self._reread_until = self._progress.next_offset
        self._read_until = offset
        for feed, days in self._progress.open.items():
            for day, closed_ns in days.items():
                stream = DayStream(day, self._market_of(feed), self.lateness_ns, closed_ns)
                self._streams[feed, day] = stream
                if self._history is not None:
                    self._seeds[feed, day] = Seeds(self._history, feed, day, closed_ns)

    def state(self, ahead: Ahead | None = None) -> str:
        """Write down what is closed: commit metadata of at most 4 KiB, to go with `commit_offset`.

        Parameters
        ----------
        ahead
            Windows that the caller must know of after a restart: `ahead` gives them back then.
        """
        self._progress.ahead = ahead or {}
        self._progress.open = {}
        for (feed, day), stream in self._streams.items():
            self._progress.open.setdefault(feed, {})[day] = stream.closed_ns
        return self._progress.to_text()

    @property
    def position(self) -> int:
        """Everything before this offset has been read; -1 before anything was."""
        return self._progress.next_offset

    @property
    def ahead(self) -> Ahead:
        """What was given to `state` when the state was written that this builder was restored from."""
        return self._progress.ahead

    def closed_ns(self, feed: str, day: int) -> int | None:
        """Tell up to which end the windows of a trading date are closed; None where it has not begun."""
        stream = self._streams.get((feed, day))
        if stream is not None:
            return stream.closed_ns
        return ALL_CLOSED_NS if self._progress.is_done(feed, day) else None

    def newest_day(self, feed: str) -> int | None:
        """Give the latest trading date that has begun."""
        open_days = [day for name, day in self._streams if name == feed]
        return max([*open_days, *self._progress.done.get(feed, ())], default=None)

    def end_day(self, feed: str, day: int) -> None:
        """Close a trading date that has not begun: whatever comes of it from now on is late."""
        if self.closed_ns(feed, day) is None:
            self._progress.add_done(feed, day)

    def commit_offset(self) -> int | None:
        """Give the earliest offset that is still needed.

        None before anything was read, and after a restart until everything is read again that had been read
        before: what is needed of that is not known before.
        """
        if self._read_until < self._reread_until:
            return None
        open_offsets = [stream.earliest_offset for stream in self._streams.values()]
        needed = [offset for offset in open_offsets if offset is not None]
        if needed:
            return min(needed)
        return None if self._progress.next_offset < 0 else self._progress.next_offset

    def seed(self, minute_bars: Columns[Bar]) -> None:
        """Hand in final minutes that `read` did not build, for the longer bars of days that are open.

        A minute that is there already is replaced. Days without a stream are ignored: a stream begins
        with its first trade.
        """
        rows = bar_rows(minute_bars)
        for (feed, day), stream in self._streams.items():
            wanted = (minute_bars["feed"] == feed.encode()) & (minute_bars["day"] == day)
            wanted &= (minute_bars["interval"] == b"1m") & minute_bars["is_final"]
            wanted &= minute_bars["ts_close_ns"] <= stream.closed_ns
            stream.ladder.seed(take(rows, wanted), stream.closed_ns)

    def read(
        self,
        trades: Columns[Trade],
        offsets: Times,
        *,
        heartbeats: Columns[Heartbeat] | None = None,
        heartbeat_offsets: Times | None = None,
        next_offset: int | None = None,
    ) -> Step:
        """Take the records of one poll of the partition.

        Parameters
        ----------
        trades, heartbeats
            In the order of the log.
        offsets, heartbeat_offsets
            Their offsets, of shapes ``(n_trades,)`` and ``(n_heartbeats,)``; rising.
        next_offset
            Behind the last record of the poll, which may be of another kind.

        Raises
        ------
        ValueError
            If offsets fall, or heartbeats have none: a mistake in the calling code.
        Transient
            If `MinuteHistory` cannot be read.
        """
        beats = Beats.of(heartbeats, heartbeat_offsets)
        for name, column in (("trades", offsets), ("heartbeats", beats.offsets)):
            if (column[1:] < column[:-1]).any():
                raise ValueError(f"offsets of {name} must rise")
        made = _Made(fates=np.zeros(len(trades), dtype=np.uint8))
        self.counts.trades += len(trades)
        for feed in feeds_of(trades, beats):
            self._read_feed(feed, trades, offsets, beats.of_feed(feed), made)
        self._bound_days(made)
        last = max([-1, *offsets[-1:].tolist(), *beats.offsets[-1:].tolist()])
        self._read_until = max(self._read_until, last + 1 if next_offset is None else next_offset)
        self._progress.next_offset = max(self._progress.next_offset, self._read_until)
        return self._step(trades, made)

    def forming(self, symbols: Collection[str] | None = None) -> Columns[Bar]:
        """Sum up the minutes that are open, for a live view. Costs as much as closing them.

        Parameters
        ----------
        symbols
            Only these; None for all.
        """
        wanted: Array | None = None
        if symbols is not None:
            if not symbols:
                return empty_bars()
            wanted = np.array([symbol.encode() for symbol in symbols])
        bars = []
        for (feed, _), stream in self._streams.items():
            candles = stream.forming(wanted)
            if candles is not None and len(candles):
                market = self._market_of(feed)
                bars.append(candles_to_bars(candles, feed.encode(), "1m", market, is_final=False))
        return Columns.concat(bars) if bars else empty_bars()

    def _read_feed(
        self, feed: bytes, trades: Columns[Trade], offsets: Times, beats: Beats, made: _Made
    ) -> None:
        name = feed.decode()
        part = Part.of(trades, offsets, feed, self._market_of(name).zone)
        is_ahead = part.rows["ts_ns"] > part.recv_ns + AHEAD_NS_MAX
        is_reread = part.offsets < self._reread_until
        if is_reread.any():
            self.counts.reread += int(np.count_nonzero(is_reread & is_ahead))
            self._read_again(name, part.where(is_reread & ~is_ahead))
        if is_ahead.any():
            made.fates[part.index[is_ahead & ~is_reread]] = _AHEAD
        if is_reread.any() or is_ahead.any():
            part = part.where(~is_reread & ~is_ahead)
        beats = beats.since(self._reread_until)
        days = {day for other, day in self._streams if other == name}
        for day in sorted(days.union(np.unique(part.days).tolist())):
            self._read_day(name, day, part, beats, made)

    def _read_again(self, feed: str, part: Part) -> None:
        for day, of_day in parts_of(part):
            stream = self._streams.get((feed, day))
            # Without a stream all of the day is closed: nothing of it can be needed.
            left_out = stream.add_again(of_day.rows, of_day.offsets) if stream else len(of_day.rows)
            self.counts.reread += left_out

    def _read_day(self, feed: str, day: int, part: Part, beats: Beats, made: _Made) -> None:
        stream = self._streams.get((feed, day))
        own = part.where(part.days == day)
        began = -1
        if stream is None:
            if self._progress.is_done(feed, day):
                made.fates[own.index] = _LATE_FOR_MINUTE
                return
            # What came before a day's first trade does not move its time: it may be of a newer file.
            began = int(own.offsets[0])
            stream = DayStream(day, self._market_of(feed), self.lateness_ns)
            self._streams[feed, day] = stream
        moves_time = (part.days >= day) & (part.offsets >= began)
        times_ns = np.maximum.accumulate(np.where(moves_time, part.recv_ns, NEVER_NS))
        times_ns = np.maximum(times_ns, beats.times_before(part.offsets, began))
        if len(own.rows):
            late = stream.add(own.rows, own.offsets, times_ns[part.days == day])
            made.fates[own.index] = np.where(
                late.minute, _LATE_FOR_MINUTE, np.where(late.second, _LATE_FOR_SECOND, 0)
            )
        self._advance(feed, day, max([beats.last_time(began), *times_ns[-1:].tolist()]), made)

    def _advance(self, feed: str, day: int, time_ns: int, made: _Made) -> None:
        stream = self._streams[feed, day]
        seeds = self._seeds.get((feed, day))
        closes_minute = stream.closes_minute(time_ns)
        closed = stream.advance(time_ns)
        minutes = [candles for interval, candles in closed if interval == "1m"]
        if seeds is not None and closes_minute:
            symbols = minutes[0]["symbol"] if minutes else np.empty(0, "S8")
            stream.ladder.seed(seeds.load(symbols), seeds.closed_ns)
        for candles in minutes:
            stream.ladder.add(candles)
        self._give_out(feed, [*closed, *stream.ladder.advance(stream.closed_ns)], made)
        self.counts.repeated += stream.repeated
        stream.repeated = 0
        if stream.is_idle and stream.ladder.ends_by(stream.closed_ns):
            del self._streams[feed, day]
            self._seeds.pop((feed, day), None)
            self._progress.add_done(feed, day)

    def _give_out(self, feed: str, closed: list[Candles], made: _Made) -> None:
        market = self._market_of(feed)
        for interval, candles in closed:
            if interval in self._intervals and len(candles):
                made.bars.append(candles_to_bars(candles, feed.encode(), interval, market))

    def _bound_days(self, made: _Made) -> None:
        """Keep the state small: end the day that was quiet for longest, forget the oldest that ended."""
        while len(self._streams) > _OPEN_DAYS_MAX:
            feed, day = min(self._streams, key=lambda key: self._streams[key].last_offset)
            end_ns = midnight_ns(day + 1, self._market_of(feed))
            self._advance(feed, day, end_ns + self.lateness_ns, made)
        while sum(map(len, self._progress.done.values())) > _DONE_DAYS_MAX:
            self._progress.forget_oldest()

    def _step(self, trades: Columns[Trade], made: _Made) -> Step:
        fates = made.fates
        bars = Columns.concat(made.bars) if made.bars else empty_bars()
        if not fates.any():
            nothing = trades.take(slice(0, 0))
            return Step(bars=bars, late=nothing, is_late_for_minute=np.empty(0, dtype=bool), ahead=nothing)
        is_late = (fates == _LATE_FOR_SECOND) | (fates == _LATE_FOR_MINUTE)
        for_minute = fates[is_late] == _LATE_FOR_MINUTE
        is_ahead = fates == _AHEAD
        self.counts.late_for_minute += int(np.count_nonzero(for_minute))
        self.counts.late_for_second += int(np.count_nonzero(~for_minute))
        self.counts.ahead += int(np.count_nonzero(is_ahead))
        return Step(
            bars=bars, late=trades.take(is_late), is_late_for_minute=for_minute, ahead=trades.take(is_ahead)
        )
