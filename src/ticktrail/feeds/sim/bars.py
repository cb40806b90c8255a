"""Minute bars as the exchange computes them from its own trades.

A bar (``b``) leaves at the end of its minute; at the half-minute, an updated bar (``u``) for every symbol
whose earlier minute a late trade has changed since. Source: Alpaca, "Real-time Stock Data", bars and
updated bars; which trades count follows the plans' sale conditions.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ticktrail.clock import NS_PER_SECOND
from ticktrail.feeds.sim.messages import E4, PATTERNS, Bar, Event, Rows

__all__ = ["BarMaker"]

_MINUTE_NS = 60 * NS_PER_SECOND
# Late trades come at most 90 s after their time, so the two minutes before the current one may change.
_MINUTES_KEPT = 3

# By condition code (pattern * 3 + tape). Odd lots and extended hours count for volume only; late and
# derivatively priced trades also for high and low.
_SETS_HIGH_LOW = np.repeat([not set(pattern) & set("IT") for pattern in PATTERNS], 3)
_SETS_LAST = np.repeat([not set(pattern) & set("ITZ4") for pattern in PATTERNS], 3)


class _Minute:
    """One minute of every symbol; arrays of shape ``(n_symbols,)``."""

    def __init__(self, n_symbols: int) -> None:
        self.open = np.full(n_symbols, np.nan)
        self.close = np.full(n_symbols, np.nan)
        self.high = np.full(n_symbols, -np.inf)
        self.low = np.full(n_symbols, np.inf)
        self.volume = np.zeros(n_symbols)
        self.trades = np.zeros(n_symbols, dtype=np.int64)
        self.turnover = np.zeros(n_symbols)
        self.changed = np.zeros(n_symbols, dtype=np.bool_)

    def add(self, trades: Rows) -> None:
        n_symbols = len(self.open)
        symbol, price, size = trades["symbol"], trades["price_e4"] / E4, trades["size"]
        self.volume += np.bincount(symbol, size, n_symbols)
        self.turnover += np.bincount(symbol, price * size, n_symbols)
        self.trades += np.bincount(symbol, minlength=n_symbols)
        self.changed[symbol] = True
        ranging = _SETS_HIGH_LOW[trades["conditions"]]
        np.maximum.at(self.high, symbol[ranging], price[ranging])
        np.minimum.at(self.low, symbol[ranging], price[ranging])
        last = _SETS_LAST[trades["conditions"]]
        symbol, price = symbol[last], price[last]
        self.close[symbol] = price
        unopened = np.isnan(self.open[symbol])
        # Backwards, so that the first of several of one symbol is written last.
        self.open[symbol[unopened][::-1]] = price[unopened][::-1]

    def bars(self, kind: str, minute: int, due_ns: int) -> Iterator[Bar]:
        """Give what changed since the last call. Without a price that may open it, there is no bar."""
        for symbol in np.flatnonzero(self.changed & ~np.isnan(self.open)):
            yield Bar(
                due_ns=due_ns,
                symbol=int(symbol),
                ts_event_ns=minute * _MINUTE_NS,
                kind=kind,
                open=float(self.open[symbol]),
                high=float(self.high[symbol]),
                low=float(self.low[symbol]),
                close=float(self.close[symbol]),
                volume=int(self.volume[symbol]),
                trades=int(self.trades[symbol]),
                vwap=round(float(self.turnover[symbol] / self.volume[symbol]), 6),
            )
        self.changed[:] = False


class BarMaker:
    """Gathers trades into minutes (of UTC) and gives their bars when they are due."""

    def __init__(self, n_symbols: int) -> None:
        self._n_symbols = n_symbols
        self._minutes: dict[int, _Minute] = {}
        self._half_minute: int | None = None

    def take(self, trades: Rows, now_ns: int, *, is_last: bool) -> Iterator[Event]:
        """Count one stretch's trades and give the bars that are due at `now_ns`.

        At the market's end (`is_last`) the minute that is not over gives none.
        """
        if len(trades):
            minute = trades["ts_event_ns"] // _MINUTE_NS
            for number in range(int(minute.min()), int(minute.max()) + 1):
                chosen = trades[minute == number]
                if len(chosen):
                    self._minutes.setdefault(number, _Minute(self._n_symbols)).add(chosen)
        half_minute = (now_ns + 1) // (_MINUTE_NS // 2)
        passed = self._half_minute is not None and half_minute != self._half_minute
        self._half_minute = half_minute
        return iter(()) if is_last or not passed else self._due(half_minute, now_ns)

    def _due(self, half_minute: int, now_ns: int) -> Iterator[Event]:
        current = half_minute // 2
        for number in sorted(self._minutes):
            if half_minute % 2 == 0 and number == current - 1:
                yield from self._minutes[number].bars("b", number, now_ns)
            elif half_minute % 2 == 1 and number < current:
                yield from self._minutes[number].bars("u", number, now_ns)
        for number in [number for number in self._minutes if number <= current - _MINUTES_KEPT]:
            del self._minutes[number]
