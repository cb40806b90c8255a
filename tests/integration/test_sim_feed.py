"""ticktrail's own feed, pointed at the simulated exchange, against the exchange's log."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from ticktrail.clock import NS_PER_SECOND, Clock, SystemClock
from ticktrail.errors import FeedDisconnected
from ticktrail.feeds import Parsed, Subscription, registry
from ticktrail.feeds.sim import Faults, SimSettings, read_log, serve
from ticktrail.model import Bar, Correction, Quote, Status, Trade
from ticktrail.model.venues import MIC_OF_LETTER
from ticktrail.testing import FakeClock

DEADLINE_S = 60.0

BUSY: dict[str, Any] = {
    "session_s": 0.0,
    "rate": 10_000.0,
    "symbols": 120,
    "quotes_per_trade": 0.5,
    "trades_max": 15_000,
    "corrections_per_million": 3_000.0,
    "cancels_per_million": 3_000.0,
    "halts_per_hour": 36_000.0,
    "halt_s": 0.1,
    "close_at_end": True,
}


def run(settings: SimSettings, clock: Clock, *, encoding: str, kinds: tuple[str, ...]) -> list[Parsed]:
    """Read everything that the exchange sends until it closes, and parse it frame by frame."""

    async def scenario() -> list[Parsed]:
        listening = asyncio.Event()
        urls: list[str] = []

        def ready(url: str) -> None:
            urls.append(url)
            listening.set()

        task = asyncio.create_task(serve(settings, clock, ready=ready, stop=asyncio.Event()))
        async with asyncio.timeout(DEADLINE_S):
            await listening.wait()
            make_feed = registry.get("sim").load()
            subscription = Subscription(symbols=("*",), kinds=kinds)
            feed = make_feed({"url": urls[0], "encoding": encoding}, subscription, SystemClock())
            await feed.connect()
            frames = []
            try:
                while (frame := await feed.receive()) is not None:
                    frames.append(frame)
            except FeedDisconnected:
                pass
            await feed.close()
            await task
        return [feed.parse([frame]) for frame in frames]

    return asyncio.run(scenario())


def records(parsed: Iterable[Parsed], record: type) -> list[Any]:
    return [
        row
        for result in parsed
        for columns in result.columns
        if columns.record is record
        for row in columns.to_records()
    ]


@pytest.mark.parametrize("encoding", ["json", "msgpack"])
def test_every_record_equals_the_log(encoding: str, tmp_path: Path) -> None:
    settings = SimSettings(**BUSY, log_dir=str(tmp_path))
    parsed = run(settings, SystemClock(), encoding=encoding, kinds=("trades", "quotes", "status"))
    tables = {kind: table.to_pylist() for kind, table in read_log(tmp_path, sent_only=True).items()}
    assert not any(result.rejected or result.unknown or result.notices for result in parsed)
    trades = records(parsed, Trade)
    assert len(trades) == 15_000
    assert [
        (t.symbol, t.trade_id, t.ts_event_ns, t.price, t.size, t.venue, t.tape, t.conditions) for t in trades
    ] == [
        (
            row["symbol"],
            str(row["id"]),
            row["ts_event_ns"],
            row["price"],
            float(row["size"]),
            MIC_OF_LETTER[row["venue"]],
            row["tape"],
            row["conditions"],
        )
        for row in tables["trades"]
    ]
    assert [
        (q.symbol, q.ts_event_ns, q.bid_price, q.bid_size, q.ask_price, q.ask_size)
        for q in records(parsed, Quote)
    ] == [
        tuple(
            row[name] for name in ("symbol", "ts_event_ns", "bid_price", "bid_size", "ask_price", "ask_size")
        )
        for row in tables["quotes"]
    ]
    assert [(c.symbol, c.trade_id, c.original_price) for c in records(parsed, Correction)] == [
        (row["symbol"], str(row["original_id"]), row["original_price"]) for row in tables["corrections"]
    ]
    actions = Counter(status.action for status in records(parsed, Status))
    codes = Counter(row["code"] for row in tables["statuses"])
    assert actions["halt"] + actions["pause"] == codes["H"] + codes["P"] + codes["2"] > 0
    assert actions["resume"] == codes["T"] + codes["3"] > 0
    assert actions["bands"] == codes[None]


def test_with_faults_the_feed_gives_what_was_sent_and_refuses_the_garbage(tmp_path: Path) -> None:
    faults = Faults(
        drop_per_million=10_000,
        duplicate_per_million=10_000,
        reorder_per_million=10_000,
        garbage_per_million=4_000,
    )
    settings = SimSettings(**BUSY, log_dir=str(tmp_path), faults=faults)
    parsed = run(settings, SystemClock(), encoding="json", kinds=("trades", "status"))
    tables = read_log(tmp_path, sent_only=True)
    assert [(t.symbol, int(t.trade_id)) for t in records(parsed, Trade)] == list(
        zip(tables["trades"]["symbol"].to_pylist(), tables["trades"]["id"].to_pylist(), strict=True)
    )
    garbage = [row["detail"] for row in tables["faults"].to_pylist() if row["fault"] == "garbage"]
    accounted = sum(len(result.rejected) + sum(result.unknown.values()) for result in parsed)
    assert accounted >= len(garbage) > 30
    assert len(set(garbage)) == 10


def test_minute_bars_equal_the_log(tmp_path: Path) -> None:
    """Two minutes of market time, on a clock that does not wait."""
    changes = {"rate": 200.0, "symbols": 30, "trades_max": 0, "seconds": 105.0, "step_ms": 50.0}
    settings = SimSettings(**BUSY | changes, late_per_million=20_000, log_dir=str(tmp_path))
    half_past_ns = 1_767_623_400 * NS_PER_SECOND
    parsed = run(settings, FakeClock(half_past_ns), encoding="json", kinds=("bars",))
    logged = read_log(tmp_path, sent_only=True)["bars"].to_pylist()
    assert Counter(row["kind"] for row in logged) == Counter(b=30, u=len(logged) - 30)
    assert len(logged) > 31
    assert [
        (bar.symbol, bar.ts_open_ns, bar.open, bar.high, bar.low, bar.close, bar.volume, bar.trades)
        for bar in records(parsed, Bar)
    ] == [
        tuple(
            row[name]
            for name in ("symbol", "ts_event_ns", "open", "high", "low", "close", "volume", "trades")
        )
        for row in logged
    ]
