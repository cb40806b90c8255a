"""Frames that were received and are not parsed yet: a queue bounded in number and in bytes.

Between the frames stand the turns at which connections ended and began.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

from ticktrail.feeds import Frame

__all__ = ["FrameQueue", "Turn"]


@dataclass(frozen=True, kw_only=True)
class Turn:
    """A connection begins or ends.

    Parameters
    ----------
    cause
        Of the end; empty where it begins.
    at_ns
        When, nanoseconds since 1970 in UTC.
    detail
        For people.
    """

    cause: str
    at_ns: int
    detail: str = ""


class FrameQueue:
    """First in, first out, between two tasks of one loop.

    Parameters
    ----------
    frames_max, bytes_max
        `room` waits while either is reached. The frame that comes after it fits, however large.
    """

    def __init__(self, frames_max: int, bytes_max: int) -> None:
        self._frames_max = frames_max
        self._bytes_max = bytes_max
        self._items: deque[Frame | Turn] = deque()
        self._bytes = 0
        self._is_closed = False
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._items)

    @property
    def has_frame(self) -> bool:
        """Whether a frame is next."""
        return bool(self._items) and isinstance(self._items[0], Frame)

    @property
    def oldest_ns(self) -> int | None:
        """When what is next was received, nanoseconds since 1970; None while there is nothing."""
        if not self._items:
            return None
        first = self._items[0]
        return first.ts_recv_ns if isinstance(first, Frame) else first.at_ns

    async def room(self) -> None:
        """Wait until a frame may be added. Before it is received, so that a stop meanwhile loses none."""
        while len(self._items) >= self._frames_max or (self._items and self._bytes >= self._bytes_max):
            await self._wait()

    def put(self, item: Frame | Turn) -> None:
        """Add a frame or a turn."""
        self._items.append(item)
        if isinstance(item, Frame):
            self._bytes += len(item.payload)
        self._changed.set()

    async def get(self) -> Frame | Turn | None:
        """Take what is oldest; waits for it. None once the queue is closed and empty."""
        while not self._items:
            if self._is_closed:
                return None
            await self._wait()
        return self._taken()

    def take(self) -> Frame:
        """Take the oldest frame of a queue that has one next."""
        frame = self._taken()
        assert isinstance(frame, Frame)
        return frame

    def _taken(self) -> Frame | Turn:
        item = self._items.popleft()
        if isinstance(item, Frame):
            self._bytes -= len(item.payload)
        self._changed.set()
        return item

    def close(self) -> None:
        """Say that no more frames come."""
        self._is_closed = True
        self._changed.set()

    async def _wait(self) -> None:
        # One task puts and one takes, and never do both wait: the queue is either empty or not.
        self._changed.clear()
        await self._changed.wait()
