"""The dialogue, over real sockets, with a server that misbehaves in one way at a time."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec
import pytest
from fakes.alpaca_server import KEY, SECRET, AlpacaServer, run

from ticktrail.errors import FeedDisconnected, FeedRejected, Transient, Unreachable, UsageError
from ticktrail.feeds import FRAME_BYTES_MAX, Subscription
from ticktrail.feeds.alpaca import AlpacaConfig, AlpacaFeed, make_feed
from ticktrail.testing import FakeClock

SYMBOLS = Subscription(symbols=("AAPL", "BRK.B"))
TRADE = b'[{"T":"t","S":"AAPL","i":1,"x":"Q","p":1.5,"s":1,"c":["@"],"z":"C","t":"2026-01-05T14:30:00Z"}]'


def feed_for(url: str, subscription: Subscription = SYMBOLS, **changes: Any) -> AlpacaFeed:
    settings = {"url": url, "key": KEY, "secret": SECRET, "auth_timeout_s": 5.0, **changes}
    return make_feed(settings, subscription, FakeClock())


def connect(server: AlpacaServer, subscription: Subscription = SYMBOLS, **changes: Any) -> None:
    async def scenario() -> None:
        async with server.running() as url:
            feed = feed_for(url, subscription, **changes)
            try:
                await feed.connect()
            finally:
                await feed.close()

    run(scenario)


def test_it_authenticates_and_subscribes_as_documented() -> None:
    server = AlpacaServer()
    connect(server, Subscription(symbols=("AAPL", "BRK.B"), kinds=("trades", "quotes", "bars", "status")))
    both = ["AAPL", "BRK.B"]
    channels = ("trades", "quotes", "bars", "updatedBars", "dailyBars", "statuses", "lulds")
    assert server.requests == [
        {"action": "auth", "key": KEY, "secret": SECRET},
        {"action": "subscribe", **dict.fromkeys(channels, both)},
    ]
    assert server.headers == [""]


def test_msgpack_is_asked_for_by_the_header() -> None:
    server = AlpacaServer()
    connect(server, encoding="msgpack")
    assert server.headers == ["application/msgpack"]
    assert server.requests[0]["key"] == KEY


def test_all_symbols() -> None:
    server = AlpacaServer()
    connect(server, Subscription(symbols=("AAPL", "*"), kinds=("trades",)))
    assert server.requests[1] == {"action": "subscribe", "trades": ["*"]}


def test_a_subscription_to_thousands_of_symbols_is_understood() -> None:
    server = AlpacaServer()
    symbols = tuple(f"SYM{number}" for number in range(12_000))
    connect(server, Subscription(symbols=symbols, kinds=("trades", "quotes")))
    assert server.requests[1]["quotes"] == list(symbols)


def test_wrong_keys_are_refused_without_showing_them() -> None:
    with pytest.raises(FeedRejected) as caught:
        connect(AlpacaServer(), secret="a-wrong-secret")
    assert caught.value.code == 402
    assert "TICKTRAIL_FEEDS__ALPACA__KEY" in caught.value.next_step
    assert "TICKTRAIL_FEEDS__ALPACA__SECRET" in caught.value.next_step
    assert "a-wrong-secret" not in f"{caught.value!s}{caught.value!r}"


@pytest.mark.parametrize("code", [400, 401, 402, 405, 408, 409, 410, 411])
@pytest.mark.parametrize("stage", ["auth", "subscribe"])
def test_errors_that_do_not_pass_stop(stage: str, code: int) -> None:
    with pytest.raises(FeedRejected) as caught:
        connect(AlpacaServer(stage=stage, error=code))
    assert caught.value.code == code
    assert caught.value.why
    assert caught.value.next_step


@pytest.mark.parametrize("code", [403, 404, 406, 407, 413, 500, 599])
@pytest.mark.parametrize("stage", ["welcome", "subscribe"])
def test_errors_that_pass_are_retried(stage: str, code: int) -> None:
    with pytest.raises(Transient) as caught:
        connect(AlpacaServer(stage=stage, error=code))
    assert isinstance(caught.value, FeedDisconnected)
    assert caught.value.code == code


@pytest.mark.parametrize("stage", ["welcome", "auth", "subscribe"])
def test_a_silent_venue_is_given_up_after_the_time_out(stage: str) -> None:
    with pytest.raises(Unreachable) as caught:
        connect(AlpacaServer(stage=stage, is_silent=True), auth_timeout_s=0.1)
    assert "within 0.1 s" in caught.value.why


@pytest.mark.parametrize("stage", ["welcome", "auth", "subscribe"])
def test_a_venue_that_hangs_up_is_tried_again(stage: str) -> None:
    with pytest.raises(FeedDisconnected) as caught:
        connect(AlpacaServer(stage=stage, close_code=1013))
    assert caught.value.code == 1013
    assert "as the test wants" in caught.value.why


def test_a_partial_confirmation_is_refused_and_says_what_is_missing() -> None:
    with pytest.raises(FeedRejected) as caught:
        connect(AlpacaServer(refused_symbols=frozenset({"BRK.B"})))
    assert caught.value.why == "trades lacks BRK.B"


def test_records_before_the_confirmation_are_not_lost() -> None:
    async def scenario() -> list[bytes]:
        server = AlpacaServer(before_confirmation=[TRADE, b"garbage"], frames=[b"[]"])
        async with server.running() as url:
            feed = feed_for(url)
            await feed.connect()
            frames = [await feed.receive() for _ in range(3)]
            await feed.close()
            return [frame.payload for frame in frames if frame]

    assert run(scenario) == [TRADE, b"garbage", b"[]"]


def test_a_frame_that_is_too_big_breaks_the_connection_and_says_so() -> None:
    async def scenario() -> FeedDisconnected:
        server = AlpacaServer(frames=[TRADE, b"[" + b" " * (FRAME_BYTES_MAX + 1)])
        async with server.running() as url:
            feed = feed_for(url)
            await feed.connect()
            frame = await feed.receive()
            assert frame is not None
            assert frame.payload == TRADE
            with pytest.raises(FeedDisconnected) as caught:
                await feed.receive()
            await feed.close()
            return caught.value

    error = run(scenario)
    assert error.code == 1009
    assert str(FRAME_BYTES_MAX) in error.why


def test_a_large_frame_within_the_limit_arrives() -> None:
    async def scenario() -> int:
        server = AlpacaServer(frames=[b"[" + b" " * (FRAME_BYTES_MAX - 2) + b"]"])
        async with server.running() as url:
            feed = feed_for(url)
            await feed.connect()
            frame = await feed.receive()
            await feed.close()
            return len(frame.payload) if frame else 0

    assert run(scenario) == FRAME_BYTES_MAX


def test_frames_are_stamped_by_the_clock() -> None:
    async def scenario() -> list[int]:
        clock = FakeClock(1_767_623_400_000_000_000)
        async with AlpacaServer(frames=[TRADE, TRADE]).running() as url:
            config = AlpacaConfig(url=url, **secrets())
            feed = AlpacaFeed(config, SYMBOLS, clock)
            await feed.connect()
            first = await feed.receive()
            clock.advance(1.5)
            second = await feed.receive()
            await feed.close()
            assert first is not None
            assert second is not None
            return [first.ts_recv_ns, second.ts_recv_ns]

    assert run(scenario) == [1_767_623_400_000_000_000, 1_767_623_401_500_000_000]


def secrets() -> dict[str, Any]:
    from ticktrail.config import Secret

    return {"key": Secret(KEY), "secret": Secret(SECRET)}


def test_the_server_closing_ends_receive_after_the_last_frame() -> None:
    async def scenario() -> list[bytes]:
        payloads: list[bytes] = []
        async with AlpacaServer(frames=[TRADE] * 500, stage="stream", close_code=1001).running() as url:
            feed = feed_for(url)
            await feed.connect()
            try:
                while frame := await feed.receive():
                    payloads.append(frame.payload)
            except FeedDisconnected:
                await feed.close()
                return payloads
        raise AssertionError("receive ended without an error")

    assert run(scenario) == [TRADE] * 500


def test_receive_before_connect_and_after_close_is_an_error_not_a_hang() -> None:
    async def scenario() -> None:
        async with AlpacaServer().running() as url:
            feed = feed_for(url)
            with pytest.raises(FeedDisconnected):
                await feed.receive()
            await feed.connect()
            await feed.close()
            with pytest.raises(FeedDisconnected):
                await feed.receive()

    run(scenario)


def test_a_cancelled_connect_leaves_no_connection_behind() -> None:
    async def scenario() -> None:
        server = AlpacaServer(stage="auth", is_silent=True)
        async with server.running() as url:
            feed = feed_for(url, auth_timeout_s=60.0)
            connecting = asyncio.ensure_future(feed.connect())
            await server.heard.wait()
            connecting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await connecting
            with pytest.raises(FeedDisconnected):
                await feed.receive()

    run(scenario)


@pytest.mark.parametrize(
    "subscription",
    [
        Subscription(symbols=()),
        Subscription(symbols=("AAPL",), kinds=()),
        Subscription(symbols=("AAPL",), kinds=("trades", "news")),
    ],
)
def test_what_cannot_be_asked_for_is_refused_before_dialling(subscription: Subscription) -> None:
    with pytest.raises(UsageError):
        feed_for("ws://127.0.0.1:1", subscription)


def test_parse_needs_no_connection() -> None:
    from ticktrail.feeds import Frame

    parsed = feed_for("ws://127.0.0.1:1").parse([Frame(1, TRADE)])
    assert sum(map(len, parsed.columns)) == len(msgspec.json.decode(TRADE)) == len(json.loads(TRADE))
