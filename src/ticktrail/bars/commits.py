"""Which positions of a partition may be committed.

A position with its state promises that whatever was given out before it outlives the death of any process,
and that whatever made a window dirty before it has been seen to. So it is noted when everything given out is
acknowledged, and committed once

1. the store has proven that what it had acknowledged by then is on its disk, and
2. every rebuild that was called for by something read before it is done and proven likewise.

A restart then reads anew what called for the others, each in the state in which it was late the first time.
"""

from __future__ import annotations

from dataclasses import dataclass

from ticktrail.bus import Position

__all__ = ["Commits"]

# Beyond it every second one is forgotten: commits are then farther apart, nothing else.
_NOTED_MAX = 128


@dataclass(frozen=True)
class _Noted:
    noted_ns: int
    position: Position
    read_until: int


class Commits:
    """The positions of one partition. Times are monotonic, in nanoseconds."""

    def __init__(self) -> None:
        self._noted: list[_Noted] = []
        # Rebuilds that are done and not proven: when, and the offset that called for each.
        self._done: list[tuple[int, int]] = []
        self._committed: Position | None = None

    @property
    def is_open(self) -> bool:
        """Whether there is anything to be proven or committed."""
        return bool(self._noted or self._done)

    @property
    def oldest_ns(self) -> int | None:
        """Since when the oldest position that is noted has waited; None where none does."""
        return self._noted[0].noted_ns if self._noted else None

    def note(self, position: Position, read_until: int, now_ns: int) -> None:
        """Note where the partition stands; everything given out before is acknowledged.

        Parameters
        ----------
        read_until
            Everything before this offset had been read.
        """
        last = self._noted[-1].position if self._noted else self._committed
        if position == last:
            return
        if len(self._noted) >= _NOTED_MAX:
            del self._noted[1::2]
        self._noted.append(_Noted(now_ns, position, read_until))

    def rebuilt(self, offset: int, now_ns: int) -> None:
        """Note that what was called for by the record at this offset is acknowledged."""
        self._done.append((now_ns, offset))

    def due(self, until_ns: int, hold: int) -> Position | None:
        """Give the position to commit.

        Parameters
        ----------
        until_ns
            What was acknowledged by this time is proven.
        hold
            The earliest offset that called for a rebuild which is not done.
        """
        self._done = [(done_ns, offset) for done_ns, offset in self._done if done_ns > until_ns]
        hold = min([hold, *(offset for _, offset in self._done)])
        found = None
        while self._noted and self._noted[0].noted_ns <= until_ns and self._noted[0].read_until <= hold:
            found = self._noted.pop(0).position
        return None if found == self._committed else found

    def committed(self, position: Position) -> None:
        """Note what the broker has taken."""
        self._committed = position
