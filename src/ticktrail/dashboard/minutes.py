"""The last minutes of every symbol as candles, kept in arrays: what is forming, and what the day is made of.

A minute is summed up from its trades as they come. Once its bar is final, that bar takes its place, and
trades that come later change nothing until the bar's revision does: what is shown agrees with what is stored.
Minutes that leave the window are added to the day's base.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ticktrail.model import INTERVALS_NS, Array, Bar, Columns, Flag, Trade

__all__ = ["KEPT", "Candle", "Minutes"]

# An hour, and a few minutes more: the longest interval below a day is summed up from them.
KEPT = 64
_MINUTE_NS = INTERVALS_NS["1m"]
_NO_MINUTE = -1
# What still changes all the time; what is older is summed up once, until something of it does.
_MOVING = 2

Index = npt.NDArray[np.int64]

Candle = np.dtype(
    [
        ("open", "<f8"),
        ("high", "<f8"),
        ("low", "<f8"),
        ("close", "<f8"),
        ("volume", "<f8"),
        ("amount", "<f8"),
        ("trades", "<i8"),
        ("revision", "<i8"),
        ("is_final", "?"),
    ]
)
"""One candle; `amount` is the sum of price times size of what counts for the volume."""


class Minutes:
    """Candles of the last `KEPT` minutes, shape ``(KEPT, symbols)``, and of each symbol's day before them.

    Attributes
    ----------
    base
        Shape ``(symbols,)``: of the day, what lies before the window.
    newest
        The newest minute of all, in minutes since 1970.
    """

    def __init__(self, symbols: int) -> None:
        self.base = _empty(symbols)
        self.newest = _NO_MINUTE
        self._candles = np.tile(_empty(symbols), (KEPT, 1))
        self._settled: npt.NDArray[np.void] | None = None

    def grow(self, symbols: int) -> None:
        """Make room for more symbols."""
        more = symbols - len(self.base)
        self.base = np.concatenate([self.base, _empty(more)])
        self._candles = np.concatenate([self._candles, np.tile(_empty(more), (KEPT, 1))], axis=1)
        self._settled = None

    def add(self, codes: Index, trades: Columns[Trade]) -> None:
        """Take trades; `codes` tells the symbol of each, shape ``(n,)``."""
        minutes = trades["ts_ns"] // _MINUTE_NS
        for minute in np.unique(minutes).tolist():
            if (candles := self._at(minute)) is None:
                continue
            chosen = minutes == minute
            rows = slice(None) if chosen.all() else chosen
            is_open = ~candles["is_final"][codes[rows]]
            _sum_up(candles, codes[rows][is_open], *(trades[name][rows][is_open] for name in _OF_TRADES))

    def put(self, codes: Index, bars: Columns[Bar]) -> npt.NDArray[np.bool_]:
        """Let final bars of one minute stand for their trades.

        Returns
        -------
        Shape ``(n,)``: which ones are older than the window, so that the day's base is wrong now.
        """
        minutes = bars["ts_open_ns"] // _MINUTE_NS
        is_older = np.zeros(len(bars), dtype=np.bool_)
        for minute in np.unique(minutes).tolist():
            rows = minutes == minute
            if (candles := self._at(minute)) is None:
                is_older |= rows
                continue
            where, at = np.flatnonzero(rows), codes[rows]
            is_newer = ~candles["is_final"][at] | (bars["revision"][rows] > candles["revision"][at])
            where, at = where[is_newer], at[is_newer]
            for name in ("open", "high", "low", "close", "volume", "trades", "revision"):
                candles[name][at] = bars[name][where]
            vwap = bars["vwap"][where]
            candles["amount"][at] = np.where(np.isnan(vwap), 0.0, vwap) * bars["volume"][where]
            candles["is_final"][at] = True
        return is_older

    def restart(self, codes: Index, day_from_ns: int) -> None:
        """Begin a new day for some symbols: what lies before it is none of theirs."""
        self.set_base(codes, _empty(len(codes)))
        first = day_from_ns // _MINUTE_NS
        for minute in range(max(self.newest - KEPT + 1, 0), self.newest + 1):
            if minute < first:
                self._candles[minute % KEPT][codes] = _empty(1)[0]

    def set_base(self, codes: Index, rows: npt.NDArray[np.void]) -> None:
        """Set what some symbols' day holds before the window; rows of `Candle`, shape ``(n,)``."""
        self.base[codes] = rows
        self._settled = None

    def first_ns(self, now_ns: int) -> int:
        """Tell where the window begins: what is older belongs to the base."""
        return (max(self.newest, now_ns // _MINUTE_NS) - KEPT + 1) * _MINUTE_NS

    def closes(self, code: int, count: int) -> list[float | None]:
        """Give the last closes of a symbol, oldest first; None where a minute had none."""
        found = self._column(code, "close", count).tolist()
        return [None if close != close else close for close in found]  # noqa: PLR0124 (NaN)

    def window(self, code: int, from_ns: int, to_ns: int) -> npt.NDArray[np.void] | None:
        """Combine a symbol's minutes within a time; None where there are none. A row of `Candle`."""
        first = max(from_ns // _MINUTE_NS, self.newest - KEPT + 1, 0)
        minutes = np.arange(first, min(-(-to_ns // _MINUTE_NS), self.newest + 1))
        rows = self._candles[minutes % KEPT, code]
        return combined(rows) if len(rows) and has_any(rows).any() else None

    def today(self, codes: Index) -> npt.NDArray[np.void]:
        """Sum up the day of some symbols: rows of `Candle`, shape ``(n,)``."""
        recent = np.arange(self.newest - _MOVING + 1, self.newest + 1) % KEPT
        if self._settled is None:
            older = np.arange(self.newest - KEPT + 1, self.newest - _MOVING + 1) % KEPT
            self._settled = combined(np.concatenate([self.base[None], self._candles[older]]))
        return combined(np.concatenate([self._settled[None, codes], self._candles[np.ix_(recent, codes)]]))

    def _column(self, code: int, name: str, count: int) -> npt.NDArray[np.float64]:
        order = np.arange(self.newest - count + 1, self.newest + 1) % KEPT
        column: npt.NDArray[np.float64] = self._candles[name][order, code]
        return column

    def _at(self, minute: int) -> npt.NDArray[np.void] | None:
        """Give the candles of a minute, moving the window on to it; None if it lies before the window."""
        if self.newest == _NO_MINUTE:
            self.newest = minute
        if minute > self.newest + KEPT:
            # A jump of the clock, or of a replay: everything in between is over.
            for old in range(self.newest - KEPT + 1, self.newest + 1):
                self._retire(old % KEPT)
            self.newest = minute
        while self.newest < minute:
            self.newest += 1
            self._retire(self.newest % KEPT)
        if minute <= self.newest - _MOVING:
            self._settled = None
        candles: npt.NDArray[np.void] = self._candles[minute % KEPT]
        return candles if minute > self.newest - KEPT else None

    def _retire(self, place: int) -> None:
        self.base = combined(np.stack([self.base, self._candles[place]]))
        self._candles[place] = _empty(1)[0]
        self._settled = None


_OF_TRADES = ("price", "size", "flags")


def _empty(count: int) -> npt.NDArray[np.void]:
    rows = np.zeros(count, dtype=Candle)
    for name in ("open", "high", "low", "close"):
        rows[name] = np.nan
    return rows


def has_any(rows: npt.NDArray[np.void]) -> npt.NDArray[np.bool_]:
    """Tell which candles hold anything."""
    found: npt.NDArray[np.bool_] = (rows["trades"] > 0) | ~np.isnan(rows["close"])
    return found


def _sum_up(candles: npt.NDArray[np.void], codes: Index, price: Array, size: Array, flags: Array) -> None:
    sets_last = (flags & Flag.UPDATES_LAST) != 0
    sets_high_low = (flags & Flag.UPDATES_HIGH_LOW) != 0
    counts = (flags & Flag.UPDATES_VOLUME) != 0
    at, prices = codes[sets_last], price[sets_last]
    is_first = np.isnan(candles["open"][at])
    # Of several assignments to one place the last stands: backwards, that is the first trade.
    candles["open"][at[is_first][::-1]] = prices[is_first][::-1]
    candles["close"][at] = prices
    np.fmax.at(candles["high"], codes[sets_high_low], price[sets_high_low])
    np.fmin.at(candles["low"], codes[sets_high_low], price[sets_high_low])
    at = codes[counts]
    np.add.at(candles["volume"], at, size[counts])
    np.add.at(candles["amount"], at, size[counts] * price[counts])
    np.add.at(candles["trades"], at, 1)


def combined(rows: npt.NDArray[np.void]) -> npt.NDArray[np.void]:
    """Combine candles along the first axis, which is that of time."""
    found = np.zeros(rows.shape[1:], dtype=Candle)
    is_set = ~np.isnan(rows["close"])
    first = np.argmax(is_set, axis=0)
    last = len(rows) - 1 - np.argmax(is_set[::-1], axis=0)
    found["open"] = np.take_along_axis(rows["open"], first[None], axis=0)[0]
    found["close"] = np.take_along_axis(rows["close"], last[None], axis=0)[0]
    found["high"] = np.fmax.reduce(rows["high"], axis=0)
    found["low"] = np.fmin.reduce(rows["low"], axis=0)
    for name in ("volume", "amount", "trades", "revision"):
        found[name] = rows[name].sum(axis=0)
    return found
