"""Frames that were received and are not parsed yet: a queue bounded in number and in bytes."""

from __future__ import annotations

import asyncio
from collections import deque

from ticktrail.feeds import Frame

__all__ = ["FrameQueue"]


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
        self._frames: deque[Frame] = deque()
        self._bytes = 0
        self._is_closed = False
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._frames)

    async def room(self) -> None:
        """Wait until a frame may be added. Before it is received, so that a stop meanwhile loses none."""
        while len(self._frames) >= self._frames_max or (self._frames and self._bytes >= self._bytes_max):
            await self._wait()

    def put(self, frame: Frame) -> None:
        """Add a frame."""
        self._frames.append(frame)
        self._bytes += len(frame.payload)
        self._changed.set()

    async def get(self) -> Frame | None:
        """Take the oldest frame; waits for one. None once the queue is closed and empty."""
        while not self._frames:
            if self._is_closed:
                return None
            await self._wait()
        return self.take()

    def take(self) -> Frame:
        """Take the oldest frame of a queue that is not empty."""
        frame = self._frames.popleft()
        self._bytes -= len(frame.payload)
        self._changed.set()
        return frame

    def close(self) -> None:
        """Say that no more frames come."""
        self._is_closed = True
        self._changed.set()

    async def _wait(self) -> None:
        # One task puts and one takes, and never do both wait: the queue is either empty or not.
        self._changed.clear()
        await self._changed.wait()
