"""The simulated exchange over real sockets, read by a client that is not ticktrail's."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from sim_kit import (
    ALL,
    AUTH,
    DEADLINE_S,
    EVEN,
    Running,
    changed,
    client,
    exchange,
    gather,
    hear,
    in_log,
    keys,
    logged_keys,
    say,
)
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidStatus

from ticktrail.clock import SystemClock
from ticktrail.config import Secret
from ticktrail.errors import PortTaken
from ticktrail.feeds.sim import (
    Faults,
    read_log,
    serve,
)
from ticktrail.telemetry import isolated_registry
from ticktrail.telemetry.metrics import Registry


def test_a_client_receives_exactly_what_the_log_says(tmp_path: Path) -> None:
    settings = changed(
        EVEN,
        trades_max=20_000,
        quotes_per_trade=0.5,
        halts_per_hour=36_000,
        halt_s=0.1,
        corrections_per_million=2_000,
        cancels_per_million=2_000,
        log_dir=str(tmp_path),
    )

    async def scenario() -> list[dict[str, Any]]:
        async with exchange(settings) as running, client(running.url, ALL) as socket:
            return await gather(socket)

    messages = asyncio.run(scenario())
    tables = read_log(tmp_path)
    trades = [message for message in messages if message["T"] == "t"]
    assert len(trades) == 20_000
    assert [
        (row["symbol"], row["id"], row["price"], row["size"], row["venue"], row["tape"], row["conditions"])
        for row in tables["trades"].to_pylist()
    ] == [(m["S"], m["i"], m["p"], m["s"], m["x"], m["z"], ",".join(m["c"])) for m in trades]
    quotes = [message for message in messages if message["T"] == "q"]
    assert [
        (row["symbol"], row["bid_price"], row["bid_size"], row["ask_price"], row["ask_size"])
        for row in tables["quotes"].to_pylist()
    ] == [(m["S"], m["bp"], m["bs"], m["ap"], m["as"]) for m in quotes]
    assert len(quotes) > 8_000
    kinds = Counter(message["T"] for message in messages)
    assert kinds["c"] + kinds["x"] == len(tables["corrections"]) > 20
    assert kinds["s"] + kinds["l"] == len(tables["statuses"]) > 5
    assert [m["oi"] if m["T"] == "c" else m["i"] for m in messages if m["T"] in "cx"] == tables[
        "corrections"
    ]["original_id"].to_pylist()


def test_subscriptions_decide_who_gets_what(tmp_path: Path) -> None:
    settings = changed(EVEN, trades_max=10_000, quotes_per_trade=0.2, log_dir=str(tmp_path))

    async def scenario() -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[dict[str, Any]]]:
        async with (
            exchange(settings) as running,
            client(running.url) as few,
            client(running.url) as everything,
            client(running.url) as twin,
        ):
            for socket in (everything, twin):
                await socket.send(json.dumps({"action": "subscribe", "trades": ["*"]}))
            await few.send(json.dumps({"action": "subscribe", "trades": ["AAPL", "NOPE"], "quotes": ["SPY"]}))
            gathered = await asyncio.gather(gather(few), gather(everything), gather(twin))
            return gathered[0], gathered[1], gathered[2]

    few, everything, twin = asyncio.run(scenario())
    assert everything == twin
    assert len(keys(everything)) == 10_000
    assert {m["S"] for m in few if m["T"] == "t"} == {"AAPL"}
    assert {m["S"] for m in few if m["T"] == "q"} == {"SPY"}
    apple = [key for key in keys(everything) if key[0] == "AAPL"]
    assert keys(few) == apple[-len(keys(few)) :]
    assert len(in_log(tmp_path, "trades")) == 10_000
    assert {row["symbol"] for row in in_log(tmp_path, "quotes")} == {"SPY"}


def test_unsubscribed_symbols_stop(tmp_path: Path) -> None:
    async def scenario() -> list[dict[str, Any]]:
        settings = changed(EVEN, log_dir=str(tmp_path))
        subscribe = {"action": "subscribe", "trades": ["SPY", "NVDA"]}
        async with exchange(settings) as running, client(running.url, subscribe) as socket:
            await socket.send(json.dumps({"action": "unsubscribe", "trades": ["SPY"]}))
            after: list[dict[str, Any]] | None = None
            async with asyncio.timeout(DEADLINE_S):
                while after is None or len(after) < 100:
                    messages = json.loads(await socket.recv())
                    if after is not None:
                        after += messages
                    elif messages[0]["T"] == "subscription":
                        after = []
            return after

    assert {message["S"] for message in asyncio.run(scenario())} == {"NVDA"}


def test_errors_over_the_wire() -> None:
    settings = changed(EVEN, connections_max=1, symbols_max=2, auth_timeout_s=1.0)

    async def scenario() -> None:
        async with exchange(settings) as running, connect(running.url, proxy=None) as socket:
            await hear(socket)
            assert (await say(socket, {"action": "subscribe", "trades": ["A"]}))["code"] == 401
            assert (await say(socket, AUTH | {"secret": "wrong"}))["code"] == 402
            await socket.send("{nonsense")
            assert (await hear(socket))["code"] == 400
            assert (await say(socket, AUTH))["msg"] == "authenticated"
            assert (await say(socket, AUTH))["code"] == 403
            assert (await say(socket, {"action": "subscribe", "trades": ["A", "B", "C"]}))["code"] == 405
            assert (await say(socket, {"action": "subscribe", "news": ["A"]}))["code"] == 410
            async with connect(running.url, proxy=None) as second:
                await hear(second)
                assert (await say(second, AUTH))["code"] == 406
                async with asyncio.timeout(DEADLINE_S):
                    await second.wait_closed()
            async with connect(running.url, proxy=None) as mute:
                await hear(mute)
                assert (await hear(mute))["code"] == 404
                async with asyncio.timeout(DEADLINE_S):
                    await mute.wait_closed()
            with pytest.raises(InvalidStatus, match="404"):
                await connect(running.url.replace("/v2/sip", "/v3/what"), proxy=None)
            with pytest.raises(InvalidStatus, match="403"):
                await connect(running.url, proxy=None, origin="https://example.org")  # type: ignore[arg-type]

    asyncio.run(scenario())


def test_keys_may_stand_in_the_handshake() -> None:
    settings = changed(EVEN, key=Secret("me"), secret=Secret("mine"))

    async def scenario() -> None:
        headers = {"APCA-API-KEY-ID": "me", "APCA-API-SECRET-KEY": "mine"}
        async with (
            exchange(settings) as running,
            connect(running.url, proxy=None, additional_headers=headers) as socket,
        ):
            assert (await hear(socket))["msg"] == "connected"
            assert (await hear(socket))["msg"] == "authenticated"

    asyncio.run(scenario())


def test_a_taken_port_is_named() -> None:
    async def scenario() -> None:
        async with exchange(EVEN) as running:
            port = int(running.url.rsplit(":", 1)[1].partition("/")[0])
            with pytest.raises(PortTaken, match=str(port)):
                await serve(
                    changed(EVEN, port=port), SystemClock(), ready=lambda _: None, stop=asyncio.Event()
                )

    asyncio.run(scenario())


def counts(registry: Registry, metric: str) -> dict[str, float]:
    """Give a metric of the exchange by the value of its label."""
    name = f"ticktrail_exchange_{metric}"
    return {
        "".join(each.labels.values()): each.value
        for each in registry.series()
        if each.metric.name == name and each.value
    }


def test_metrics_tell_what_was_sent_and_to_how_many() -> None:
    settings = changed(
        EVEN,
        quotes_per_trade=0.5,
        halts_per_hour=36_000,
        halt_s=0.1,
        # Later than the piece in which an exchange that stalled catches up.
        faults=Faults(drop_per_million=20_000, disconnect_every_s=0.6),
    )
    frames: list[list[dict[str, Any]]] = []

    async def listen(socket: ClientConnection) -> None:
        async for payload in socket:
            frames.append(json.loads(payload))  # noqa: PERF401  what came before the end counts, too

    async def scenario() -> None:
        async with exchange(settings) as running, client(running.url, ALL) as socket:
            with pytest.raises(ConnectionClosedError):
                await listen(socket)

    with isolated_registry() as registry:
        asyncio.run(scenario())
        heard = Counter(message["T"] for frame in frames for message in frame)
        # Connected, authenticated, subscribed.
        assert counts(registry, "sent_frames_total") == {"": 3 + len(frames)}
        assert counts(registry, "cut_connections_total") == {"fault": 1}
        sent, unsent = (counts(registry, f"{name}_records_total") for name in ("sent", "unsent"))
        names = {"trades": "t", "corrections": "c", "cancelErrors": "x"}  # the latter two come with trades
        names |= {"quotes": "q", "statuses": "s", "lulds": "l"}
        assert sent == {channel: heard[kind] for channel, kind in names.items() if heard[kind]}
        assert sent["trades"] > 1_000
        assert unsent["trades"] > 0.01 * sent["trades"]
        assert counts(registry, "accepted_connections_total") == {"": 1}
        assert not counts(registry, "clients")


def test_a_client_may_come_again_in_the_middle(tmp_path: Path) -> None:
    settings = changed(EVEN, log_dir=str(tmp_path))

    async def scenario() -> tuple[list[tuple[str, int]], list[tuple[str, int]]]:
        async with exchange(settings) as running:
            visits = []
            for _ in range(2):
                async with client(running.url, ALL) as socket, asyncio.timeout(DEADLINE_S):
                    visit: list[dict[str, Any]] = []
                    while len(keys(visit)) < 2_000:
                        visit += json.loads(await socket.recv())
                visits.append(keys(visit))
            return visits[0], visits[1]

    first, second = asyncio.run(scenario())
    logged = logged_keys(in_log(tmp_path))
    assert first == logged[: len(first)]
    begin = logged.index(second[0])
    assert begin >= len(first)
    assert second == logged[begin : begin + len(second)]


def test_a_hundred_thousand_trades_a_second_arrive_whole(tmp_path: Path) -> None:
    """No assertion on time: it shows that at this rate nothing is lost, reordered or cut off."""
    settings = changed(
        EVEN, rate=100_000, symbols=5_000, trades_max=150_000, close_at_end=True, log_dir=str(tmp_path)
    )

    async def scenario() -> tuple[int, Running]:
        count = 0
        async with exchange(settings) as running, client(running.url, ALL) as socket:
            try:
                while True:
                    async with asyncio.timeout(DEADLINE_S):
                        payload = await socket.recv(decode=False)
                    assert isinstance(payload, bytes)
                    count += payload.count(b'"T":"t"')
            except ConnectionClosed:
                pass
        return count, running

    count, running = asyncio.run(scenario())
    assert count == 150_000
    assert running.summary is not None
    assert (running.summary.trades, running.summary.unsent) == (150_000, 0)
    assert len(in_log(tmp_path)) == 150_000
