"""The only reader of wall time.

Everything that needs the time takes a `Clock`; tests pass a fake one
(`ticktrail.testing.FakeClock`) and no test ever waits for the real clock.
"""

from __future__ import annotations

import asyncio
import threading
import time
from random import Random
from typing import Protocol

__all__ = ["NS_PER_MS", "NS_PER_SECOND", "NS_PER_US", "Backoff", "Clock", "SystemClock"]

NS_PER_US = 1_000
NS_PER_MS = 1_000_000
NS_PER_SECOND = 1_000_000_000


class Clock(Protocol):
    """What the product knows of time."""

    def now_ns(self) -> int:
        """Nanoseconds since 1970 in UTC, as the machine's clock has them. May step back."""
        ...

    def monotonic_ns(self) -> int:
        """Nanoseconds that never step back; only differences mean something."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Let other tasks run for that long."""
        ...

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Block until `event` is set or the time is over; True if it was set."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def now_ns(self) -> int:
        return time.time_ns()

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def wait(self, event: threading.Event, seconds: float) -> bool:
        return event.wait(seconds)


class Backoff:
    """Delays between tries: each twice the one before, capped, and drawn at random below that.

    Full jitter keeps many clients that lost one server from coming back in step.

    Parameters
    ----------
    first_s, cap_s
        Bound of the first delay, and of all, in seconds.
    """

    def __init__(self, first_s: float, cap_s: float, random: Random | None = None) -> None:
        self._first_s = first_s
        self._cap_s = cap_s
        self._random = random or Random()  # noqa: S311  (no secret depends on it)
        self.tries = 0

    def next_s(self, lasted_s: float = 0.0) -> float:
        """Give the next delay in seconds: at least a tenth of its bound, so that none is a busy loop.

        Parameters
        ----------
        lasted_s
            How long all went well since the last delay; for as long as the cap, it was a success.
        """
        if lasted_s >= self._cap_s:
            self.reset()
        bound_s = min(self._cap_s, self._first_s * 2.0 ** min(self.tries, 63))
        self.tries += 1
        return self._random.uniform(bound_s / 10, bound_s)

    def reset(self) -> None:
        """Begin anew after a success."""
        self.tries = 0
