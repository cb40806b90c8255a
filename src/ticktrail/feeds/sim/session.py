"""How busy the market is over its day: bursts at the open and the close, a lull between, little after."""

from __future__ import annotations

import math

__all__ = ["Session"]

_REGULAR = 0.94
_EXTENDED_LEVEL = 0.15
_BURST_OPEN = 2.2
_BURST_CLOSE = 1.8
_BURST_WIDTH = 0.06

_BURST_AREA = (_BURST_OPEN + _BURST_CLOSE) * _BURST_WIDTH * (1 - math.exp(-1 / _BURST_WIDTH))
# Chosen so that the whole day has mean 1.
_LULL = (1 - (1 - _REGULAR) * _EXTENDED_LEVEL) / _REGULAR - _BURST_AREA


class Session:
    """A day of `session_s` seconds that begins with the open and repeats.

    The first 94% are regular trading, the rest extended hours. ``session_s = 0``: one endless regular
    session at an even rate.
    """

    def __init__(self, session_s: float) -> None:
        self._session_ns = session_s * 1e9

    def intensity(self, since_start_ns: int) -> float:
        """Trades per second relative to the day's mean: 3.0 at the open, 0.82 at midday, 2.6 at the close."""
        if not self._session_ns:
            return 1.0
        x = since_start_ns % self._session_ns / self._session_ns / _REGULAR
        if x >= 1:
            return _EXTENDED_LEVEL
        return (
            _LULL
            + _BURST_OPEN * math.exp(-x / _BURST_WIDTH)
            + _BURST_CLOSE * math.exp(-(1 - x) / _BURST_WIDTH)
        )

    def number(self, since_start_ns: int) -> int:
        """Count the days before this moment."""
        return int(since_start_ns // self._session_ns) if self._session_ns else 0

    def is_extended(self, since_start_ns: int) -> bool:
        """Tell whether the close has passed and the next open has not come."""
        return bool(self._session_ns) and since_start_ns % self._session_ns >= _REGULAR * self._session_ns
