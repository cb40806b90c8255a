"""Made-up trades, for what is measured without a feed."""

from __future__ import annotations

import numpy as np

from ticktrail.model import Array, Columns, Trade

__all__ = ["BEGIN_NS", "SYMBOLS", "Trades"]

SYMBOLS = 500
BEGIN_NS = 1_790_000_000_000_000_000


class Trades:
    """An endless supply of trades that never repeat."""

    def __init__(self) -> None:
        self._random = np.random.default_rng(1)
        self._next = 0

    def take(self, count: int) -> Columns[Trade]:
        """Make the next ones, of `SYMBOLS` symbols, with a realistic mix of texts."""
        number = np.arange(self._next, self._next + count)
        self._next += count
        draw = self._random
        ts_ns = BEGIN_NS + number * 10_000
        symbols = np.array([f"S{index:03d}".encode() for index in range(SYMBOLS)])

        def one_of(*texts: bytes) -> Array:
            return np.array(texts)[draw.integers(0, len(texts), count)]

        fields = {
            "feed": b"bench",
            "symbol": symbols[draw.integers(0, SYMBOLS, count)],
            "day": (ts_ns // 86_400_000_000_000).astype(np.int32),
            "ts_ns": ts_ns,
            "event_id": number,
            "ts_event_ns": ts_ns,
            "ts_recv_ns": ts_ns + 1_000_000,
            "price": draw.integers(1_000, 90_000, count) / 100,
            "size": draw.integers(1, 1_000, count).astype(np.float64),
            "flags": draw.integers(0, 8, count).astype(np.int32),
            "venue": one_of(b"XNAS", b"XNYS", b"ARCX", b"FINR"),
            "tape": one_of(b"A", b"B", b"C"),
            "conditions": one_of(b"@", b"@,I", b"@,F,I", b""),
            "trade_id": number.astype("S"),
        }
        return Columns(Trade, fields)
