"""Minute bars: against bars computed one trade at a time from the exchange's own trades."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest

from ticktrail.clock import NS_PER_SECOND
from ticktrail.feeds.sim import MarketBatch, MarketModel, SimSettings
from ticktrail.feeds.sim.messages import CONDITIONS, Bar

START_NS = 1_767_623_400 * NS_PER_SECOND + 50 * NS_PER_SECOND
MINUTE_NS = 60 * NS_PER_SECOND


def bar_of(trades: list[Any]) -> tuple[float, float, float, float, int, int, float] | None:
    """Compute one bar; None where no trade may open it."""
    last, ranging = [], []
    for row in trades:
        letters = set(CONDITIONS[row["conditions"]])
        price = int(row["price_e4"]) / 1e4
        if not letters & {"I", "T"}:
            ranging.append(price)
            if not letters & {"Z", "4"}:
                last.append(price)
    if not last:
        return None
    volume = sum(int(row["size"]) for row in trades)
    turnover = sum(int(row["size"]) * int(row["price_e4"]) / 1e4 for row in trades)
    return last[0], max(ranging), min(ranging), last[-1], volume, len(trades), turnover / volume


@pytest.fixture(scope="module")
def batch() -> MarketBatch:
    """Two whole minutes and ten seconds before them."""
    settings = SimSettings(symbols=12, rate=40, session_s=0, late_per_million=20_000, quotes_per_trade=0)
    return MarketModel(settings, START_NS).advance(START_NS + 131 * NS_PER_SECOND)


def test_bars_and_updated_bars_are_those_of_the_trades(batch: MarketBatch) -> None:
    bars = [event for event in batch.events if isinstance(event, Bar)]
    assert {bar.kind for bar in bars} == {"b", "u"}
    for bar in bars:
        start_ns = bar.ts_event_ns
        assert start_ns % MINUTE_NS == 0
        if bar.kind == "b":
            assert bar.due_ns == start_ns + MINUTE_NS - 1
        else:
            assert (bar.due_ns + 1) % MINUTE_NS == MINUTE_NS // 2
        known = batch.trades[batch.trades["due_ns"] <= bar.due_ns]
        chosen = known[
            (known["symbol"] == bar.symbol)
            & (known["ts_event_ns"] >= start_ns)
            & (known["ts_event_ns"] < start_ns + MINUTE_NS)
        ]
        expected = bar_of(list(chosen))
        assert expected is not None
        actual = (bar.open, bar.high, bar.low, bar.close, bar.volume, bar.trades, bar.vwap)
        assert actual == pytest.approx(expected, rel=1e-6)


def test_every_minute_that_may_have_a_bar_has_one(batch: MarketBatch) -> None:
    by_bar = defaultdict(list)
    for row in batch.trades:
        by_bar[int(row["symbol"]), int(row["due_ns"]) // MINUTE_NS].append(row)
    last_whole = (START_NS + 131 * NS_PER_SECOND) // MINUTE_NS
    wanted = {key for key, rows in by_bar.items() if key[1] < last_whole and bar_of(rows)}
    given = [
        (event.symbol, event.ts_event_ns // MINUTE_NS)
        for event in batch.events
        if isinstance(event, Bar) and event.kind == "b"
    ]
    assert len(given) == len(set(given))
    # Late trades arrive in other minutes than those they belong to; they open none.
    assert set(given) == wanted
    assert len(given) > 20


def test_bars_can_be_off() -> None:
    settings = SimSettings(symbols=5, rate=10, bars=False)
    batch = MarketModel(settings, START_NS).advance(START_NS + 11 * NS_PER_SECOND)
    assert not any(isinstance(event, Bar) for event in batch.events)
