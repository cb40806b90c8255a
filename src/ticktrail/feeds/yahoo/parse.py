"""Frames to columns: each snapshot a trade, flagged as what it is.

Yahoo sends a symbol's state now and then: the last price, and the volume of the day so far. Each becomes a
`Trade` with ``Flag.SNAPSHOT``, whose size is the rise of the volume since the snapshot before.

- The first snapshot of a symbol has size 0: what was traded before is not known to be new.
- Where the volume falls, on a later trading date or by more than half, the venue has begun to count anew:
  the size is all of the new volume. (It does so some time before the opening; until then snapshots of the
  new date still carry the old volume.)
- Where it falls by less within a date, the venue has corrected itself, and where the snapshot is older than
  one before, it is late: the size is 0, and later rises count from the highest volume so far, so nothing
  counts twice.
- A snapshot without volume (indices, currencies) has size 0.

So the sum of a day's sizes is what the volume rose while ticktrail listened, never more. Replaying the
frames of a connection from its beginning gives the same sizes.

Identity: times come in whole milliseconds, the feed's resolution. `event_id` is a hash of price, volume and
size: a snapshot that is sent again within a run differs from the first by its size of 0, and takes nothing
away from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ticktrail.clock import NS_PER_MS
from ticktrail.feeds.base import Frame, Parsed, Rejected
from ticktrail.feeds.text import fits_column, text_column
from ticktrail.feeds.timestamps import TIME_NS_MAX
from ticktrail.feeds.unknown import UnknownCounts
from ticktrail.feeds.yahoo.exchanges import EXCHANGES, UNKNOWN, Exchange
from ticktrail.feeds.yahoo.pricing_pb2 import Pricing
from ticktrail.feeds.yahoo.symbols import from_yahoo
from ticktrail.feeds.yahoo.wire import decode_frame
from ticktrail.model import Columns, Flag, Trade
from ticktrail.model.identity import event_ids_from_content
from ticktrail.reference import trading_days

__all__ = ["YahooParser"]

_TIME_MS_MAX = TIME_NS_MAX // NS_PER_MS
_VOLUME_MAX = 10**15
_HEARTBEAT = 7
_REGULAR_HOURS = 1
# 0: before, 1: regular, 2: after, 3: overnight.
_MARKET_HOURS = frozenset({0, 1, 2, 3})

# More than all symbols that Yahoo lists in the US; beyond it the one seen first is forgotten.
_SYMBOLS_MAX = 65_536

NO_VOLUME = -1


class _Snapshot(NamedTuple):
    symbol: str
    ts_recv_ns: int
    ts_ms: int
    price: float
    volume: int
    exchange: Exchange
    is_regular: bool


class YahooParser:
    """Parses what Yahoo connections received.

    It remembers each symbol's volume, which replaying the same frames rebuilds. Not for use by two threads.

    Parameters
    ----------
    feed
        The feed's name, for the records.
    """

    def __init__(self, feed: str = "yahoo") -> None:
        self._feed = feed.encode()
        # Per symbol, the last snapshot whose volume counted: its trading date, time and volume.
        self._volumes: dict[str, tuple[int, int, int]] = {}

    def parse(self, frames: Sequence[Frame]) -> Parsed:
        """Turn frames into columns; see `ticktrail.feeds.base.Feed.parse`."""
        unknown = UnknownCounts()
        rejected: list[Rejected] = []
        snapshots: list[_Snapshot] = []
        for frame in frames:
            message = decode_frame(frame.payload, unknown)
            if isinstance(message, Pricing):
                found = _read(message, frame, unknown)
                if isinstance(found, _Snapshot):
                    snapshots.append(found)
                elif found is not None:
                    rejected.append(found)
            elif message is not None:
                rejected.append(message)
        columns = (self._to_columns(snapshots),) if snapshots else ()
        return Parsed(columns=columns, rejected=tuple(rejected), unknown=unknown.to_dict())

    def _to_columns(self, snapshots: Sequence[_Snapshot]) -> Columns[Any]:
        symbols, recv_ns, times_ms, prices, volumes, exchanges, is_regular = zip(*snapshots, strict=True)
        ts_event_ns = np.array(times_ms, np.int64) * NS_PER_MS
        days = _days(ts_event_ns, [exchange.zone for exchange in exchanges])
        rises = map(self._rise, symbols, days.tolist(), times_ms, volumes)
        size = np.fromiter(rises, np.float64, len(symbols))
        price = _decimal(np.array(prices, np.float32))
        flags = np.full(len(symbols), int(Flag.SNAPSHOT), np.int32)
        # Outside regular hours prices set no last, high or low, as with the tapes' condition T.
        flags[np.array(is_regular)] |= int(Flag.UPDATES_LAST | Flag.UPDATES_HIGH_LOW)
        flags[size > 0] |= int(Flag.UPDATES_VOLUME)
        return Columns(
            Trade,
            {
                "feed": np.full(len(symbols), self._feed),
                "symbol": text_column(symbols),
                "day": days,
                "ts_ns": ts_event_ns,
                "event_id": event_ids_from_content([price, np.array(volumes, np.int64), size]),
                "ts_event_ns": ts_event_ns,
                "ts_recv_ns": np.array(recv_ns, np.int64),
                "price": price,
                "size": size,
                "flags": flags,
                "venue": text_column([exchange.mic for exchange in exchanges]),
            },
        )

    def _rise(self, symbol: str, day: int, ts_ms: int, volume: int) -> int:
        """Give a snapshot's size, and remember its volume if it counts."""
        if volume == NO_VOLUME:
            return 0
        before = self._volumes.get(symbol)
        if before is None:
            if len(self._volumes) >= _SYMBOLS_MAX:
                del self._volumes[next(iter(self._volumes))]
            self._volumes[symbol] = (day, ts_ms, volume)
            return 0
        last_day, last_ms, highest = before
        is_anew = ts_ms > last_ms and (day > last_day or 2 * volume < highest)
        if day < last_day or volume == highest or (volume < highest and not is_anew):
            return 0
        self._volumes[symbol] = (day, max(ts_ms, last_ms), volume)
        return volume - highest if volume > highest else volume


def _read(message: Pricing, frame: Frame, unknown: UnknownCounts) -> _Snapshot | Rejected | None:
    """Check one message; None for a heartbeat, which is counted."""
    if message.quote_type == _HEARTBEAT:
        unknown.add("message", "heartbeat")
        return None
    symbol = message.id
    if not symbol or not fits_column(symbol):
        return Rejected(frame.payload, "bad_symbol", f"id is {symbol[:40]!r}")
    if not 0 <= message.time < _TIME_MS_MAX or not message.HasField("time"):
        return Rejected(frame.payload, "bad_time", f"time of {symbol} is {message.time}")
    # NaN compares false, too.
    if not 0 < message.price < float("inf"):
        return Rejected(frame.payload, "bad_price", f"price of {symbol} is {message.price}")
    volume = message.day_volume if message.HasField("day_volume") else NO_VOLUME
    if message.HasField("day_volume") and not 0 <= volume < _VOLUME_MAX:
        return Rejected(frame.payload, "bad_volume", f"day_volume of {symbol} is {volume}")
    exchange = EXCHANGES.get(message.exchange, UNKNOWN)
    if exchange is UNKNOWN:
        unknown.add("exchange", message.exchange)
    if message.market_hours not in _MARKET_HOURS:
        unknown.add("market_hours", str(message.market_hours))
    is_regular = message.market_hours == _REGULAR_HOURS
    return _Snapshot(
        from_yahoo(symbol), frame.ts_recv_ns, message.time, message.price, volume, exchange, is_regular
    )


def _decimal(prices: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Undo the venue's rounding to float32: 177.42, not 177.4199981689453.

    The venue had a decimal price and sent the nearest float32. The shortest decimal text that reads back as
    that float32 is that price, as long as it has no more than 6 digits, and a neighbour within the
    float32's own error otherwise. Widening the bits instead would show digits that were never there.
    """
    texts = prices.astype("U")  # NumPy writes the shortest text, per value of its own type
    return texts.astype(np.float64)


def _days(ts_ns: npt.NDArray[np.int64], zones: Sequence[str]) -> npt.NDArray[np.int32]:
    distinct = set(zones)
    if len(distinct) == 1:
        return trading_days(ts_ns, zones[0])
    days = np.zeros(len(ts_ns), np.int32)
    zone_of = np.array(zones)
    for zone in distinct:
        rows = zone_of == zone
        days[rows] = trading_days(ts_ns[rows], zone)
    return days
