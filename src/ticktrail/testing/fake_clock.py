"""A clock that tests move by hand."""

from __future__ import annotations

import asyncio
import threading

from ticktrail.clock import NS_PER_SECOND

__all__ = ["FakeClock"]

# 2026-01-05 14:30 UTC: a Monday, the opening in New York.
_START_NS = 1_767_623_400 * NS_PER_SECOND

# How often a thread that waits for fake time looks whether a test has moved it.
_POLL_S = 0.001


class FakeClock:
    """A `ticktrail.clock.Clock` whose time passes only when it is told to.

    Parameters
    ----------
    now_ns
        The first time it tells.
    auto_advance
        True: whoever sleeps or waits moves the time on by that much and goes on at once, so code with
        back-off runs through without waiting. False: sleepers stay until `advance` has passed their
        time.

    Attributes
    ----------
    slept_s
        What was asked of `sleep` and `wait`, in their order, seconds.
    """

    def __init__(self, now_ns: int = _START_NS, *, auto_advance: bool = True) -> None:
        self.slept_s: list[float] = []
        self._now_ns = now_ns
        self._monotonic_ns = 0
        self._auto_advance = auto_advance
        self._lock = threading.Lock()
        self._sleepers: list[tuple[int, asyncio.AbstractEventLoop, asyncio.Future[None]]] = []

    def now_ns(self) -> int:
        return self._now_ns

    def monotonic_ns(self) -> int:
        return self._monotonic_ns

    async def sleep(self, seconds: float) -> None:
        self.slept_s.append(seconds)
        if self._auto_advance:
            self.advance(seconds)
            await asyncio.sleep(0)
            return
        loop = asyncio.get_running_loop()
        woken = loop.create_future()
        with self._lock:
            self._sleepers.append((self._monotonic_ns + _ns(seconds), loop, woken))
        await woken

    def wait(self, event: threading.Event, seconds: float) -> bool:
        self.slept_s.append(seconds)
        if self._auto_advance:
            if not event.is_set():
                self.advance(seconds)
            return event.is_set()
        deadline_ns = self._monotonic_ns + _ns(seconds)
        while not event.wait(_POLL_S):
            if self._monotonic_ns >= deadline_ns:
                return event.is_set()
        return True

    def advance(self, seconds: float) -> None:
        """Let time pass, and wake whoever has slept long enough. Any thread may call it."""
        with self._lock:
            self._now_ns += _ns(seconds)
            self._monotonic_ns += _ns(seconds)
            due = [sleeper for sleeper in self._sleepers if sleeper[0] <= self._monotonic_ns]
            self._sleepers = [sleeper for sleeper in self._sleepers if sleeper[0] > self._monotonic_ns]
        for _, loop, woken in due:
            if not loop.is_closed():
                loop.call_soon_threadsafe(_wake, woken)

    def step_wall_clock(self, seconds: float) -> None:
        """Set the machine's clock, forward or back, as time services do; no time passes."""
        with self._lock:
            self._now_ns += _ns(seconds)


def _ns(seconds: float) -> int:
    return round(seconds * NS_PER_SECOND)


def _wake(woken: asyncio.Future[None]) -> None:
    if not woken.done():
        woken.set_result(None)
