"""Which windows must be built again from the store, and when that can be done.

A window is a minute of a symbol, with the seconds in it. It becomes *dirty* when something comes that its bar
lacks: a late trade, a trade ahead of its time, a correction. It can be rebuilt when

1. the builder has closed it: until then nothing of it has been given out, and what is open is not judged; and
2. persist has committed everything up to where the builder stood when it saw that, so that the store has all
   trades of the window and everything that made it dirty.

What made windows dirty holds the commit (`hold`): a restart reads it again. Only trades ahead, whose time may
be long in coming, are written into the committed state instead, as many as fit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from ticktrail.bars.ladder import NEVER_NS
from ticktrail.bars.progress import Ahead
from ticktrail.model import INTERVALS_NS

__all__ = ["ANY_DAY", "DirtyWindows", "Pending", "Window"]

ANY_DAY = -(1 << 31)

_MINUTE_NS = INTERVALS_NS["1m"]
_NO_HOLD = 1 << 62
# Their part of the commit's metadata; some 40 windows.
_AHEAD_BYTES_MAX = 1_200
_AHEAD_BYTES_EACH = 24


class Window(NamedTuple):
    """A minute of a symbol.

    Parameters
    ----------
    day
        Of the trades' own field, by which they are stored; `ANY_DAY` where that is not known.
    date
        Of the market, by which bars are closed.
    """

    feed: str
    symbol: str
    day: int
    date: int
    open_ns: int


class Pending(NamedTuple):
    """A correction whose trade is not looked up yet."""

    first: int
    until: int
    feed: str
    symbol: str
    day: int
    ts_ns: int
    event_id: int


@dataclass
class _Mark:
    """Why and when a window is to be rebuilt.

    Parameters
    ----------
    first
        The offset that a restart must read again while this is not done.
    asked
        What persist must have committed at least.
    due_ns
        The end of what must be closed first.
    is_whole
        Whether the minute's own bar will be wrong too, should it be open still.
    until, closed_ns
        Once that is closed: what persist must have committed, and what was closed there; `until` is -1
        before.
    """

    first: int
    asked: int
    due_ns: int
    is_whole: bool
    until: int = -1
    closed_ns: int = NEVER_NS


class DirtyWindows:
    """The dirty windows of one partition."""

    def __init__(self) -> None:
        self._marks: dict[Window, _Mark] = {}
        self._ahead: set[Window] = set()
        self._ahead_bytes = 0
        self.pending: list[Pending] = []

    def __bool__(self) -> bool:
        return bool(self._marks or self.pending)

    def __len__(self) -> int:
        """Count what only waits for persist and for its turn, not for its window to close."""
        return sum(mark.until >= 0 for mark in self._marks.values()) + len(self.pending)

    @property
    def waiting(self) -> int:
        """How many windows wait for their end."""
        return sum(mark.until < 0 for mark in self._marks.values())

    def add(self, window: Window, first: int, asked: int, due_ns: int, *, is_whole: bool) -> None:
        """Mark a window; parameters as of `_Mark`. Many reasons make one rebuild."""
        mark = self._marks.get(window)
        if mark is None:
            self._marks[window] = _Mark(first, asked, due_ns, is_whole)
            return
        mark.first, mark.asked = min(mark.first, first), max(mark.asked, asked)
        mark.due_ns, mark.is_whole = min(mark.due_ns, due_ns), mark.is_whole or is_whole
        mark.until = -1

    def add_ahead(self, window: Window, asked: int) -> bool:
        """Mark a window whose time is far; False if there is no room to remember it over a restart."""
        size_bytes = len(window.feed) + len(window.symbol) + _AHEAD_BYTES_EACH
        if window not in self._ahead:
            if self._ahead_bytes + size_bytes > _AHEAD_BYTES_MAX:
                return False
            self._ahead.add(window)
            self._ahead_bytes += size_bytes
        self.add(window, _NO_HOLD, asked, window.open_ns + _MINUTE_NS, is_whole=True)
        return True

    def restore(self, ahead: Ahead, asked: int) -> None:
        """Take over what an earlier process had written into its state."""
        for feed, symbols in ahead.items():
            for symbol, windows in symbols.items():
                for day, date, minute in windows:
                    self.add_ahead(Window(feed, symbol, day, date, minute * _MINUTE_NS), asked)

    def ahead(self) -> Ahead:
        """Write down the windows of trades ahead, for the state."""
        ahead: Ahead = {}
        for window in sorted(self._ahead):
            windows = ahead.setdefault(window.feed, {}).setdefault(window.symbol, [])
            windows.append((window.day, window.date, window.open_ns // _MINUTE_NS))
        return ahead

    def hold(self) -> int:
        """Give the earliest offset that must be read again after a restart; very large if there is none."""
        return min(
            min((mark.first for mark in self._marks.values()), default=_NO_HOLD),
            min((pending.first for pending in self.pending), default=_NO_HOLD),
        )

    def settle(self, closed_of: Callable[[Window], int | None], position: int) -> list[Window]:
        """Note which windows have closed.

        Parameters
        ----------
        closed_of
            Tells what is closed of the window's date; None where that has not begun.
        position
            Where the builder stands.

        Returns
        -------
        Windows of dates that have not begun though the builder has read everything that concerns them.
        """
        unknown = []
        for window, mark in self._marks.items():
            if mark.until >= 0:
                continue
            closed_ns = closed_of(window)
            if closed_ns is None:
                if position >= mark.asked:
                    unknown.append(window)
            elif closed_ns >= mark.due_ns:
                mark.until, mark.closed_ns = max(mark.asked, position), closed_ns
        return unknown

    def ready(self, persisted: int) -> dict[Window, int]:
        """Give the windows that can be rebuilt, oldest reason first, with what was closed of them."""
        return {
            window: mark.closed_ns for window, mark in self._marks.items() if 0 <= mark.until <= persisted
        }

    def is_ahead(self, window: Window) -> bool:
        """Tell whether a window is remembered as one of trades ahead."""
        return window in self._ahead

    def drop(self, window: Window) -> None:
        """Forget a window that is not one of trades ahead."""
        del self._marks[window]

    def done(self, window: Window) -> int:
        """Note that a window is rebuilt, so far as it was closed; give the offset that this held."""
        mark = self._marks[window]
        end_ns = window.open_ns + _MINUTE_NS
        first = mark.first
        if mark.is_whole and end_ns > mark.closed_ns:
            mark.due_ns, mark.until = end_ns, -1
            return _NO_HOLD
        del self._marks[window]
        if window in self._ahead:
            self._ahead.remove(window)
            self._ahead_bytes -= len(window.feed) + len(window.symbol) + _AHEAD_BYTES_EACH
        return first
