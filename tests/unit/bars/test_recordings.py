"""Bars of the recorded US tape against the bars that its vendor made of it."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from ticktrail.bars import BarBuilder, bars_of
from ticktrail.config.settings import BarsSettings
from ticktrail.model import Columns, Flag, Heartbeat, Trade

pytestmark = pytest.mark.recordings

DATE = "20131007"
MIDNIGHT_NS = int(datetime(2013, 10, 7, tzinfo=ZoneInfo("America/New_York")).timestamp()) * 10**9
# Conditions whose trades set no price, as the vendor's bits.
NO_PRICE = 0x20 | 0x40 | 0x80 | 0x200 | 0x1000000 | 0x2000000 | 0x4000000
# The vendor leaves the auctions out of its bars; AIG's opening one was printed at 09:31:13.
AUCTION_MINUTES = {"AIG": {9 * 60 + 31}}
FIRST_MINUTE, LAST_MINUTE = 9 * 60 + 31, 15 * 60 + 58


def lines(path: Path) -> Iterator[list[str]]:
    with zipfile.ZipFile(path) as archive:
        (name,) = archive.namelist()
        yield from csv.reader(io.StringIO(archive.read(name).decode()))


def trades_of(path: Path, symbol: str) -> Columns[Trade]:
    times, prices, sizes, bits = [], [], [], []
    for ms, price, size, _, conditions, suspicious in lines(path):
        times.append(MIDNIGHT_NS + int(ms) * 1_000_000)
        prices.append(int(price) / 10_000)
        sizes.append(float(size))
        sets_price = Flag(0) if int(conditions, 16) & NO_PRICE else Flag.UPDATES_LAST | Flag.UPDATES_HIGH_LOW
        bits.append(0 if suspicious == "1" else sets_price | Flag.UPDATES_VOLUME)
    ts_ns = np.array(times)
    return Columns(
        Trade,
        {
            "feed": np.full(len(times), b"lean"),
            "symbol": symbol,
            "day": np.int32(15_985),
            "ts_ns": ts_ns,
            "event_id": np.arange(len(times)),
            "ts_event_ns": ts_ns,
            "ts_recv_ns": ts_ns,
            "price": np.array(prices),
            "size": np.array(sizes),
            "flags": np.array(bits, dtype=np.int32) | np.int32(Flag.NO_RECV_TIME),
        },
    )


@pytest.mark.parametrize("symbol", ["IBM", "BAC", "AIG", "SPY"])
def test_minutes_agree_with_the_vendors(symbol: str, recordings_dir: Path) -> None:
    folder = recordings_dir / "lean_equity"
    trades = trades_of(folder / "tick" / symbol.lower() / f"{DATE}_trade.zip", symbol)
    ours = {
        (bar.ts_open_ns - MIDNIGHT_NS) // 60_000_000_000: bar for bar in bars_of(trades, "1m").to_records()
    }
    minutes = same_volume = same_prices = 0
    for ms, *prices, volume in lines(folder / "minute" / symbol.lower() / f"{DATE}_trade.zip"):
        minute = int(ms) // 60_000
        if not FIRST_MINUTE <= minute <= LAST_MINUTE or minute in AUCTION_MINUTES.get(symbol, ()):
            continue
        bar = ours[minute]
        minutes += 1
        same_volume += bar.volume == int(volume)
        same_prices += [bar.open, bar.high, bar.low, bar.close] == [int(price) / 10_000 for price in prices]
        assert bar.session == "regular"
    print(f"{symbol}: volume agrees in {same_volume}, OHLC in {same_prices} of {minutes} minutes")
    assert minutes >= 380
    assert same_volume >= 0.995 * minutes, f"volume agrees in {same_volume} of {minutes} minutes"
    assert same_prices >= 0.94 * minutes, f"OHLC agrees in {same_prices} of {minutes} minutes"


def test_a_replay_of_files_closes_the_bars_of_the_whole_set(recordings_dir: Path) -> None:
    """All of the day in the order of time, as an import sends it, in polls of the usual size."""
    tick = recordings_dir / "lean_equity" / "tick"
    parts = [trades_of(tick / s.lower() / f"{DATE}_trade.zip", s) for s in ("IBM", "AIG")]
    trades = Columns.concat(parts)
    trades = trades.take(np.argsort(trades["ts_ns"], kind="stable"))
    builder, made = BarBuilder(BarsSettings()), []
    for start in range(0, len(trades), 10_000):
        poll = trades.take(slice(start, start + 10_000))
        step = builder.read(poll, np.arange(start, start + len(poll)))
        assert len(step.late) == 0
        made.append(step.bars)
    end = Columns.from_records(
        Heartbeat, [Heartbeat(feed="lean", ts_recv_ns=MIDNIGHT_NS + 25 * 3600 * 10**9)]
    )
    offset = np.array([len(trades)])
    none = trades.take(slice(0, 0))
    made.append(builder.read(none, offset[:0], heartbeats=end, heartbeat_offsets=offset).bars)
    live = Columns.concat(made)
    for interval in ("1s", "1m", "5m", "1h", "1d"):
        whole = bars_of(trades, interval)
        ours = live.take(live["interval"] == interval.encode())
        assert sorted(map(repr, ours.to_records())) == sorted(map(repr, whole.to_records()))
    assert builder.commit_offset() == len(trades) + 1
