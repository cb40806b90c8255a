"""What the bars stage knows of one partition: bars in the making, dirty windows, what to commit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Any

import numpy as np

from ticktrail.bars import metrics
from ticktrail.bars.archive import Archive
from ticktrail.bars.awaited import Awaited
from ticktrail.bars.candles import Times
from ticktrail.bars.commits import Commits
from ticktrail.bars.corrections import Corrections
from ticktrail.bars.dirty import ANY_DAY, DirtyWindows, Pending, Window
from ticktrail.bars.engine import BarBuilder
from ticktrail.bars.ladder import NEVER_NS
from ticktrail.bars.rebuild import Job, Rebuilt
from ticktrail.bars.step import Step
from ticktrail.bars.window import midnight_ns
from ticktrail.bus import Position
from ticktrail.codec import Decoded
from ticktrail.model import INTERVALS_NS, Array, Bar, Columns, Correction, Heartbeat, Record, Trade
from ticktrail.model.identity import floor_ts_ns
from ticktrail.reference.days import trading_days
from ticktrail.reference.sessions import Market
from ticktrail.telemetry import get_logger

__all__ = ["PartitionBars"]

_log = get_logger("bars")

_SECOND_NS, _MINUTE_NS = INTERVALS_NS["1s"], INTERVALS_NS["1m"]
# Of one symbol and date at once: some 100 MB of trades on the busiest day of the busiest symbol.
_MINUTES_PER_JOB_MAX = 240


class PartitionBars:
    """One partition's bars. Used by one thread.

    Parameters
    ----------
    builder
        Its bar builder, restored where there was a state.
    archive
        What is stored.
    is_ours
        Tells by feed and symbol whether their trades travel in this partition.
    market_of
        The one that the builder has.
    """

    def __init__(
        self,
        builder: BarBuilder,
        archive: Archive,
        is_ours: Callable[[str, str], bool],
        market_of: Callable[[str], Market],
    ) -> None:
        self.builder = builder
        self.commits = Commits()
        self.dirty = DirtyWindows()
        self._archive = archive
        self._awaited = Awaited(archive, is_ours)
        self._market_of = market_of
        self._times_ns: dict[str, int] = {}
        self.dirty.restore(builder.ahead, builder.position)

    def read(self, decoded: Decoded, offsets: Times) -> Columns[Bar]:
        """Take the values of one poll; give the bars that they close.

        Parameters
        ----------
        decoded
            The values, at least one.
        offsets
            Shape ``(n,)``: theirs.

        Raises
        ------
        TicktrailError
            The store could not be asked. This object is of no use any more.
        """
        trades, trade_rows = _of_kind(decoded, Trade)
        beats, beat_rows = _of_kind(decoded, Heartbeat)
        corrections, _ = _of_kind(decoded, Correction)
        first, end = int(offsets[0]), int(offsets[-1]) + 1
        metrics.TRADES.inc(len(trades))
        metrics.REJECTED.inc(len(decoded.rejected))
        step = self.builder.read(
            trades,
            offsets[trade_rows],
            heartbeats=beats,
            heartbeat_offsets=offsets[beat_rows],
            next_offset=end,
        )
        self._note_times(beats)
        if len(corrections):
            self._take_corrections(corrections, first, end)
        if len(trades):
            corrected = self._awaited.among(trades)
            if corrected.any():
                self._mark(trades.take(corrected), first, end, is_late=False)
        self._mark(step.late, first, end, is_late=True)
        self._mark_ahead(step.ahead, end)
        self._mark_revised(step.bars, first, end)
        _count(step)
        return step.bars

    def note(self, now_ns: int) -> None:
        """Note that everything given out so far is acknowledged."""
        offset = self.builder.commit_offset()
        if offset is not None:
            state = self.builder.state(self.dirty.ahead())
            self.commits.note(Position(offset, state), self.builder.position, now_ns)

    def due(self, until_ns: int) -> Position | None:
        """Give the position to commit; see `Commits.due`."""
        return self.commits.due(until_ns, self.dirty.hold())

    def look_up(self, persisted: int, log_end: int) -> Iterator[None]:
        """Find the trades that corrections speak of, where both are stored, one symbol after the other.

        Parameters
        ----------
        persisted
            How far persist has committed this partition.
        log_end
            How far the log goes, as far as that is known.

        Raises
        ------
        TicktrailError
            The store could not be asked; ask again.
        """
        self._awaited.forget((pending.feed, pending.day) for pending in self.dirty.pending)
        stored = sorted((each for each in self.dirty.pending if each.until <= persisted), key=_record_day)
        for (feed, symbol, day), group in groupby(stored, key=_record_day):
            found = list(group)
            corrections = Corrections(self._archive.corrections(feed, symbol, day))
            ids, near_ns = corrections.originals(
                np.array([each.ts_ns for each in found]), np.array([each.event_id for each in found])
            )
            times_ns = self._archive.find(feed, symbol, day, ids, near_ns) if len(ids) else ids
            first = min(each.first for each in found)
            for window, second_ns in self._windows(feed, [symbol] * len(times_ns), day, times_ns):
                # Persist may be ahead of us: of a trade that we have not read we know nothing yet.
                asked = max(log_end, self.builder.position)
                self.dirty.add(window, first, asked, second_ns + _SECOND_NS, is_whole=True)
            left = set(found)
            self.dirty.pending = [each for each in self.dirty.pending if each not in left]
            yield

    def settle(self) -> None:
        """Find out which dirty windows have closed."""
        builder = self.builder

        def closed_of(window: Window) -> int | None:
            return builder.closed_ns(window.feed, window.date)

        for window in self.dirty.settle(closed_of, builder.position):
            newest = builder.newest_day(window.feed)
            if self._is_over(window) or (newest is not None and window.date < newest):
                builder.end_day(window.feed, window.date)
            elif not self.dirty.is_ahead(window):
                self.dirty.drop(window)
                self._add_ahead(window, builder.position)

    def jobs(self, persisted: int) -> Iterator[tuple[list[Window], Job]]:
        """Give what can be rebuilt now, one symbol and date after the other, the oldest reason first."""
        ready = self.dirty.ready(persisted)
        groups: dict[tuple[str, str, int, int], list[Window]] = {}
        for window in ready:
            groups.setdefault(window[:4], []).append(window)
        for (feed, symbol, day, date), group in groups.items():
            windows = sorted(group)[:_MINUTES_PER_JOB_MAX]
            closed_ns = self.builder.closed_ns(feed, date)
            assert closed_ns is not None, "what is ready has closed"
            job = Job(
                feed=feed,
                symbol=symbol,
                days=(date - 1, date, date + 1) if day == ANY_DAY else (day,),
                date=date,
                minutes_ns=np.array([window.open_ns for window in windows], dtype=np.int64),
                complete_ns=np.array([ready[window] for window in windows], dtype=np.int64),
                closed_ns=closed_ns,
            )
            yield windows, job

    def finish(self, done: Sequence[tuple[list[Window], Rebuilt]], now_ns: int) -> None:
        """Note that what was found for some windows is acknowledged."""
        for windows, _ in done:
            for window in windows:
                self.commits.rebuilt(self.dirty.done(window), now_ns)
        self.builder.seed(Columns.concat([rebuilt.minutes for _, rebuilt in done]))

    def _note_times(self, beats: Columns[Heartbeat]) -> None:
        for feed in set(beats["feed"].tolist()):
            time_ns = int(beats["ts_recv_ns"][beats["feed"] == feed].max())
            self._times_ns[feed.decode()] = max(self._times_ns.get(feed.decode(), NEVER_NS), time_ns)

    def _is_over(self, window: Window) -> bool:
        """Tell whether the time of a date has passed, though none of its trades may have come."""
        end_ns = midnight_ns(window.date + 1, self._market_of(window.feed))
        return self._times_ns.get(window.feed, NEVER_NS) >= end_ns + self.builder.lateness_ns

    def _take_corrections(self, corrections: Columns[Correction], first: int, end: int) -> None:
        metrics.CORRECTIONS.inc(len(corrections))
        self._awaited.add(corrections)
        self.dirty.pending += [
            Pending(first, end, each.feed, each.symbol, each.day, each.ts_ns, each.event_id)
            for each in corrections.to_records()
        ]

    def _mark(self, trades: Columns[Trade], first: int, end: int, *, is_late: bool) -> None:
        for window, second_ns in self._windows_of(trades):
            due_ns = NEVER_NS if is_late else second_ns + _SECOND_NS
            self.dirty.add(window, first, end, due_ns, is_whole=not is_late)

    def _mark_revised(self, bars: Columns[Bar], first: int, end: int) -> None:
        """See to it that longer bars with revised minutes in them are compared with what is stored.

        An earlier process may have given the bar out as well, with other minutes and, if the store was
        restarted meanwhile, the same revision; the store would keep either.
        """
        for bar in bars.take(bars["revision"] > 0).to_records():
            window = Window(bar.feed, bar.symbol, ANY_DAY, bar.day, bar.ts_open_ns)
            self.dirty.add(window, first, end, NEVER_NS, is_whole=False)

    def _mark_ahead(self, trades: Columns[Trade], end: int) -> None:
        for window, _ in self._windows_of(trades):
            self._add_ahead(window, end)

    def _add_ahead(self, window: Window, asked: int) -> None:
        if not self.dirty.add_ahead(window, asked):
            metrics.FORGOTTEN.inc()
            _log.warning(
                "bars.window_forgotten",
                feed=window.feed,
                symbol=window.symbol,
                day=window.date,
                ts_open_ns=window.open_ns,
                mend="ticktrail bars --rebuild FEED DAY --write, once the day is over",
            )

    def _windows_of(self, trades: Columns[Trade]) -> Iterator[tuple[Window, int]]:
        if not len(trades):
            return
        feeds, days = trades["feed"].tolist(), trades["day"].tolist()
        for feed, day in sorted(set(zip(feeds, days, strict=True))):
            rows = trades.take((trades["feed"] == feed) & (trades["day"] == day))
            symbols = [symbol.decode() for symbol in rows["symbol"].tolist()]
            yield from self._windows(feed.decode(), symbols, day, rows["ts_ns"])

    def _windows(self, feed: str, symbols: list[str], day: int, ts_ns: Times) -> Iterator[tuple[Window, int]]:
        """Name the window of each trade, and the second in it."""
        dates = trading_days(ts_ns, self._market_of(feed).zone).tolist()
        minutes_ns = floor_ts_ns(ts_ns, _MINUTE_NS).tolist()
        seconds_ns = floor_ts_ns(ts_ns, _SECOND_NS).tolist()
        for symbol, date, minute_ns, second_ns in zip(symbols, dates, minutes_ns, seconds_ns, strict=True):
            yield Window(feed, symbol, day, date, minute_ns), second_ns


def _record_day(pending: Pending) -> tuple[str, str, int]:
    return pending.feed, pending.symbol, pending.day


def _of_kind(decoded: Decoded, record: type[Record]) -> tuple[Columns[Any], Array]:
    found = decoded.kinds.get(record)
    if found is not None:
        return found.columns, found.rows
    return Columns.from_records(record, []), np.empty(0, dtype=np.int64)


def _count(step: Step) -> None:
    metrics.LATE.inc(int(np.count_nonzero(step.is_late_for_minute)), interval="1m")
    metrics.LATE.inc(int(np.count_nonzero(~step.is_late_for_minute)), interval="1s")
    metrics.AHEAD.inc(len(step.ahead))
