"""Frames as they were captured, with the values that their recorders verified."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ticktrail.feeds import Frame
from ticktrail.feeds.unknown import UnknownCounts
from ticktrail.feeds.yahoo.parse import YahooParser
from ticktrail.feeds.yahoo.pricing_pb2 import Pricing
from ticktrail.feeds.yahoo.wire import decode_frame

pytestmark = pytest.mark.recordings


def test_captured_frames_have_the_values_recorded_with_them(recordings_dir: Path) -> None:
    path = recordings_dir / "vendor_messages" / "yahoo_frames.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    verified = 0
    for row in rows:
        unknown = UnknownCounts()
        message = decode_frame(row["raw"].encode(), unknown)
        assert isinstance(message, Pricing)
        assert unknown.to_dict() == {}
        for name, value in (row["expected"] or {}).items():
            assert getattr(message, name) == value, name
            verified += 1
    assert verified > 10
    parsed = YahooParser().parse([Frame(1, row["raw"].encode()) for row in rows])
    assert parsed.rejected == ()
    [trades] = parsed.columns
    assert trades["symbol"].tolist() == [b"MSFT"] * 4 + [b"AAPL"] * 2
    assert trades["price"][0] == 177.42
    assert trades["ts_event_ns"][0] == 1_589_554_809_000_000_000
    # AAPL's volume rose from 17,557,274 to 17,557,426.
    assert trades["size"].tolist()[-2:] == [0.0, 152.0]
