"""Bars of a whole set of trades at once, and the windows that they stand for."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import numpy.typing as npt

from ticktrail.bars.candles import Times, candles_of_seconds, rolled_up, unique_trades
from ticktrail.bars.rows import Rows, take, trade_rows
from ticktrail.model import INTERVALS_NS, Array, Bar, Columns, Trade
from ticktrail.model.identity import floor_ts_ns
from ticktrail.reference.days import date_of_day, local_midnight_ns, trading_days
from ticktrail.reference.sessions import US_EQUITIES, Market, sessions

__all__ = ["LEVELS", "bars_of", "candles_to_bars", "empty_bars", "is_emptied", "midnight_ns", "opens_of"]

# Each level is summed from the one before it.
LEVELS = ("1s", "1m", "5m", "1h", "1d")


def bars_of(trades: Columns[Trade], interval: str, market: Market = US_EQUITIES) -> Columns[Bar]:
    """Build the bars of a set of trades.

    Parameters
    ----------
    trades
        In any order, with any repetitions: trades with one identity count once, as the last of them.
    interval
        A key of `INTERVALS_NS`. Windows up to an hour are aligned to UTC, a day is the market's trading
        date. A trade belongs to the window of its `ts_ns`.
    market
        Gives trading dates and sessions.

    Returns
    -------
    One final bar per feed, symbol and window in which a trade may update anything, sorted by feed, then
    by symbol in a fixed order, then by time. To the last bit what a live `BarBuilder` makes of the set.
    """
    parts = [_bars_of_feed(trades, feed, interval, market) for feed in np.unique(trades["feed"])]
    return Columns.concat(parts) if parts else empty_bars()


def opens_of(interval: str, market: Market) -> Callable[[Times], Times]:
    """Give the function from instants to the openings of the windows that hold them."""
    if interval == "1d":
        return partial(_midnights_ns, market=market)
    return partial(floor_ts_ns, resolution_ns=INTERVALS_NS[interval])


def candles_to_bars(
    candles: Rows, feed: bytes, interval: str, market: Market, *, is_final: bool = True
) -> Columns[Bar]:
    """Turn rows of bars in the making into records; sizes stay ``(n,)``."""
    ts_open_ns = np.ascontiguousarray(candles["ts_open_ns"])
    day = trading_days(ts_open_ns, market.zone)
    session: Array | str
    if interval == "1d":
        session = "day"
        # Not 24 hours where clocks are changed.
        ts_close_ns = _of_each(day + 1, market)
    else:
        session = sessions(ts_open_ns, market)
        ts_close_ns = ts_open_ns + INTERVALS_NS[interval]
    copied = ("symbol", "open", "high", "low", "close", "volume", "vwap", "trades", "flags", "revision")
    return Columns(
        Bar,
        {
            "feed": np.full(len(candles), feed),
            "interval": interval,
            "day": day,
            "ts_open_ns": ts_open_ns,
            "ts_close_ns": ts_close_ns,
            "session": session,
            "is_final": is_final,
            **{name: np.ascontiguousarray(candles[name]) for name in copied},
        },
    )


def empty_bars() -> Columns[Bar]:
    """Make columns without rows."""
    return Columns.from_records(Bar, [])


def is_emptied(bars: Columns[Bar]) -> npt.NDArray[np.bool_]:
    """Tell which bars stand for windows that have lost all their trades to cancels; shape ``(n,)``.

    Such a bar is kept, with no trades and no prices, so that its revision goes on and nobody takes the one
    before for the last. No other bar looks like that: each has a trade that updates something.
    """
    emptied: npt.NDArray[np.bool_] = (bars["trades"] == 0) & (bars["volume"] == 0)
    for name in ("open", "high", "low", "close"):
        emptied &= np.isnan(bars[name])
    return emptied


def midnight_ns(day: int, market: Market) -> int:
    """Give the instant at which a trading date begins."""
    return local_midnight_ns(date_of_day(day), market.zone)


def _bars_of_feed(trades: Columns[Trade], feed: bytes, interval: str, market: Market) -> Columns[Bar]:
    rows = trade_rows(trades)
    of_feed = trades["feed"] == feed
    if not of_feed.all():
        rows = take(rows, of_feed)
    candles = candles_of_seconds(unique_trades(rows))
    for level in LEVELS[1 : LEVELS.index(interval) + 1]:
        candles = rolled_up(candles, opens_of(level, market))
    return candles_to_bars(candles, feed, interval, market)


def _midnights_ns(ts_ns: Times, market: Market) -> Times:
    return _of_each(trading_days(ts_ns, market.zone), market)


def _of_each(days: Array, market: Market) -> Times:
    distinct, inverse = np.unique(days, return_inverse=True)
    midnights_ns: Times = np.array([midnight_ns(int(day), market) for day in distinct], dtype=np.int64)[
        inverse
    ]
    return midnights_ns
