"""What is known of every symbol right now, in arrays: the watchlist of the page, and of `ticktrail top`.

Everything comes from Kafka but the beginning: the day so far, the last trades of quiet symbols and the
previous close are read from the store (`ticktrail.dashboard.opening`), and whatever a revision changes later.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from ticktrail.dashboard.minutes import Minutes
from ticktrail.model import Array, Bar, Columns, Flag, Quote, Status, Trade
from ticktrail.reference import US_EQUITIES, Market, date_of_day, local_midnight_ns

__all__ = ["STATES", "Board"]

STATES = ("trading", "halted", "paused", "unknown")
_UNKNOWN = STATES.index("unknown")
_STATE_OF = {b"trading": 0, b"resume": 0, b"halt": 1, b"pause": 2}
_SPARKLINE_MINUTES = 40
_LAST_OF = {"last": "price", "size": "size", "ts_ns": "ts_ns", "last_id": "event_id"}
_FIRST_SYMBOLS = 256
_NO_DAY = -(1 << 31)

Index = npt.NDArray[np.int64]

_STATE = np.dtype(
    [
        ("last", "<f8"),
        ("size", "<f8"),
        ("ts_ns", "<i8"),
        ("last_id", "<i8"),
        ("bid", "<f8"),
        ("ask", "<f8"),
        ("bid_size", "<f8"),
        ("ask_size", "<f8"),
        ("bid_venue", "S16"),
        ("ask_venue", "S16"),
        ("quote_ns", "<i8"),
        ("previous_close", "<f8"),
        ("day", "<i4"),
        ("state", "i1"),
        ("changed", "<i8"),
    ]
)


class _Codes(dict[bytes, int]):
    """Numbers keys in the order of their coming."""

    def __missing__(self, key: bytes) -> int:
        self[key] = code = len(self)
        return code


class Board:
    """The state of all symbols. Used by one thread.

    Attributes
    ----------
    minutes
        Their last minutes, and their day.
    turn
        The caller's count of ticks; what changes is marked with it.
    stale
        Codes of symbols whose day has to be read from the store again.
    """

    def __init__(self, market_of: dict[str, Market] | None = None) -> None:
        self.minutes = Minutes(_FIRST_SYMBOLS)
        self.turn = 1
        self.stale: set[int] = set()
        self._markets = market_of or {}
        self._codes = _Codes()
        self._keys: list[tuple[str, str]] = []
        self._state = _unknown(_FIRST_SYMBOLS)

    def __len__(self) -> int:
        return len(self._keys)

    def code(self, feed: str, symbol: str) -> int | None:
        """Find a symbol's number; None where nothing of it has come."""
        return self._codes.get(f"{feed}|{symbol}".encode())

    def key(self, code: int) -> tuple[str, str]:
        """Give the feed and the symbol of a number."""
        return self._keys[code]

    def take_trades(self, trades: Columns[Trade]) -> Index:
        """Take trades in their order; give the number of each symbol, shape ``(n,)``."""
        codes = self._numbered(trades["feed"], trades["symbol"])
        self._begin_days(codes, trades["day"])
        is_today = trades["day"] == self._state["day"][codes]
        if not is_today.all():
            # Of an earlier day: an import, or a very late print. The day's figures are not its.
            trades, of_today = trades.take(is_today), codes[is_today]
        else:
            of_today = codes
        self.minutes.add(of_today, trades)
        sets_last = (trades["flags"] & Flag.UPDATES_LAST) != 0
        at = of_today[sets_last]
        is_newer = trades["ts_ns"][sets_last] >= self._state["ts_ns"][at]
        at = at[is_newer]
        # Of several assignments to one place the last stands.
        for name, source in _LAST_OF.items():
            self._state[name][at] = trades[source][sets_last][is_newer]
        self._state["changed"][of_today] = self.turn
        return codes

    def take_quotes(self, quotes: Columns[Quote]) -> Index:
        """Take quotes in their order; as `take_trades`."""
        codes = self._numbered(quotes["feed"], quotes["symbol"])
        for name in ("bid", "ask"):
            has_side = quotes[f"{name}_size"] > 0
            self._state[name][codes] = np.where(has_side, quotes[f"{name}_price"], np.nan)
            self._state[f"{name}_size"][codes] = quotes[f"{name}_size"]
            self._state[f"{name}_venue"][codes] = quotes[f"{name}_venue"]
        self._state["quote_ns"][codes] = quotes["ts_event_ns"]
        self._state["changed"][codes] = self.turn
        return codes

    def take_status(self, status: Columns[Status]) -> None:
        """Take changes of the trading state."""
        codes = self._numbered(status["feed"], status["symbol"])
        for code, action in zip(codes.tolist(), status["action"].tolist(), strict=True):
            if action in _STATE_OF:
                self._state["state"][code] = _STATE_OF[action]
                self._state["changed"][code] = self.turn

    def take_bars(self, bars: Columns[Bar]) -> None:
        """Take final bars of one minute; the others do not concern the day's figures."""
        bars = bars.take((bars["interval"] == b"1m") & bars["is_final"])
        if not len(bars):
            return
        codes = self._numbered(bars["feed"], bars["symbol"])
        self._begin_days(codes, bars["day"])
        is_today = bars["day"] == self._state["day"][codes]
        codes, bars = codes[is_today], bars.take(is_today)
        is_older = self.minutes.put(codes, bars)
        self.stale.update(codes[is_older & (bars["revision"] > 0)].tolist())
        self._state["changed"][codes] = self.turn

    def set_previous_close(self, feed: str, symbol: str, price: float) -> None:
        """Set what a change is counted from."""
        self._state["previous_close"][self._numbered_one(feed, symbol)] = price

    def open_day(self, feed: str, symbol: str, day: int, base: npt.NDArray[np.void]) -> None:
        """Set what a symbol's day holds before the window of `minutes`; `base` is one row of `Candle`."""
        code = np.array([self._numbered_one(feed, symbol)])
        if self._state["day"][code][0] <= day:
            self._state["day"][code] = day
            self.minutes.set_base(code, base)
            self._state["changed"][code] = self.turn

    def changed_since(self, codes: Index | None, turn: int) -> Index:
        """Find what has changed after a turn, of some symbols or of all."""
        if codes is None:
            return np.flatnonzero(self._state["changed"][: len(self)] > turn)
        found: Index = codes[self._state["changed"][codes] > turn]
        return found

    def changed_of(self, codes: Index) -> Index:
        """Give the turn in which each symbol changed last."""
        found: Index = self._state["changed"][codes]
        return found

    def rows(self, codes: Index, *, sparklines: bool = False) -> list[dict[str, Any]]:
        """Describe symbols, as the API gives them; what is not known is None."""
        if not len(codes):
            return []
        state, day = self._state[codes], self.minutes.today(codes)
        has_close = ~np.isnan(state["previous_close"])
        from_price = np.where(has_close, state["previous_close"], day["open"])
        with np.errstate(divide="ignore", invalid="ignore"):
            change = state["last"] - from_price
            columns = {
                "last": state["last"],
                "size": state["size"],
                "change": change,
                "change_pct": change / from_price * 100,
                "open": day["open"],
                "high": day["high"],
                "low": day["low"],
                "vwap": day["amount"] / day["volume"],
                "bid": state["bid"],
                "ask": state["ask"],
                "bid_size": state["bid_size"],
                "ask_size": state["ask_size"],
                "spread": state["ask"] - state["bid"],
            }
        plain: dict[str, list[Any]] = {name: _or_none(values) for name, values in columns.items()}
        plain |= {name: day[name].tolist() for name in ("volume", "trades")}
        plain["ts_ns"] = [ts_ns or None for ts_ns in state["ts_ns"].tolist()]
        plain["state"] = [STATES[number] for number in state["state"].tolist()]
        plain["change_base"] = np.where(has_close, "close", "open").tolist()
        names = list(plain)
        found = []
        for code, *values in zip(codes.tolist(), *plain.values(), strict=True):
            feed, symbol = self._keys[code]
            row = {"feed": feed, "symbol": symbol, **dict(zip(names, values, strict=True))}
            if sparklines:
                row["sparkline"] = self.minutes.closes(code, _SPARKLINE_MINUTES)
            found.append(row)
        return found

    def quote(self, code: int) -> dict[str, Any] | None:
        """Give a symbol's best bid and ask with their venues; None where no quote has come."""
        state = self._state[code]
        if not state["quote_ns"]:
            return None
        found: dict[str, Any] = {"ts_ns": int(state["quote_ns"])}
        for side in ("bid", "ask"):
            price = float(state[side])
            found[side] = None if np.isnan(price) else price
            found[f"{side}_size"] = float(state[f"{side}_size"])
            found[f"{side}_venue"] = state[f"{side}_venue"].decode("utf-8", "replace")
        return found

    def codes_of(self, records: Columns[Any]) -> Index:
        """Give the number of each record's symbol, shape ``(n,)``."""
        return self._numbered(records["feed"], records["symbol"])

    def last_id(self, code: int) -> int:
        """Give the event id of the trade that made a symbol's last price; 0 where none is known."""
        return int(self._state["last_id"][code])

    def set_last(self, code: int, ts_ns: int, event_id: int, price: float, size: float) -> None:
        """Set a symbol's last price, because another one does not stand any more."""
        for name, value in zip(
            ("ts_ns", "last_id", "last", "size"), (ts_ns, event_id, price, size), strict=True
        ):
            self._state[name][code] = value
        self._state["changed"][code] = self.turn

    def day_of(self, code: int) -> int | None:
        """Give the trading date that a symbol is in, in days since 1970-01-01."""
        day = int(self._state["day"][code])
        return None if day == _NO_DAY else day

    def day_from_ns(self, code: int) -> int:
        """Tell when the trading date that a symbol is in began."""
        return self._midnight_ns(self._keys[code][0], int(self._state["day"][code]))

    def _midnight_ns(self, feed: str, day: int) -> int:
        return local_midnight_ns(date_of_day(day), self._markets.get(feed, US_EQUITIES).zone)

    def _begin_days(self, codes: Index, days: Array) -> None:
        """Where a symbol's first record of a later day has come, begin that day."""
        if not (is_new := days > self._state["day"][codes]).any():
            return
        newest: dict[int, int] = {}
        for code, day in zip(codes[is_new].tolist(), days[is_new].tolist(), strict=True):
            newest[code] = max(day, newest.get(code, day))
        for code, day in newest.items():
            state = self._state[code]
            if state["day"] != _NO_DAY:
                state["previous_close"] = state["last"]
            state["day"] = day
            self.minutes.restart(np.array([code]), self._midnight_ns(self._keys[code][0], day))

    def _numbered_one(self, feed: str, symbol: str) -> int:
        codes = self._numbered(np.array([feed.encode()]), np.array([symbol.encode()]))
        return int(codes[0])

    def _numbered(self, feeds: Array, symbols: Array) -> Index:
        keys: Iterable[bytes] = np.strings.add(np.strings.add(feeds, b"|"), symbols).tolist()
        codes = np.fromiter(map(self._codes.__getitem__, keys), dtype=np.int64, count=len(feeds))
        if len(self._codes) > len(self._keys):
            self._note_new()
        return codes

    def _note_new(self) -> None:
        for key in list(self._codes)[len(self._keys) :]:
            feed, _, symbol = key.decode("utf-8", "replace").partition("|")
            self._keys.append((feed, symbol))
        if len(self._keys) > len(self._state):
            size = max(2 * len(self._state), len(self._keys))
            self._state = np.concatenate([self._state, _unknown(size - len(self._state))])
            self.minutes.grow(size)


def _unknown(count: int) -> npt.NDArray[np.void]:
    rows = np.zeros(count, dtype=_STATE)
    for name in ("last", "size", "bid", "ask", "bid_size", "ask_size", "previous_close"):
        rows[name] = np.nan
    rows["day"], rows["state"] = _NO_DAY, _UNKNOWN
    return rows


def _or_none(values: npt.NDArray[np.float64]) -> list[float | None]:
    found: list[float | None] = values.tolist()
    for index in np.flatnonzero(~np.isfinite(values)).tolist():
        found[index] = None
    return found
