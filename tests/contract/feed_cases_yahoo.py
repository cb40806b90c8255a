"""Yahoo, in both envelopes."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import date
from functools import partial
from typing import Any

import msgspec
from fakes.yahoo_server import YahooServer

from ticktrail.feeds import Feed, Frame, Subscription, registry
from ticktrail.feeds.yahoo.pricing_pb2 import Pricing
from ticktrail.model import Flag, Trade
from ticktrail.testing import FakeClock, FeedCase

# 2026-01-05 14:30:00 UTC.
OPENING_MS = 1_767_623_400_000
RECV_NS = OPENING_MS * 10**6 + 250_000_000
DAY = (date(2026, 1, 5) - date(1970, 1, 1)).days
SOUND: dict[str, Any] = {
    "id": "BRK-B",
    "price": 412.31,
    "time": OPENING_MS,
    "exchange": "NYQ",
    "quote_type": 8,
    "market_hours": 1,
    "day_volume": 1_000,
}

# Hashes of the content, fixed here: they are stored for ever, so a change must not pass unseen.
IDS = (2679122929141512043, 3943011328225415256, 886170071254177825)


def _bare(**fields: Any) -> bytes:
    return base64.b64encode(Pricing(**fields).SerializeToString())


def _wrapped(**fields: Any) -> bytes:
    return msgspec.json.encode({"type": "pricing", "message": _bare(**fields).decode()})


FRAMES = (
    Frame(RECV_NS, _wrapped(**SOUND)),
    Frame(RECV_NS + 1, _bare(**SOUND | {"price": 412.4, "time": OPENING_MS + 700, "day_volume": 1_250})),
    Frame(
        RECV_NS + 2, _wrapped(id="BTC-USD", price=91234.56, time=OPENING_MS, exchange="CCC", market_hours=1)
    ),
)


def _records() -> tuple[Trade, ...]:
    prices = Flag.SNAPSHOT | Flag.UPDATES_LAST | Flag.UPDATES_HIGH_LOW
    rows = (
        ("BRK.B", OPENING_MS, 412.31, 0.0, prices, "XNYS"),
        ("BRK.B", OPENING_MS + 700, 412.4, 250.0, prices | Flag.UPDATES_VOLUME, "XNYS"),
        ("BTC-USD", OPENING_MS, 91234.56, 0.0, prices, ""),
    )
    return tuple(
        Trade(
            feed="yahoo",
            symbol=symbol,
            day=DAY,
            ts_ns=ms * 10**6,
            event_id=event_id,
            ts_event_ns=ms * 10**6,
            ts_recv_ns=RECV_NS + at,
            price=price,
            size=size,
            flags=int(flags),
            venue=venue,
        )
        for at, (event_id, (symbol, ms, price, size, flags, venue)) in enumerate(zip(IDS, rows, strict=True))
    )


def _make(url: str = "ws://127.0.0.1:1") -> Feed:
    # The clock stands still, so the subscription is not repeated in the middle of a check.
    clock = FakeClock(auto_advance=False)
    subscription = Subscription(symbols=("BRK.B", "BTC-USD"))
    return registry.get("yahoo").load()({"url": url}, subscription, clock)


@asynccontextmanager
async def _serve(frames: Sequence[Frame]) -> AsyncIterator[Callable[[], Feed]]:
    async with YahooServer(frames=[frame.payload for frame in frames]).running() as url:
        yield partial(_make, url)


BROKEN = (
    b"",
    b"\xff\xfe",
    b"not base64!",
    b"{",
    b'{"type":5}',
    b'{"type":"pricing"}',
    b'{"type":"pricing","message":7}',
    b'{"type":"greeting"}',
    b"AAAA",
    _bare(**SOUND | {"id": ""}),
    _bare(**SOUND | {"id": "A\0B"}),
    _bare(**SOUND | {"price": -1.0}),
    _bare(**SOUND | {"price": float("nan")}),
    _bare(**SOUND | {"price": float("inf")}),
    _bare(**SOUND | {"time": -1}),
    _bare(**SOUND | {"time": 2**62}),
    _bare(**SOUND | {"day_volume": -5}),
    _bare(id="X", quote_type=7),
    _bare(id="X", price=1.0),
)

CASES = [
    FeedCase(
        name="yahoo",
        make=_make,
        frames=FRAMES,
        records=_records(),
        broken=tuple(Frame(RECV_NS, payload) for payload in BROKEN),
        serve=_serve,
    )
]
