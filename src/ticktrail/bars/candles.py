"""The arithmetic of bars: seconds from trades, longer intervals from shorter ones.

Every bar, live or rebuilt, is summed up the same tree: trades → 1 s → 1 min → 5 min → 1 h → 1 day, each
level in the order of time. So equal sets of trades give equal bars to the last bit, whatever order,
batches or repetitions they came in.

Within a bar trades stand in the order of their identity, ``(ts_ns, event_id)``: the store's own
clustering order, the same on every path of a feed, and total. The finer ``ts_event_ns`` would not do: one
path of a feed may lack its last digits (milliseconds on a websocket, nanoseconds over REST), and a bar
would then change its open or close when a repair brings the same trades over the other path. Where one
identity came twice with different content, the later arrival stands, as it does in the store.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from ticktrail.bars.rows import Rows, candle_rows, run_starts, take, unique
from ticktrail.model import INTERVALS_NS, Array, Flag
from ticktrail.model.identity import floor_ts_ns

__all__ = ["Times", "candles_of_seconds", "rolled_up", "unique_trades"]

_SECOND_NS = INTERVALS_NS["1s"]
_COUNTED = int(Flag.UPDATES_LAST | Flag.UPDATES_HIGH_LOW | Flag.UPDATES_VOLUME)
_CARRIED = int(Flag.SNAPSHOT)

Times = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


def unique_trades(rows: Rows) -> Rows:
    """Sort trades of one feed by symbol and identity, each identity once: the last that came."""
    return unique(rows, ("ts_ns", "event_id"))


def candles_of_seconds(trades: Rows) -> Rows:
    """Sum up trades into bars of one second.

    Parameters
    ----------
    trades
        From `unique_trades`. Those that may update nothing (no bit of the three) are left out; a second
        that has only such makes no bar.

    Returns
    -------
    One row per symbol and second that has trades, sorted by both.
    """
    flags = trades["flags"]
    if not (flags & _COUNTED).all():
        trades = take(trades, (flags & _COUNTED) != 0)
        flags = trades["flags"]
    if len(trades) == 0:
        return candle_rows(trades["symbol"], 0)
    opens_ns = floor_ts_ns(trades["ts_ns"], _SECOND_NS)
    starts = run_starts(trades, opens_ns)
    price = trades["price"]
    sets_last = (flags & Flag.UPDATES_LAST) != 0
    sets_high_low = (flags & Flag.UPDATES_HIGH_LOW) != 0
    counts = (flags & Flag.UPDATES_VOLUME) != 0
    candles = candle_rows(trades["symbol"][starts], len(starts))
    candles["ts_open_ns"] = opens_ns[starts]
    candles["open"] = _first(price, sets_last, starts)
    candles["close"] = _last(price, sets_last, starts)
    candles["high"] = _extreme(np.fmax, price, sets_high_low, starts)
    candles["low"] = _extreme(np.fmin, price, sets_high_low, starts)
    size = np.where(counts, trades["size"], 0.0)
    _sum_up(candles, size, price, starts)
    candles["trades"] = np.add.reduceat(counts.astype(np.int64), starts)
    candles["flags"] = np.bitwise_or.reduceat(flags & _CARRIED, starts)
    candles["revision"] = 0
    return candles


def rolled_up(candles: Rows, opens_of: Callable[[Times], Times]) -> Rows:
    """Combine bars into longer ones.

    Parameters
    ----------
    candles
        Bars of one shorter interval. Of several with one symbol and opening the last stands: a bar that
        is given anew replaces the one before.
    opens_of
        Finds the openings of the longer windows from those of the bars in them; shapes ``(n,)``, rising.

    Returns
    -------
    One row per symbol and longer window: the first open and the last close that are set, the highest
    high, the lowest low, the sums of volume, trades and revisions, the mean of the vwaps weighted by volume.
    """
    if len(candles) == 0:
        return candles
    parts = unique(candles, ("ts_open_ns",))
    opens_ns = opens_of(parts["ts_open_ns"])
    starts = run_starts(parts, opens_ns)
    rolled = candle_rows(parts["symbol"][starts], len(starts))
    rolled["ts_open_ns"] = opens_ns[starts]
    is_set = ~np.isnan(parts["open"])
    rolled["open"] = _first(parts["open"], is_set, starts)
    rolled["close"] = _last(parts["close"], is_set, starts)
    rolled["high"] = np.fmax.reduceat(parts["high"], starts)
    rolled["low"] = np.fmin.reduceat(parts["low"], starts)
    _sum_up(rolled, parts["volume"], parts["vwap"], starts)
    rolled["trades"] = np.add.reduceat(parts["trades"], starts)
    rolled["flags"] = np.bitwise_or.reduceat(parts["flags"], starts)
    rolled["revision"] = np.add.reduceat(parts["revision"], starts)
    return rolled


def _first(values: Floats, is_set: Mask, starts: Array) -> Floats:
    n = len(values)
    # n, where none is set, points at the NaN behind the values.
    chosen = starts if is_set.all() else np.minimum.reduceat(np.where(is_set, np.arange(n), n), starts)
    first: Floats = np.append(values, np.nan)[chosen]
    return first


def _last(values: Floats, is_set: Mask, starts: Array) -> Floats:
    n = len(values)
    # -1, where none is set, points at the NaN behind the values.
    chosen = np.maximum.reduceat(np.where(is_set, np.arange(n), -1), starts)
    last: Floats = np.append(values, np.nan)[chosen]
    return last


def _extreme(reduce: np.ufunc, values: Array, is_set: Mask, starts: Array) -> Floats:
    chosen = values if is_set.all() else np.where(is_set, values, np.nan)
    extreme: Floats = reduce.reduceat(chosen, starts)
    return extreme


def _sum_up(candles: Rows, size: Floats, price: Floats, starts: Array) -> None:
    # Prices near the limit of float64 make an infinite vwap: wrong input, but no reason to stop.
    with np.errstate(over="ignore", invalid="ignore"):
        amount = np.multiply(price, size, out=np.zeros(len(size)), where=size > 0)
        volume = np.add.reduceat(size, starts)
        total = np.add.reduceat(amount, starts)
        vwap = np.divide(total, volume, out=np.full(len(starts), np.nan), where=volume > 0)
    candles["volume"] = volume
    candles["vwap"] = vwap
