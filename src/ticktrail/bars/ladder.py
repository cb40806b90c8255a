"""From final minutes to bars of 5 minutes, an hour and a day."""

from __future__ import annotations

from ticktrail.bars.candles import rolled_up
from ticktrail.bars.rows import Rows, join, take, unique
from ticktrail.bars.window import LEVELS, midnight_ns, opens_of
from ticktrail.model import INTERVALS_NS
from ticktrail.reference.sessions import Market

__all__ = ["NEVER_NS", "Candles", "Ladder"]

# Before all times, and far enough from the end of int64 to be reckoned with.
NEVER_NS = -(1 << 62)

Candles = tuple[str, Rows]
"""An interval and its bars."""

_RUNGS = LEVELS[2:]


class Ladder:
    """The longer bars of one trading day of one feed.

    A minute waits on the lowest rung until its 5 minutes are over; they wait until their hour is over, it
    until the day is. So at most 5 + 12 + 25 bars of a symbol are held, and of bars with one opening the
    last given stands.
    """

    def __init__(self, day: int, market: Market) -> None:
        self._end_ns = midnight_ns(day + 1, market)
        self._opens_of = {rung: opens_of(rung, market) for rung in _RUNGS}
        self._waiting: dict[str, list[Rows]] = {rung: [] for rung in _RUNGS}
        self._bounds_ns = dict.fromkeys(_RUNGS, NEVER_NS)

    def __len__(self) -> int:
        """Count the bars that wait."""
        return sum(len(part) for parts in self._waiting.values() for part in parts)

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits."""
        return not any(self._waiting.values())

    def ends_by(self, closed_ns: int) -> bool:
        """Tell whether the day is over by a time."""
        return closed_ns >= self._end_ns

    def add(self, minutes: Rows) -> None:
        """Take final minutes of windows that `advance` has not closed yet."""
        if len(minutes):
            self._waiting[_RUNGS[0]].append(minutes)

    def advance(self, closed_ns: int) -> list[Candles]:
        """Close what ends at or before a time; every minute that ends by then was added before."""
        if all(self._bound_ns(rung, closed_ns) <= self._bounds_ns[rung] for rung in _RUNGS):
            return []
        return self._settle(closed_ns)

    def seed(self, minutes: Rows, closed_ns: int) -> None:
        """Take minutes from before a restart; bars that ended at or before `closed_ns` are not made anew."""
        self.add(minutes)
        self._settle(closed_ns)

    def _settle(self, closed_ns: int) -> list[Candles]:
        closed: list[Candles] = []
        for rung, next_rung in zip(_RUNGS, (*_RUNGS[1:], ""), strict=True):
            bound_ns = self._bound_ns(rung, closed_ns)
            self._bounds_ns[rung] = max(self._bounds_ns[rung], bound_ns)
            if not self._waiting[rung]:
                continue
            # Each bar once: minutes come again with every rebuild.
            parts = unique(join(self._waiting[rung]), ("ts_open_ns",))
            is_over = parts["ts_open_ns"] < bound_ns
            self._waiting[rung] = [] if is_over.all() else [take(parts, ~is_over)]
            if not is_over.any():
                continue
            bars = rolled_up(take(parts, is_over), self._opens_of[rung])
            closed.append((rung, bars))
            if next_rung:
                self._waiting[next_rung].append(bars)
        return closed

    def _bound_ns(self, rung: str, closed_ns: int) -> int:
        # In zones whose offset is no whole hour, the day's last hour is cut short by its midnight.
        if self.ends_by(closed_ns):
            return self._end_ns
        return NEVER_NS if rung == "1d" else closed_ns - closed_ns % INTERVALS_NS[rung]
