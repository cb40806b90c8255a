"""The newest trades and bars of all symbols, for those who look at one of them."""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ticktrail.bars.candles import candles_of_seconds, unique_trades
from ticktrail.bars.rows import trade_rows
from ticktrail.dashboard.amended import Amendments
from ticktrail.dashboard.answers import BAR_COLUMNS
from ticktrail.model import INTERVALS_NS, Bar, Columns, Flag, Trade

__all__ = ["Tape"]

# About 10 MB; at 10,000 trades a second the last ten seconds.
_TRADES_MAX = 100_000
# Final bars of the last minutes: a client that was away for longer takes them from the store.
_BARS_MAX = 100_000
_SECOND_NS = INTERVALS_NS["1s"]

Index = npt.NDArray[np.int64]


class _Trades(NamedTuple):
    serial: int
    codes: Index
    columns: Columns[Trade]


class _Bars(NamedTuple):
    serial: int
    columns: Columns[Bar]


class Tape:
    """Keeps what came last. Used by one thread.

    Attributes
    ----------
    serial
        Of what came last of all: who has seen everything so far asks for what is after it.
    """

    def __init__(self) -> None:
        self._trades: deque[_Trades] = deque()
        self._bars: deque[_Bars] = deque()
        self._trades_count = self._bars_count = 0
        self.serial = 0

    def add_trades(self, codes: Index, trades: Columns[Trade]) -> None:
        """Keep trades; `codes` tells the symbol of each."""
        self.serial += 1
        self._trades.append(_Trades(self.serial, codes, trades))
        self._trades_count += len(trades)
        while self._trades_count > _TRADES_MAX and len(self._trades) > 1:
            self._trades_count -= len(self._trades.popleft().columns)

    def add_bars(self, bars: Columns[Bar]) -> None:
        """Keep final bars."""
        self.serial += 1
        self._bars.append(_Bars(self.serial, bars))
        self._bars_count += len(bars)
        while self._bars_count > _BARS_MAX and len(self._bars) > 1:
            self._bars_count -= len(self._bars.popleft().columns)

    def trades_of(self, code: int, after: int, count_max: int) -> tuple[list[dict[str, Any]], int]:
        """Give a symbol's newest trades after a serial, oldest first, and how many are left out."""
        found = []
        for part in reversed(self._trades):
            if part.serial <= after:
                break
            if (mine := np.flatnonzero(part.codes == code)).size:
                found.append(part.columns.take(mine))
            if after < 0 and sum(map(len, found)) >= count_max:
                break
        if not found:
            return [], 0
        trades = Columns.concat(found[::-1])
        left_out = max(len(trades) - count_max, 0)
        return _plain_trades(trades.take(slice(left_out, None))), left_out if after >= 0 else 0

    def last_of(self, code: int, amended: Amendments) -> tuple[int, int, float, float] | None:
        """Find the newest trade that makes a symbol's last price, by what stands of each.

        Returns
        -------
        Its time, event id, price and size; None where none is kept.
        """
        best: tuple[int, int, float, float] | None = None
        for part in reversed(self._trades):
            trades = part.columns.take(np.flatnonzero(part.codes == code))
            times = trades["ts_ns"]
            for at in np.argsort(times, kind="stable")[::-1].tolist():
                event_id, ts_ns = int(trades["event_id"][at]), int(times[at])
                if best is not None and ts_ns <= best[0]:
                    break
                price, size = float(trades["price"][at]), float(trades["size"][at])
                counts = bool(trades["flags"][at] & Flag.UPDATES_LAST)
                if (word := amended.of(code, event_id)) is not None:
                    price, size = word.price, word.size
                    counts = word.sets_last and not word.is_taken_back
                if counts:
                    best = ts_ns, event_id, price, size
        return best

    def bars_of(self, feed: str, symbol: str, interval: str, after: int) -> list[dict[str, Any]]:
        """Give the final bars of a symbol that came after a serial, in their order."""
        found: list[dict[str, Any]] = []
        for part in reversed(self._bars):
            if part.serial <= after:
                break
            bars = part.columns
            rows = (bars["symbol"] == symbol.encode()) & (bars["interval"] == interval.encode())
            rows &= bars["feed"] == feed.encode()
            if rows.any():
                found[:0] = [_plain_bar(bar) for bar in bars.take(rows).to_records()]
        return found

    def forming_second(self, code: int) -> dict[str, Any] | None:
        """Sum up the newest second of a symbol."""
        newest: Columns[Trade] | None = None
        for part in reversed(self._trades):
            mine = np.flatnonzero(part.codes == code)
            if not mine.size:
                continue
            trades = part.columns.take(mine)
            if newest is None:
                second_ns = int(trades["ts_ns"].max()) // _SECOND_NS * _SECOND_NS
                newest = trades
            elif int(trades["ts_ns"].max()) < second_ns:
                break
            else:
                newest = Columns.concat([trades, newest])
        if newest is None:
            return None
        candles = candles_of_seconds(unique_trades(trade_rows(newest.take(newest["ts_ns"] >= second_ns))))
        if not len(candles):
            return None
        row = candles[0]
        prices = {name: _or_none(float(row[name])) for name in ("open", "high", "low", "close", "vwap")}
        return {
            "ts_open_ns": second_ns,
            "ts_close_ns": second_ns + _SECOND_NS,
            **prices,
            "volume": float(row["volume"]),
            "trades": int(row["trades"]),
            "revision": 0,
            "is_final": False,
            "flags": int(row["flags"]),
        }


def _plain_bar(bar: Bar) -> dict[str, Any]:
    return {name: _or_none(getattr(bar, name)) for name in BAR_COLUMNS}


def _plain_trades(trades: Columns[Trade]) -> list[dict[str, Any]]:
    names = ("ts_event_ns", "price", "size", "side", "venue", "conditions", "flags", "trade_id", "event_id")
    columns = [
        [text.decode("utf-8", "replace") for text in trades[name].tolist()]
        if trades[name].dtype.kind == "S"
        else trades[name].tolist()
        for name in names
    ]
    # As a text: JavaScript would round it.
    columns[-1] = [str(event_id) for event_id in columns[-1]]
    shown = ("ts_ns", *names[1:])
    return [dict(zip(shown, row, strict=True)) for row in zip(*columns, strict=True)]


def _or_none(value: Any) -> Any:
    return None if isinstance(value, float) and value - value != 0 else value
