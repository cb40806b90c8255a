"""The log: everything noted comes back, also from a log that nobody closed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ticktrail.clock import NS_PER_SECOND
from ticktrail.feeds.sim import DROPPED, KINDS, ExchangeLog, MarketBatch, MarketModel, SimSettings, read_log
from ticktrail.feeds.sim.messages import CONDITIONS, VENUES, Bar, Cancel, Correction, Luld, Status
from ticktrail.feeds.sim.universe import TAPES

START_NS = 1_767_623_400 * NS_PER_SECOND + 59 * NS_PER_SECOND
MARKET = MarketModel(
    SimSettings(rate=2_000, halts_per_hour=36_000, halt_s=0.2, cancels_per_million=20_000, symbols=40),
    START_NS,
)


@pytest.fixture(scope="module")
def batch() -> MarketBatch:
    return MARKET.advance(START_NS + 3 * NS_PER_SECOND)


def note(log: ExchangeLog, batch: MarketBatch) -> None:
    for kind, rows in (("trades", batch.trades), ("quotes", batch.quotes)):
        for number, part in enumerate(np.array_split(rows, 5)):
            marks = np.where(part["symbol"] == 3, DROPPED, 0).astype(np.uint8)
            log.rows(kind, part, marks, (marks == 0).astype(np.uint8), START_NS + number)
    for event in batch.events:
        log.event(event, marks=0, recipients=2, sent_ns=START_NS)
    log.fault(START_NS, "garbage", "truncated", b"\xff[")


def test_everything_noted_comes_back(tmp_path: Path, batch: MarketBatch) -> None:
    log = ExchangeLog(tmp_path, MARKET.universe, 10**9)
    note(log, batch)
    log.close()
    log.close()
    tables = read_log(tmp_path)
    assert tuple(tables) == KINDS
    symbols = MARKET.universe.symbols
    assert len(tables["trades"]) == len(batch.trades) > 3_000
    for row, logged in zip(batch.trades, tables["trades"].to_pylist(), strict=True):
        assert logged["symbol"] == symbols[row["symbol"]]
        assert logged["id"] == row["id"]
        assert logged["ts_event_ns"] == row["ts_event_ns"]
        assert logged["price"] == int(row["price_e4"]) / 10_000
        assert logged["size"] == row["size"]
        assert logged["venue"] == VENUES[row["venue"]]
        assert logged["conditions"] == ",".join(CONDITIONS[row["conditions"]])
        assert logged["tape"] == TAPES[row["conditions"] % 3]
        assert logged["marks"] == (DROPPED if row["symbol"] == 3 else 0)
        assert logged["recipients"] == (row["symbol"] != 3)
        assert START_NS <= logged["sent_ns"] < START_NS + 5
    for row, logged in zip(batch.quotes, tables["quotes"].to_pylist(), strict=True):
        assert (logged["symbol"], logged["bid_price"], logged["ask_size"], logged["ask_venue"]) == (
            symbols[row["symbol"]],
            int(row["bid_e4"]) / 10_000,
            row["ask_size"],
            VENUES[row["ask_venue"]],
        )
    counts = {
        "corrections": (Correction, Cancel),
        "statuses": (Status, Luld),
        "bars": (Bar,),
    }
    for kind, types in counts.items():
        assert len(tables[kind]) == sum(isinstance(event, types) for event in batch.events) > 0
    assert tables["faults"].to_pylist() == [
        {"at_ns": START_NS, "fault": "garbage", "detail": "truncated", "payload": b"\xff["}
    ]
    sent = read_log(tmp_path, sent_only=True)
    assert len(sent["trades"]) == (batch.trades["symbol"] != 3).sum()


def test_a_second_run_is_added(tmp_path: Path, batch: MarketBatch) -> None:
    for _ in range(2):
        log = ExchangeLog(tmp_path, MARKET.universe, 10**9)
        note(log, batch)
        log.close()
    assert len(read_log(tmp_path)["trades"]) == 2 * len(batch.trades)


def test_an_unclosed_log_reads_up_to_its_last_flush(tmp_path: Path, batch: MarketBatch) -> None:
    log = ExchangeLog(tmp_path, MARKET.universe, 10**9)
    assert not len(read_log(tmp_path)["trades"])
    note(log, batch)
    log.flush()
    note(log, batch)
    assert len(read_log(tmp_path)["trades"]) == len(batch.trades)
    log.close()


def test_a_torn_last_write_costs_only_itself(tmp_path: Path, batch: MarketBatch) -> None:
    log = ExchangeLog(tmp_path, MARKET.universe, 10**9)
    for _ in range(2):
        note(log, batch)
        log.flush()
    [path] = tmp_path.glob("trades.*")
    content = path.read_bytes()
    log.close()
    path.write_bytes(content[: len(content) * 3 // 4])
    assert len(read_log(tmp_path)["trades"]) == len(batch.trades)


def test_a_full_log_says_so_and_stops(tmp_path: Path, batch: MarketBatch) -> None:
    log = ExchangeLog(tmp_path, MARKET.universe, 100_000)
    for _ in range(10):
        note(log, batch)
        log.flush()
    log.close()
    tables = read_log(tmp_path)
    assert "log_full" in tables["faults"]["fault"].to_pylist()
    assert len(tables["trades"]) < 10 * len(batch.trades)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 500_000
