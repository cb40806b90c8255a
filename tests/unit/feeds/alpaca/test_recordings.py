"""Alpaca's own documented messages and session, where the recordings are present."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import msgspec
import pytest

from ticktrail.feeds import Frame
from ticktrail.feeds.alpaca.parse import AlpacaParser
from ticktrail.testing.feed_contract import assert_sound

pytestmark = pytest.mark.recordings

RECV_NS = 1_700_000_000_000_000_000


def test_documented_examples_are_all_read(recordings_dir: Path) -> None:
    lines = (recordings_dir / "vendor_messages" / "alpaca_doc_examples.jsonl").read_bytes().splitlines()
    parsed = AlpacaParser("alpaca", "json").parse([Frame(RECV_NS, b"[" + line + b"]") for line in lines])
    assert_sound(parsed)
    assert not parsed.rejected
    kinds = Counter(msgspec.json.decode(line)["T"] for line in lines)
    rows = {columns.record.__name__: len(columns) for columns in parsed.columns}
    assert rows == {
        "Trade": kinds["t"],
        "Quote": kinds["q"],
        "Bar": kinds["b"],
        "Correction": kinds["c"] + kinds["x"],
        "Status": kinds["l"] + kinds["s"],
    }
    # Order imbalances are documented, but no record of ours: counted.
    assert dict(parsed.unknown) == {"message:i": kinds["i"]}


def test_documented_session_is_read(recordings_dir: Path) -> None:
    text = (recordings_dir / "vendor_messages" / "alpaca_wscat_session.txt").read_text()
    frames = [Frame(RECV_NS, line[2:].encode()) for line in text.splitlines() if line.startswith("< ")]
    parsed = AlpacaParser("alpaca", "json").parse(frames)
    assert_sound(parsed)
    trades, quotes = parsed.columns
    assert trades["trade_id"].tolist() == [b"628", b"75", b"1465"]
    assert trades["ts_event_ns"].tolist() == [
        1680782066838232225,
        1680782066838562809,
        1680782066839159730,
    ]
    assert quotes["bid_size"].tolist() == [200.0, 100.0]  # round lots, in 2023
    assert not parsed.unknown
    assert not parsed.rejected
