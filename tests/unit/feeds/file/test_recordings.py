"""The real tape of October 2013, against an independent reader of the same files."""

from __future__ import annotations

import asyncio
import csv
import io
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ticktrail.feeds import Subscription
from ticktrail.feeds.file import make_feed
from ticktrail.model import Flag, Trade
from ticktrail.testing import FakeClock

pytestmark = pytest.mark.recordings

# What one file adds up to: rows, its price and size columns, times, suspicious rows. Integers, so exact.
Sums = tuple[int, int, int, int, int]


def read_plainly(path: Path) -> Iterator[list[str]]:
    """Yield rows by nothing but the standard library."""
    with zipfile.ZipFile(path) as archive, archive.open(archive.namelist()[0]) as file:
        yield from csv.reader(io.TextIOWrapper(file))


def expected_sums(path: Path) -> Sums:
    rows = prices = sizes = times = suspicious = 0
    for row in read_plainly(path):
        cells = list(map(int, row[:3] if len(row) == 6 else row[:5]))
        rows += 1
        times += cells[0]
        prices += sum(cells[1::2])
        sizes += sum(cells[2::2])
        suspicious += row[-1] == "1"
    return rows, prices, sizes, times, suspicious


def replayed_sums(path: Path) -> dict[tuple[str, str, int], Sums]:
    """Replay a directory; give the sums per record type, symbol and day, and check the order."""
    sums: Counter[tuple[str, str, int, int]] = Counter()
    latest_ns = 0

    def add(columns: Any) -> None:
        prices = [name for name in columns.data if name.endswith("price")]
        midnight_ns = (
            columns["day"].astype(np.int64) * 86_400_000_000_000 + 4 * 3_600_000_000_000
        )  # summer time
        parts = {
            0: np.ones(len(columns), np.int64),
            1: sum(np.rint(columns[name] * 10_000).astype(np.int64) for name in prices),
            2: sum(columns[name.replace("price", "size")].astype(np.int64) for name in prices),
            3: (columns["ts_event_ns"] - midnight_ns) // 1_000_000,
            4: (columns["flags"] & Flag.SUSPICIOUS) // Flag.SUSPICIOUS,
        }
        for symbol in np.unique(columns["symbol"]):
            mine = columns["symbol"] == symbol
            for day in np.unique(columns["day"][mine]):
                rows = mine & (columns["day"] == day)
                for index, values in parts.items():
                    key = (columns.record.__name__, symbol.decode(), int(day), index)
                    sums[key] += int(values[rows].sum())

    async def play() -> None:
        nonlocal latest_ns
        feed = make_feed({"path": str(path)}, Subscription(symbols=("*",)), FakeClock())
        await feed.connect()
        while (frame := await feed.receive()) is not None:
            parsed = feed.parse([frame])
            assert not parsed.rejected
            assert not parsed.unknown
            assert min(int(columns["ts_recv_ns"][0]) for columns in parsed.columns) >= latest_ns
            latest_ns = max(int(columns["ts_recv_ns"][-1]) for columns in parsed.columns)
            for columns in parsed.columns:
                add(columns)
        await feed.close()

    asyncio.run(play())
    keys = {key[:3] for key in sums}
    return {key: tuple(sums[*key, index] for index in range(5)) for key in keys}  # type: ignore[misc]


def test_every_row_of_every_file_becomes_one_record(recordings_dir: Path) -> None:
    folder = recordings_dir / "lean_equity" / "tick"
    expected = {}
    for path in folder.rglob("*.zip"):
        date, kind = path.stem.split("_")
        day = int(np.datetime64(f"{date[:4]}-{date[4:6]}-{date[6:]}", "D").astype(int))
        expected[kind.title(), path.parent.name.upper(), day] = expected_sums(path)
    assert len(expected) == 9
    assert replayed_sums(folder) == expected


def test_trades_carry_venue_conditions_and_row_numbers(recordings_dir: Path) -> None:
    path = recordings_dir / "lean_equity" / "tick" / "ibm" / "20131007_trade.zip"
    feed = make_feed({"path": str(path)}, Subscription(symbols=("IBM",)), FakeClock())

    async def play() -> list[Trade]:
        await feed.connect()
        trades: list[Trade] = []
        while (frame := await feed.receive()) is not None:
            for columns in feed.parse([frame]).columns:
                trades += columns.to_records()
        await feed.close()
        return trades

    trades = asyncio.run(play())
    rows = list(read_plainly(path))
    assert [trade.event_id for trade in trades] == list(range(len(rows)))
    assert [trade.conditions for trade in trades] == [row[4] for row in rows]
    assert [trade.price for trade in trades] == [int(row[1]) / 10_000 for row in rows]
    venue_of = {"D": "FINR", "N": "XNYS", "Q": "XNAS", "P": "ARCX", "K": "EDGX", "Z": "BATS", "B": "XBOS"}
    venue_of |= {"J": "EDGA", "Y": "BATY", "C": "XCIS", "X": "XPHL", "W": "CBSX", "M": "XCHI"}
    assert [trade.venue for trade in trades] == [venue_of[row[3]] for row in rows]
