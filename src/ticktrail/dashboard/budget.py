"""So many things a second, and some more at once."""

from __future__ import annotations

from ticktrail.clock import NS_PER_SECOND

__all__ = ["Budget"]


class Budget:
    """A token bucket; times are monotonic, in nanoseconds.

    Parameters
    ----------
    per_s
        What is earned a second.
    burst
        What is there at first, and at most.
    """

    __slots__ = ("_burst", "_left", "_per_s", "_then_ns")

    def __init__(self, per_s: float, burst: float, now_ns: int) -> None:
        self._per_s = per_s
        self._burst = self._left = burst
        self._then_ns = now_ns

    def is_spent(self, now_ns: int) -> bool:
        """Take one; tell whether there was none left."""
        earned = (now_ns - self._then_ns) / NS_PER_SECOND * self._per_s
        # Whoever goes on asking owes one at most, and so is served again soon.
        self._left = max(min(self._burst, self._left + earned) - 1, -1.0)
        self._then_ns = now_ns
        return self._left < 0
