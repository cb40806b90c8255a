"""One trading day of one feed, in one partition: its trades, its time, its bars."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ticktrail.bars.candles import Times, candles_of_seconds, rolled_up, unique_trades
from ticktrail.bars.ladder import NEVER_NS, Candles, Ladder
from ticktrail.bars.rows import Rows, among, join, take
from ticktrail.bars.window import opens_of
from ticktrail.model import INTERVALS_NS, Array
from ticktrail.reference.sessions import Market

__all__ = ["DayStream", "Late"]

_SECOND_NS = INTERVALS_NS["1s"]
_MINUTE_NS = INTERVALS_NS["1m"]

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Late:
    """Which of the trades given came after their bar had closed; masks of shape ``(n,)``.

    Parameters
    ----------
    second
        Too late for their second.
    minute
        Too late for their minute too; the others of `second` still are in it.
    """

    second: Mask
    minute: Mask


@dataclass(frozen=True, kw_only=True)
class _Closed:
    """Seconds that closed together, from `start_ns` to before `end_ns`, and the trades they were made of."""

    start_ns: int
    end_ns: int
    trades: Rows
    seconds: Rows

    def split(self, bound_ns: int) -> tuple[list[_Closed], list[_Closed]]:
        """Split into what lies before a time and the rest; either may be missing."""
        if self.end_ns <= bound_ns:
            return [self], []
        if self.start_ns >= bound_ns:
            return [], [self]
        trades_before = self.trades["ts_ns"] < bound_ns
        seconds_before = self.seconds["ts_open_ns"] < bound_ns
        before = _Closed(
            start_ns=self.start_ns,
            end_ns=bound_ns,
            trades=take(self.trades, trades_before),
            seconds=take(self.seconds, seconds_before),
        )
        rest = _Closed(
            start_ns=bound_ns,
            end_ns=self.end_ns,
            trades=take(self.trades, ~trades_before),
            seconds=take(self.seconds, ~seconds_before),
        )
        return [before], [rest]


class DayStream:
    """Builds the bars of one trading day of one feed, from one partition.

    Trades wait (`_pending`) until their second closes; then the second is summed up, and its trades are
    kept with it until its minute closes, because a trade that is late for its second (`_stragglers`)
    still belongs to the minute. Then everything of that minute is dropped.

    Parameters
    ----------
    day
        The trading date, in days since 1970-01-01.
    lateness_ns
        How long after its end a window stays open.
    closed_ns
        Windows that end at or before this are closed. For a restored stream, where it stood.

    Attributes
    ----------
    closed_ns
        The partition's time less the allowance. Kept in this form because it must never fall, even where
        the allowance has grown since a restart: a closed window has lost its trades.
    ladder
        The longer bars. The caller adds the minutes and moves it on, as it may have to seed it first.
    last_offset
        Of the trades given; -1 before the first.
    repeated
        How many trades were left out because their identity had come before.
    """

    def __init__(self, day: int, market: Market, lateness_ns: int, closed_ns: int = NEVER_NS) -> None:
        self.closed_ns = closed_ns
        self.ladder = Ladder(day, market)
        self.last_offset = -1
        self.repeated = 0
        self._lateness_ns = lateness_ns
        self._pending: list[Rows] = []
        self._stragglers: list[Rows] = []
        self._closed: list[_Closed] = []
        self._first_offsets: dict[int, int] = {}
        self._minute_opens_of = opens_of("1m", market)

    @property
    def is_idle(self) -> bool:
        """Whether the stream holds nothing."""
        return not self._first_offsets and self.ladder.is_empty

    @property
    def earliest_offset(self) -> int | None:
        """The smallest offset of a trade whose minute (and so perhaps whose second) is open."""
        return min(self._first_offsets.values(), default=None)

    def add(self, rows: Rows, offsets: Times, times_ns: Times) -> Late:
        """Take trades.

        Parameters
        ----------
        rows
            Shape ``(n,)``, of this day, in the order of their offsets.
        offsets
            Shape ``(n,)``; rising.
        times_ns
            Shape ``(n,)``; the partition's time at each, itself included. Does not fall.
        """
        self.last_offset = int(offsets[-1])
        ts_ns = rows["ts_ns"]
        newest_closed_ns = max(self.closed_ns, int(times_ns[-1]) - self._lateness_ns)
        if ts_ns.min() >= _floor(newest_closed_ns, _SECOND_NS):
            self._note_offsets(ts_ns, offsets)
            self._pending.append(rows)
            none = np.zeros(len(rows), dtype=bool)
            return Late(second=none, minute=none)
        closed_ns = np.maximum(times_ns - self._lateness_ns, self.closed_ns)
        late = Late(
            second=ts_ns < closed_ns - closed_ns % _SECOND_NS,
            minute=ts_ns < closed_ns - closed_ns % _MINUTE_NS,
        )
        self._note_offsets(ts_ns[~late.minute], offsets[~late.minute])
        self._append(self._pending, rows, ~late.second)
        self._append(self._stragglers, rows, late.second & ~late.minute)
        return late

    def add_again(self, rows: Rows, offsets: Times) -> int:
        """Take trades that this partition's builder had already taken before it was restored.

        Returns
        -------
        How many are left out, because their minute is closed: its bar has them, or they were late.
        """
        ts_ns = rows["ts_ns"]
        second_ns, minute_ns = _floor(self.closed_ns, _SECOND_NS), _floor(self.closed_ns, _MINUTE_NS)
        needed = ts_ns >= minute_ns
        self._note_offsets(ts_ns[needed], offsets[needed])
        self._append(self._pending, rows, ts_ns >= second_ns)
        self._append(self._stragglers, rows, needed & (ts_ns < second_ns))
        return int(len(rows) - np.count_nonzero(needed))

    def closes_minute(self, time_ns: int) -> bool:
        """Tell whether `advance` to that time may close a minute or a longer window."""
        return _floor(time_ns - self._lateness_ns, _MINUTE_NS) > _floor(self.closed_ns, _MINUTE_NS)

    def advance(self, time_ns: int) -> list[Candles]:
        """Move the partition's time; give the seconds and minutes that this closes."""
        before_ns = self.closed_ns
        self.closed_ns = max(before_ns, time_ns - self._lateness_ns)
        closed: list[Candles] = []
        second_ns, minute_ns = _floor(self.closed_ns, _SECOND_NS), _floor(self.closed_ns, _MINUTE_NS)
        if second_ns > _floor(before_ns, _SECOND_NS) and self._pending:
            closed += self._close_seconds(second_ns)
        if minute_ns > _floor(before_ns, _MINUTE_NS) and self._first_offsets:
            closed += self._close_minutes(minute_ns)
        return closed

    def forming(self, symbols: Array | None) -> Rows | None:
        """Sum up the open minutes of some symbols, or of all; None if nothing is open."""
        pending, stragglers, closed = self._pending, self._stragglers, self._closed
        if symbols is not None:
            pending = [take(part, among(part, symbols)) for part in pending]
            stragglers = [take(part, among(part, symbols)) for part in stragglers]
            # Their trades are only looked at for the stragglers, which are of these symbols already.
            closed = [
                replace(part, seconds=take(part.seconds, among(part.seconds, symbols))) for part in closed
            ]
        parts = _corrected(closed, stragglers)[0] if closed or stragglers else []
        if pending:
            parts.append(candles_of_seconds(unique_trades(join(pending))))
        return rolled_up(join(parts), self._minute_opens_of) if parts else None

    def _close_seconds(self, bound_ns: int) -> list[Candles]:
        rows = join(self._pending)
        is_over = rows["ts_ns"] < bound_ns
        if not is_over.any():
            self._pending = [rows]
            return []
        self._pending = [] if is_over.all() else [take(rows, ~is_over)]
        trades = unique_trades(take(rows, is_over))
        self.repeated += int(np.count_nonzero(is_over)) - len(trades)
        seconds = candles_of_seconds(trades)
        start_ns = _floor(int(trades["ts_ns"].min()), _SECOND_NS)
        self._closed.append(_Closed(start_ns=start_ns, end_ns=bound_ns, trades=trades, seconds=seconds))
        return [("1s", seconds)]

    def _close_minutes(self, bound_ns: int) -> list[Candles]:
        closed: list[_Closed] = []
        still_open: list[_Closed] = []
        for part in self._closed:
            before, rest = part.split(bound_ns)
            closed += before
            still_open += rest
        self._closed = still_open
        stragglers: list[Rows] = []
        if self._stragglers:
            rows = join(self._stragglers)
            is_over = rows["ts_ns"] < bound_ns
            stragglers = [take(rows, is_over)]
            self._stragglers = [] if is_over.all() else [take(rows, ~is_over)]
        self._first_offsets = {
            open_ns: first for open_ns, first in self._first_offsets.items() if open_ns >= bound_ns
        }
        if not closed and not stragglers:
            return []
        seconds, repeated = _corrected(closed, stragglers)
        self.repeated += repeated
        return [("1m", rolled_up(join(seconds), self._minute_opens_of))]

    def _note_offsets(self, ts_ns: Times, offsets: Times) -> None:
        if len(ts_ns) == 0:
            return
        first, last = _floor(int(ts_ns.min()), _MINUTE_NS), _floor(int(ts_ns.max()), _MINUTE_NS)
        if first == last:
            self._first_offsets.setdefault(first, int(offsets[0]))
            return
        minutes, index = np.unique(ts_ns // _MINUTE_NS, return_index=True)
        for minute, offset in zip(minutes.tolist(), offsets[index].tolist(), strict=True):
            self._first_offsets.setdefault(minute * _MINUTE_NS, offset)

    @staticmethod
    def _append(parts: list[Rows], rows: Rows, chosen: Mask) -> None:
        if chosen.any():
            parts.append(take(rows, chosen))


def _corrected(closed: list[_Closed], stragglers: list[Rows]) -> tuple[list[Rows], int]:
    """Sum up the seconds of symbols with stragglers anew, so that the minute's set is exact.

    Returns
    -------
    The seconds, and how many stragglers were there already.
    """
    if not stragglers:
        return [part.seconds for part in closed], 0
    late = join(stragglers)
    seconds: list[Rows] = []
    repeated = 0
    for part in closed:
        is_inside = (late["ts_ns"] >= part.start_ns) & (late["ts_ns"] < part.end_ns)
        if not is_inside.any():
            seconds.append(part.seconds)
            continue
        inside, late = take(late, is_inside), take(late, ~is_inside)
        symbols = np.unique(inside["symbol"])
        touched = among(part.seconds, symbols)
        # Stragglers last: of one identity the later arrival stands.
        rows = join([take(part.trades, among(part.trades, symbols)), inside])
        trades = unique_trades(rows)
        repeated += len(rows) - len(trades)
        seconds += [take(part.seconds, ~touched), candles_of_seconds(trades)]
    # Seconds without any trade in time, and those that had closed before a restart.
    trades = unique_trades(late)
    repeated += len(late) - len(trades)
    return [*seconds, candles_of_seconds(trades)], repeated


def _floor(ts_ns: int, step_ns: int) -> int:
    return ts_ns - ts_ns % step_ns
