"""Frames: read back by decoders that are not ours, and against text formatted one by one."""

from __future__ import annotations

import datetime
import json
from typing import Any

import msgpack
import numpy as np
import pytest

from ticktrail.clock import NS_PER_SECOND
from ticktrail.feeds.sim import MarketModel, SimSettings, Universe
from ticktrail.feeds.sim.digits import integer_groups, nanos, seconds_text
from ticktrail.feeds.sim.encode_json import JsonEncoder
from ticktrail.feeds.sim.encode_msgpack import MsgpackEncoder
from ticktrail.feeds.sim.messages import (
    CONDITIONS,
    QUOTE,
    TRADE,
    VENUES,
    Bar,
    Cancel,
    Correction,
    Event,
    Luld,
    Rows,
    Status,
)
from ticktrail.feeds.sim.universe import TAPES
from ticktrail.feeds.sim.wire import event_frame

START_NS = 1_767_623_400 * NS_PER_SECOND
UNIVERSE = Universe.of(1, 300)


def iso(ts_ns: int) -> str:
    """Go's RFC3339Nano, which Alpaca uses: no trailing zeros, no point without a fraction."""
    second = datetime.datetime.fromtimestamp(ts_ns // NS_PER_SECOND, datetime.UTC)
    fraction = f"{ts_ns % NS_PER_SECOND / NS_PER_SECOND:.9f}"[2:].rstrip("0")
    return f"{second:%Y-%m-%dT%H:%M:%S}{'.' + fraction if fraction else ''}Z"


def trade_message(row: Any) -> dict[str, Any]:
    return {
        "T": "t",
        "S": UNIVERSE.symbols[row["symbol"]],
        "i": int(row["id"]),
        "x": VENUES[row["venue"]],
        "p": int(row["price_e4"]) / 10_000,
        "s": int(row["size"]),
        "c": list(CONDITIONS[row["conditions"]]),
        "z": TAPES[row["conditions"] % 3],
        "t": iso(int(row["ts_event_ns"])),
    }


def quote_message(row: Any) -> dict[str, Any]:
    return {
        "T": "q",
        "S": UNIVERSE.symbols[row["symbol"]],
        "bx": VENUES[row["bid_venue"]],
        "bp": int(row["bid_e4"]) / 10_000,
        "bs": int(row["bid_size"]),
        "ax": VENUES[row["ask_venue"]],
        "ap": int(row["ask_e4"]) / 10_000,
        "as": int(row["ask_size"]),
        "c": ["R"],
        "z": TAPES[UNIVERSE.tape[row["symbol"]]],
        "t": iso(int(row["ts_event_ns"])),
    }


def unpack(frame: bytes) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = msgpack.unpackb(frame)
    for message in messages:
        message["t"] = iso(message["t"].to_unix_nano())
    return messages


def awkward_trades() -> Rows:
    """Extremes of every field, and times with every number of trailing zeros."""
    rows = np.zeros(64, dtype=TRADE)
    rows["symbol"] = np.arange(64) * 4
    rows["id"] = [10**k - (k % 2) for k in range(9)] * 7 + [4_294_967_295]
    rows["price_e4"] = [
        1,
        10,
        100,
        1_000,
        10_000,
        10_001,
        99_990_000,
        100_000_000,
        12_345_678,
        2**31 - 1,
        0,
    ] * 5 + [45_600] * 9
    rows["size"] = [0, 1, 9, 10, 99, 100, 9_999, 10_000, 10_001, 99_999_999] * 6 + [7] * 4
    rows["venue"] = np.arange(64) % len(VENUES)
    rows["conditions"] = np.arange(64) % len(CONDITIONS)
    fractions = [
        0,
        1,
        10,
        123_456_789,
        999_999_999,
        *(10**k for k in range(9)),
        *(12 * 10**k for k in range(8)),
    ]
    rows["ts_event_ns"] = [START_NS + fraction for fraction in fractions * 2] + [
        START_NS - 90_000_000_000
    ] * 20
    return rows


@pytest.mark.parametrize("encoder_type", [JsonEncoder, MsgpackEncoder])
def test_awkward_trades_come_back(encoder_type: type[JsonEncoder | MsgpackEncoder]) -> None:
    rows = awkward_trades()
    frames = encoder_type(UNIVERSE, 1_000).trades(rows)
    assert len(frames) == 1
    decode = json.loads if encoder_type is JsonEncoder else unpack
    assert decode(frames[0]) == [trade_message(row) for row in rows]


def test_json_is_the_text_that_alpaca_would_send() -> None:
    rows = awkward_trades()[[0, 5, 13]]
    [frame] = JsonEncoder(UNIVERSE, 1_000).trades(rows)
    messages = [trade_message(row) for row in rows]
    for message in messages:
        message["p"] = int(message["p"]) if message["p"] == int(message["p"]) else message["p"]
    assert frame.decode() == json.dumps(messages, separators=(",", ":")).replace("1e-06", "0.000001")


def test_a_market_comes_back_in_both_encodings() -> None:
    batch = MarketModel(SimSettings(rate=3_000, symbols=300), START_NS).advance(START_NS + NS_PER_SECOND)
    text, packed = JsonEncoder(UNIVERSE, 500), MsgpackEncoder(UNIVERSE, 500)
    trades = [trade_message(row) for row in batch.trades]
    quotes = [quote_message(row) for row in batch.quotes]
    assert len(trades) > 2_000
    assert [message for frame in text.trades(batch.trades) for message in json.loads(frame)] == trades
    assert [message for frame in packed.trades(batch.trades) for message in unpack(frame)] == trades
    assert [message for frame in text.quotes(batch.quotes) for message in json.loads(frame)] == quotes
    assert [message for frame in packed.quotes(batch.quotes) for message in unpack(frame)] == quotes


def test_long_batches_become_several_frames_and_empty_ones_none() -> None:
    rows = awkward_trades()
    assert [len(json.loads(frame)) for frame in JsonEncoder(UNIVERSE, 30).trades(rows)] == [30, 30, 4]
    assert JsonEncoder(UNIVERSE, 30).trades(rows[:0]) == []
    assert MsgpackEncoder(UNIVERSE, 30).quotes(np.zeros(0, dtype=QUOTE)) == []


def test_times_far_apart_in_one_frame_come_back() -> None:
    rows = awkward_trades()[:3]
    rows["ts_event_ns"] = [1, START_NS, START_NS + 10**17]
    [frame] = JsonEncoder(UNIVERSE, 1_000).trades(rows)
    assert [message["t"] for message in json.loads(frame)] == [iso(int(ts)) for ts in rows["ts_event_ns"]]


def test_digits_are_those_of_python() -> None:
    values = np.array([0, 1, 9, 10, 9_999, 10_000, 10_010, 99_999_999, 100_000_000, 10**11 + 7])
    groups = np.stack(integer_groups(values, 3), axis=1).view("S12")[:, 0]
    assert [text.replace(b"\0", b"") for text in groups] == [str(value).encode() for value in values]
    text = nanos(np.array([0, 120_000_000, 7]))
    assert [bytes(row).replace(b"\0", b"") for row in text] == [b"", b"12", b"000000007"]
    assert bytes(seconds_text(np.array([0]))[0]) == b"1970-01-01T00:00:00."


EVENTS: list[tuple[Event, dict[str, Any]]] = [
    (
        Correction(
            due_ns=5, symbol=0, ts_event_ns=START_NS + 5, venue=0, conditions=5, original_id=7,
            original_price_e4=391_582, original_size=440, corrected_id=1_000_000_000,
            corrected_price_e4=391_809, corrected_size=540,
        ),
        {"T": "c", "S": "SPY", "x": "D", "oi": 7, "op": 39.1582, "os": 440, "oc": ["@", "I"],
         "ci": 1_000_000_000, "cp": 39.1809, "cs": 540, "cc": ["@", "I"], "z": "B"},
    ),
    (
        Cancel(
            due_ns=5, symbol=1, ts_event_ns=START_NS + 5, venue=1, id=465, price_e4=1_053_100, size=300,
            action="C",
        ),
        {"T": "x", "S": "NVDA", "i": 465, "x": "Q", "p": 105.31, "s": 300, "a": "C", "z": "C"},
    ),
    (
        Status(
            due_ns=5, symbol=1, ts_event_ns=START_NS + 5, code="H", text="Trading Halt", reason_code="T1",
            reason_text="Halt - News Pending",
        ),
        {"T": "s", "S": "NVDA", "sc": "H", "sm": "Trading Halt", "rc": "T1", "rm": "Halt - News Pending",
         "z": "C"},
    ),
    (
        Luld(due_ns=5, symbol=1, ts_event_ns=START_NS + 5, up_e4=32_400, down_e4=26_500),
        {"T": "l", "S": "NVDA", "u": 3.24, "d": 2.65, "i": "B", "z": "C"},
    ),
    (
        Bar(
            due_ns=5, symbol=0, ts_event_ns=START_NS + 5, kind="u", open=1.5, high=2.5, low=1.25, close=2.0,
            volume=49_378, trades=461, vwap=1.75,
        ),
        {"T": "u", "S": "SPY", "o": 1.5, "h": 2.5, "l": 1.25, "c": 2.0, "v": 49_378, "n": 461, "vw": 1.75},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("event", "message"), EVENTS, ids=lambda value: type(value).__name__)
def test_rare_messages_read_as_documented(event: Event, message: dict[str, Any]) -> None:
    message = message | {"t": iso(START_NS + 5)}
    assert json.loads(event_frame([event], UNIVERSE, is_text=True)) == [message]
    assert unpack(event_frame([event], UNIVERSE, is_text=False)) == [message]
