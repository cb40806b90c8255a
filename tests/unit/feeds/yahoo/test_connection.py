"""The dialogue over a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from fakes.yahoo_server import YahooServer

from ticktrail.errors import ConfigError, FeedDisconnected, Unreachable, UsageError
from ticktrail.feeds import Subscription
from ticktrail.feeds.yahoo import YahooFeed, make_feed
from ticktrail.testing import FakeClock

MSFT = b"CgRNU0ZUFYVrMUMY0KLMjcNcKgNOTVMwCDgBRZ+B3L9IuPn8CVU0IjRDXYVrMUNlQApHwNgBBA=="


def run(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run to the end, or fail: no test may hang."""

    async def bounded() -> None:
        async with asyncio.timeout(20):
            await scenario()

    asyncio.run(bounded())


def feed_at(url: str, clock: FakeClock | None = None) -> YahooFeed:
    subscription = Subscription(symbols=("MSFT", "BRK.B", "MSFT"))
    return make_feed({"url": url}, subscription, clock or FakeClock(auto_advance=False))


def test_frames_come_after_subscribing_stamped_and_unchanged() -> None:
    server = YahooServer(frames=[MSFT, b'{"type":"pricing","message":"' + MSFT + b'"}'])

    async def scenario() -> None:
        clock = FakeClock(auto_advance=False)
        async with server.running() as url:
            feed = feed_at(url, clock)
            await feed.connect()
            frames = [await feed.receive(), await feed.receive()]
            with pytest.raises(FeedDisconnected):
                await feed.receive()
            await feed.close()
        assert [frame.payload for frame in frames if frame] == server.frames
        assert {frame.ts_recv_ns for frame in frames if frame} == {clock.now_ns()}
        assert server.requests == [{"subscribe": ["MSFT", "BRK-B"]}]
        [trades] = feed.parse([frame for frame in frames if frame]).columns
        assert trades["price"].tolist() == [177.42, 177.42]

    run(scenario)


def test_the_subscription_is_repeated_every_15_seconds() -> None:
    server = YahooServer(stay=True)

    async def scenario() -> None:
        clock = FakeClock(auto_advance=False)
        async with server.running() as url:
            feed = feed_at(url, clock)
            await feed.connect()
            for n in range(1, 4):
                await server.heard.wait()
                server.heard.clear()
                assert len(server.requests) == n
                # The feed's task goes to sleep at its next turn; only then can time pass for it.
                while len(clock.slept_s) < n:  # noqa: ASYNC110
                    await asyncio.sleep(0)
                clock.advance(14.9)
                await asyncio.sleep(0)
                assert len(server.requests) == n
                clock.advance(0.1)
            await feed.close()
        assert set(clock.slept_s) == {15.0}
        assert server.requests[0] == server.requests[-1]

    run(scenario)


def test_closing_ends_the_repetition_and_connecting_again_works() -> None:
    server = YahooServer(stay=True, frames=[MSFT])

    async def scenario() -> None:
        async with server.running() as url:
            feed = feed_at(url)
            for _ in range(2):
                await feed.connect()
                frame = await feed.receive()
                assert frame is not None
                assert frame.payload == MSFT
                await feed.close()
                await feed.close()
                names = [task.get_name() for task in asyncio.all_tasks()]
                assert "yahoo-subscribe" not in names

    run(scenario)


def test_a_venue_that_is_not_there_is_worth_another_try() -> None:
    async def scenario() -> None:
        with pytest.raises(Unreachable, match="connection refused"):
            await feed_at("ws://127.0.0.1:1").connect()

    run(scenario)


@pytest.mark.parametrize(
    "subscription",
    [
        Subscription(symbols=()),
        Subscription(symbols=("*",)),
        Subscription(symbols=("MSFT",), kinds=("quotes",)),
    ],
)
def test_what_yahoo_cannot_send_is_refused(subscription: Subscription) -> None:
    with pytest.raises(UsageError) as caught:
        make_feed({}, subscription, FakeClock())
    assert caught.value.next_step


@pytest.mark.parametrize("settings", [{"url": "http://x"}, {"subscribe_every_s": 0}, {"key": "k"}])
def test_wrong_settings_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        make_feed(settings, Subscription(symbols=("MSFT",)), FakeClock())
