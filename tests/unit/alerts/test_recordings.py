"""Alerts over a recorded day of the US tape, against plain loops over its trades."""

from __future__ import annotations

import csv
import io
import random
import zipfile
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from ticktrail.alerts.engine import Evaluator
from ticktrail.alerts.rules import Scope, parse_rule
from ticktrail.codec import encode_columns
from ticktrail.config import AlertsSettings
from ticktrail.model import Columns, Flag, Trade

pytestmark = pytest.mark.recordings

S = 10**9
DATE = "20131007"
MIDNIGHT_NS = int(datetime(2013, 10, 7, tzinfo=ZoneInfo("America/New_York")).timestamp()) * S
# Conditions whose trades set no price, as the vendor's bits.
NO_PRICE = 0x20 | 0x40 | 0x80 | 0x200 | 0x1000000 | 0x2000000 | 0x4000000


def read(folder: Path, symbol: str) -> list[tuple[int, float, float, int]]:
    """Time, price, size, flags."""
    rows = []
    with zipfile.ZipFile(folder / symbol.lower() / f"{DATE}_trade.zip") as archive:
        text = archive.read(archive.namelist()[0]).decode()
    for ms, price, size, _, conditions, suspicious in csv.reader(io.StringIO(text)):
        sets_price = not int(conditions, 16) & NO_PRICE
        flags = Flag.UPDATES_VOLUME | (Flag.UPDATES_LAST | Flag.UPDATES_HIGH_LOW if sets_price else Flag(0))
        flags |= Flag.SUSPICIOUS if suspicious == "1" else Flag(0)
        rows.append((MIDNIGHT_NS + int(ms) * 1_000_000, int(price) / 10_000, float(size), int(flags)))
    return rows


def crossings(rows: list[tuple[int, float, float, int]], level: float, way: int) -> list[int]:
    last, fired = None, []
    for ts_ns, price, _, flags in rows:
        if flags & Flag.UPDATES_LAST and not flags & Flag.SUSPICIOUS:
            is_beyond = way * price >= way * level
            if last is False and is_beyond:
                fired.append(ts_ns)
            last = is_beyond
    return fired


def highs(rows: list[tuple[int, float, float, int]], rest_s: int) -> list[int]:
    high, was_new, last_ns, fired = 0.0, False, -(1 << 62), []
    for ts_ns, price, _, flags in rows:
        if flags & Flag.UPDATES_HIGH_LOW and not flags & Flag.SUSPICIOUS:
            if high:
                is_new = price > high
                if is_new and not was_new and ts_ns >= last_ns + rest_s * S:
                    fired.append(ts_ns)
                    last_ns = ts_ns
                was_new = is_new
            high = max(high, price)
    return fired


def below_vwap(rows: list[tuple[int, float, float, int]]) -> list[int]:
    turnover = volume = 0.0
    last, fired = None, []
    for ts_ns, price, size, flags in rows:
        if flags & Flag.SUSPICIOUS:
            continue
        is_first = not volume
        turnover, volume = turnover + price * size, volume + size
        if flags & Flag.UPDATES_LAST and not is_first:
            is_below = price < turnover / volume
            if last is False and is_below:
                fired.append(ts_ns)
            last = is_below
    return fired


@pytest.mark.parametrize("symbol", ["IBM", "AIG"])
def test_rules_fire_where_plain_loops_say_so_also_over_restarts(symbol: str, recordings_dir: Path) -> None:
    rows = read(recordings_dir / "lean_equity" / "tick", symbol)
    assert len(rows) > 10_000
    prices = [price for _, price, _, flags in rows if flags & Flag.UPDATES_LAST]
    level = sorted(prices)[len(prices) // 2]
    raw: list[dict[str, Any]] = [
        {
            "name": "up",
            "kind": "price_crosses",
            "params": {"price": level, "direction": "up"},
            "cooldown_s": 0,
        },
        {
            "name": "down",
            "kind": "price_crosses",
            "params": {"price": level, "direction": "down"},
            "cooldown_s": 0,
        },
        {"name": "high", "kind": "new_high", "cooldown_s": 60},
        {"name": "vwap", "kind": "vwap_cross", "params": {"direction": "down"}, "cooldown_s": 0},
    ]
    expected = {
        "up": crossings(rows, level, 1),
        "down": crossings(rows, level, -1),
        "high": highs(rows, 60),
        "vwap": below_vwap(rows),
    }
    assert sum(map(bool, expected.values())) >= 3  # AIG opened at its highest
    times, price, size, flags = (np.array(column) for column in zip(*rows, strict=True))
    trades = Columns(
        Trade,
        {
            "feed": "lean",
            "symbol": symbol,
            "day": np.int32(15_985),
            "ts_ns": times,
            "event_id": np.arange(len(rows)),
            "ts_event_ns": times,
            "ts_recv_ns": times,
            "price": price,
            "size": size,
            "flags": flags.astype(np.int32) | np.int32(Flag.NO_RECV_TIME),
        },
    )
    values = encode_columns(trades)
    scopes = [Scope(parse_rule(each, AlertsSettings()), {}) for each in raw]
    usual: Any = None
    evaluator = Evaluator("trades", usual)
    evaluator.set_rules(scopes)
    found: dict[str, list[int]] = {name: [] for name in expected}
    rng, at = random.Random(1), 0
    while at < len(values):
        end = at + rng.choice([1, 100, 1_000, 10_000])
        for alert in evaluator.read(values[at:end], times[at:end] // 1_000_000):
            found[alert.rule].append(alert.ts_ns)
        at = end
        state = evaluator.state()
        evaluator = Evaluator("trades", usual)
        evaluator.restore(state)
        evaluator.set_rules(scopes)
    print({name: len(fired) for name, fired in found.items()})
    assert found == expected
