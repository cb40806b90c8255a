"""Windows of time that move along with each symbol's trades, in slices."""

from __future__ import annotations

from typing import Any

import numpy as np

from ticktrail.alerts.scan import Floats, Ints, Runs
from ticktrail.clock import NS_PER_SECOND
from ticktrail.model import Array

__all__ = ["SLICES", "MoveRing", "SigmaRing"]

SLICES = 60
# Fewer moves tell no deviation.
_MOVES_MIN = 20
_NONE = -1


class MoveRing:
    """The lowest and highest price of the present slice and the 59 before it.

    Parameters
    ----------
    window_s
        Length of the window; a slice is its sixtieth.
    """

    def __init__(self, window_s: int) -> None:
        self._slice_ns = window_s * NS_PER_SECOND // SLICES

    def fills(self, prefix: str) -> dict[str, tuple[Any, ...]]:
        """Declare what is kept of each symbol."""
        return {
            f"{prefix}now": (np.int64, _NONE),
            f"{prefix}slice": (np.int64, _NONE, SLICES),
            f"{prefix}low": (np.float64, np.inf, SLICES),
            f"{prefix}high": (np.float64, -np.inf, SLICES),
        }

    def read(
        self, state: dict[str, Array], symbols: Ints, ts_ns: Ints, prices: Floats
    ) -> tuple[Floats, Floats]:
        """Take prices (NaN: none), sorted by symbol; give the moves up and down, in percent."""
        now, slices, low, high = (state[name] for name in ("now", "slice", "low", "high"))
        runs = Runs.of(symbols, ts_ns // self._slice_ns, now)
        cell = runs.key % SLICES
        is_price = ~np.isnan(prices)
        lows, _, last_low = runs.scan(
            np.minimum,
            np.where(runs.continues, low[runs.symbol, cell], np.inf),
            np.where(is_price, prices, np.inf),
            np.inf,
        )
        highs, _, last_high = runs.scan(
            np.maximum,
            np.where(runs.continues, high[runs.symbol, cell], -np.inf),
            np.where(is_price, prices, -np.inf),
            -np.inf,
        )
        base_low, base_high = np.empty(len(cell)), np.empty(len(cell))
        for turn in runs.turns():
            symbol, key = runs.symbol[turn], runs.key[turn][:, None]
            counts = (slices[symbol] > key - SLICES) & (slices[symbol] < key)
            base_low[turn] = np.where(counts, low[symbol], np.inf).min(axis=1)
            base_high[turn] = np.where(counts, high[symbol], -np.inf).max(axis=1)
            slices[symbol, cell[turn]] = runs.key[turn]
            low[symbol, cell[turn]] = last_low[turn]
            high[symbol, cell[turn]] = last_high[turn]
            now[symbol] = runs.key[turn]
        lowest = np.minimum(lows, base_low[runs.row])
        highest = np.maximum(highs, base_high[runs.row])
        return 100.0 * (prices - lowest) / lowest, 100.0 * (highest - prices) / highest


class SigmaRing:
    """The closes of the last 61 windows that had trades.

    Parameters
    ----------
    window_s
        Length of a window.
    """

    def __init__(self, window_s: int) -> None:
        self._window_ns = window_s * NS_PER_SECOND

    def fills(self, prefix: str) -> dict[str, tuple[Any, ...]]:
        """Declare what is kept of each symbol."""
        return {
            f"{prefix}now": (np.int64, _NONE),
            f"{prefix}close": (np.float64, np.nan),
            f"{prefix}closes": (np.float64, np.nan, SLICES + 1),
        }

    def read(self, state: dict[str, Array], symbols: Ints, ts_ns: Ints, prices: Floats) -> Floats:
        """Take prices (NaN: none), sorted by symbol; give the moves since the last close, in deviations."""
        now, close, closes = (state[name] for name in ("now", "close", "closes"))
        runs = Runs.of(symbols, ts_ns // self._window_ns, now)
        # The last price of each run: its place, carried along.
        places = np.where(np.isnan(prices), _NONE, np.arange(len(prices)))
        _, _, last = runs.scan(np.maximum, np.full(len(runs.key), _NONE), places, _NONE)
        base, deviation = np.empty(len(runs.key)), np.empty(len(runs.key))
        for turn in runs.turns():
            symbol = runs.symbol[turn]
            ended = ~runs.continues[turn] & ~np.isnan(close[symbol])
            over = symbol[ended]
            closes[over, :-1] = closes[over, 1:]
            closes[over, -1] = close[over]
            close[symbol[~runs.continues[turn]]] = np.nan
            base[turn], deviation[turn] = closes[symbol, -1], _deviation(closes[symbol])
            priced = last[turn] >= 0
            close[symbol[priced]] = prices[last[turn][priced]]
            now[symbol] = runs.key[turn]
        before = base[runs.row]
        return 100.0 * (prices - before) / before / deviation[runs.row]


def _deviation(closes: Floats) -> Floats:
    """Give the standard deviation of the moves between closes, in percent; NaN where it is unknown or 0."""
    moves = 100.0 * (closes[:, 1:] - closes[:, :-1]) / closes[:, :-1]
    is_known = ~np.isnan(moves)
    count = is_known.sum(axis=1)
    enough = count >= _MOVES_MIN
    # Added one after the other, as plain code would.
    total = np.add.accumulate(np.where(is_known, moves, 0.0), axis=1)[:, -1]
    mean = total / np.where(enough, count, 1)
    squares = np.where(is_known, (moves - mean[:, None]) ** 2, 0.0)
    variance = np.add.accumulate(squares, axis=1)[:, -1] / np.where(enough, count - 1, 1)
    known = enough & (variance > 0)
    result: Floats = np.where(known, np.sqrt(np.where(known, variance, 1.0)), np.nan)
    return result
