"""Alpaca, in both encodings, and the simulated exchange's feed, which is the same code."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import date
from functools import partial
from typing import Any

import msgspec
from fakes.alpaca_server import KEY, SECRET, AlpacaServer

from ticktrail.feeds import Feed, Frame, Subscription, registry
from ticktrail.model import Flag, Quote, Record, Status, Trade
from ticktrail.model.venues import CODES
from ticktrail.testing import FakeClock, FeedCase

# 2026-01-05 14:30:00 UTC, and the same as text.
SECOND = 1_767_623_400
RECV_NS = SECOND * 10**9 + 700_000_000
DAY = (date(2026, 1, 5) - date(1970, 1, 1)).days

# Hashes of the content, fixed here: they are stored for ever, so a change must not pass unseen.
QUOTE_ID = 574533403971826396
STATUS_ID = 6076505864333018540

MESSAGES: list[list[dict[str, Any]]] = [
    [
        {"T": "t", "S": "AAPL", "i": 52983525033527, "x": "Q", "p": 187.15, "s": 100}
        | {"c": ["@", "F"], "z": "C", "t": 123_456_789},
        {"T": "q", "S": "BRK.B", "bx": "K", "bp": 412.31, "bs": 40, "ax": "N", "ap": 412.4, "as": 80}
        | {"c": ["R"], "z": "A", "t": 5},
        {"T": "t", "S": "BRK.B", "i": 7, "x": "D", "p": 412.35, "s": 3.5, "c": [" ", "I"], "z": "A", "t": 0},
    ],
    [{"T": "s", "S": "AAPL", "sc": "H", "sm": "Trading Halt", "rc": "T12", "rm": "Halted", "z": "C", "t": 9}],
]


def _frame(messages: list[dict[str, Any]], encoding: str, recv_ns: int) -> Frame:
    if encoding == "json":
        texts = [m | {"t": f"2026-01-05T14:30:00.{m['t']:09}Z"} for m in messages]
        return Frame(recv_ns, msgspec.json.encode(texts))
    packed = [m | {"t": _timestamp(m["t"])} for m in messages]
    return Frame(recv_ns, msgspec.msgpack.encode(packed))


def _timestamp(nanoseconds: int) -> msgspec.msgpack.Ext:
    return msgspec.msgpack.Ext(-1, (nanoseconds << 34 | SECOND).to_bytes(8, "big"))


def _records(feed: str) -> tuple[Record, ...]:
    def at(nanoseconds: int) -> dict[str, Any]:
        ts_ns = SECOND * 10**9 + nanoseconds
        return {"feed": feed, "day": DAY, "ts_ns": ts_ns, "ts_event_ns": ts_ns, "ts_recv_ns": RECV_NS}

    updates = Flag.UPDATES_LAST | Flag.UPDATES_HIGH_LOW | Flag.UPDATES_VOLUME
    first = Trade(
        **at(123_456_789),
        symbol="AAPL",
        event_id=52983525033527 << 8 | CODES["XNAS"],
        price=187.15,
        size=100.0,
        flags=int(updates),
        venue="XNAS",
        tape="C",
        conditions="@,F",
        trade_id="52983525033527",
    )
    odd_lot = Trade(
        **at(0),
        symbol="BRK.B",
        event_id=7 << 8 | CODES["FINR"],
        price=412.35,
        size=3.5,
        flags=int(Flag.UPDATES_VOLUME),
        venue="FINR",
        tape="A",
        conditions=" ,I",
        trade_id="7",
    )
    quote = Quote(
        **at(5),
        symbol="BRK.B",
        event_id=QUOTE_ID,
        bid_price=412.31,
        bid_size=40.0,
        ask_price=412.4,
        ask_size=80.0,
        bid_venue="EDGX",
        ask_venue="XNYS",
        tape="A",
        conditions="R",
    )
    halt = Status(
        **at(9) | {"ts_recv_ns": RECV_NS + 1},
        symbol="AAPL",
        event_id=STATUS_ID,
        limit_up=float("nan"),
        limit_down=float("nan"),
        action="halt",
        reason="T12 Halted",
        tape="C",
    )
    return first, odd_lot, quote, halt


def _make(name: str, encoding: str, url: str = "ws://127.0.0.1:1") -> Feed:
    settings = {"url": url, "key": KEY, "secret": SECRET, "encoding": encoding}
    factory = registry.get(name).load()
    return factory(settings, Subscription(symbols=("AAPL", "BRK.B")), FakeClock())


@asynccontextmanager
async def _serve(name: str, encoding: str, frames: Sequence[Frame]) -> AsyncIterator[Callable[[], Feed]]:
    server = AlpacaServer(frames=[frame.payload for frame in frames])
    async with server.running() as url:
        yield partial(_make, name, encoding, url)


def _case(name: str, encoding: str) -> FeedCase:
    sound = MESSAGES[0][0]
    broken = [
        {"T": "t"},
        {"T": "?", "S": "AAPL"},
        sound | {"p": -1.0},
        sound | {"p": "187"},
        sound | {"i": -1},
        sound | {"S": ""},
        sound | {"S": "A\0B"},
        sound | {"S": "é" * 100},
        {name: value for name, value in sound.items() if name != "p"},
    ]
    frames = [_frame([message | {"t": 1}], encoding, RECV_NS) for message in broken]
    garbage = [b"", b"\xff", b"null", frames[0].payload[:-3]]
    return FeedCase(
        name=f"{name}-{encoding}",
        make=partial(_make, name, encoding),
        frames=tuple(_frame(part, encoding, RECV_NS + index) for index, part in enumerate(MESSAGES)),
        records=_records(name),
        broken=(*frames, *(Frame(RECV_NS, payload) for payload in garbage)),
        serve=partial(_serve, name, encoding),
    )


CASES = [_case("alpaca", "json"), _case("alpaca", "msgpack"), _case("sim", "json")]
