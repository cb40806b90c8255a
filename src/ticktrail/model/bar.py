"""Open, high, low, close, volume of an interval."""

from __future__ import annotations

from ticktrail.model.fields import Int32, Int64, Record

__all__ = ["INTERVALS_NS", "Bar"]

_SECOND_NS = 1_000_000_000

# Lengths of the intervals; a day's bar spans the venue's trading date, whatever its length.
INTERVALS_NS = {
    "1s": _SECOND_NS,
    "1m": 60 * _SECOND_NS,
    "5m": 300 * _SECOND_NS,
    "1h": 3_600 * _SECOND_NS,
    "1d": 86_400 * _SECOND_NS,
}


class Bar(Record, frozen=True, kw_only=True, gc=False):
    """One OHLCV bar, from `ts_open_ns` (inclusive) to `ts_close_ns` (exclusive).

    Parameters
    ----------
    interval
        A key of `INTERVALS_NS`.
    day
        The venue's trading date of the opening, in days since 1970-01-01.
    open, high, low, close
        Of the trades that may set them (``Flag.UPDATES_LAST``, ``Flag.UPDATES_HIGH_LOW``); NaN where
        the interval had only trades that may not, such as odd lots.
    volume
        Shares or units, of the trades with ``Flag.UPDATES_VOLUME``.
    vwap
        Volume-weighted average price of those trades; NaN where `volume` is 0.
    trades
        How many those trades are.
    session
        ``"pre"``, ``"regular"``, ``"post"`` or ``"closed"``, at the opening; ``"day"`` for ``"1d"``.
    revision
        0 at first; each correction of the bar raises it. Of a longer bar never less than the sum of its
        minutes'.
    is_final
        False while the interval is still open.
    flags
        Bits of `ticktrail.model.flags.Flag` that hold for any of its trades (``SNAPSHOT``).
    """

    feed: str
    symbol: str
    interval: str
    day: Int32
    ts_open_ns: Int64
    ts_close_ns: Int64
    open: float
    high: float
    low: float
    close: float
    volume: float
    vwap: float
    trades: Int64
    session: str
    revision: Int32 = 0
    is_final: bool = True
    flags: Int32 = 0
