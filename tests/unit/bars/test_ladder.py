"""Longer bars from minutes: what waits, and for how long."""

from __future__ import annotations

import numpy as np

from ticktrail.bars.ladder import Ladder
from ticktrail.bars.rows import Rows, candle_rows
from ticktrail.reference.sessions import US_EQUITIES

MINUTE_NS = 60_000_000_000
DAY = 20_000
NOON_NS = DAY * 86_400_000_000_000 + 17 * 60 * MINUTE_NS
SYMBOLS = np.array([b"AAPL", b"MSFT", b"TSLA"], dtype="S8")


def minutes_of(first: int, count: int, *, price: float = 100.0) -> Rows:
    """Make minutes of each symbol, from the `first` one after noon on."""
    rows = candle_rows(np.repeat(SYMBOLS, count), len(SYMBOLS) * count)
    rows["ts_open_ns"] = np.tile(NOON_NS + (first + np.arange(count)) * MINUTE_NS, len(SYMBOLS))
    for name in ("open", "high", "low", "close", "vwap"):
        rows[name] = price
    rows["volume"], rows["trades"], rows["flags"], rows["revision"] = 10.0, 1, 0, 0
    return rows


def test_minutes_that_come_again_take_no_more_room() -> None:
    ladder = Ladder(DAY, US_EQUITIES)
    closed_ns = NOON_NS + 23 * MINUTE_NS
    ladder.add(minutes_of(0, 23))
    assert [interval for interval, _ in ladder.advance(closed_ns)] == ["5m"]
    held = len(ladder)
    assert held == len(SYMBOLS) * (3 + 4)  # minutes of the open 5, and the 5 minutes of the open hour
    for _ in range(200):
        ladder.seed(minutes_of(0, 23), closed_ns)
    assert len(ladder) == held


def test_of_minutes_that_come_again_the_last_counts() -> None:
    ladder = Ladder(DAY, US_EQUITIES)
    ladder.add(minutes_of(0, 58))
    ladder.advance(NOON_NS + 58 * MINUTE_NS)
    ladder.seed(minutes_of(0, 58, price=90.0), NOON_NS + 58 * MINUTE_NS)
    ladder.add(minutes_of(58, 2))
    closed = dict(ladder.advance(NOON_NS + 60 * MINUTE_NS))
    hours = closed["1h"]
    assert sorted(hours["symbol"].tolist()) == SYMBOLS.tolist()
    assert hours["low"].tolist() == [90.0] * 3
    assert hours["open"].tolist() == [90.0] * 3
    assert hours["close"].tolist() == [100.0] * 3
    assert hours["trades"].tolist() == [60] * 3
    assert hours["volume"].tolist() == [600.0] * 3
