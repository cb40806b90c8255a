"""The simulated exchange in a test's own loop, and a client that is not ticktrail's."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from ticktrail.clock import SystemClock
from ticktrail.feeds.sim import (
    SimSettings,
    Summary,
    read_log,
    serve,
)

DEADLINE_S = 30.0
AUTH = {"action": "auth", "key": "sim", "secret": "sim"}
ALL = {"action": "subscribe", "trades": ["*"], "quotes": ["*"], "statuses": ["*"], "lulds": ["*"]}
EVEN = SimSettings(
    session_s=0, rate=20_000, symbols=60, quotes_per_trade=0, halts_per_hour=0, close_at_end=True
)


class Running:
    """An exchange in this loop."""

    def __init__(self) -> None:
        self.url = ""
        self.stop = asyncio.Event()
        self.summary: Summary | None = None


@asynccontextmanager
async def exchange(settings: SimSettings) -> AsyncIterator[Running]:
    running = Running()
    listening = asyncio.Event()

    def ready(url: str) -> None:
        running.url = url
        listening.set()

    task = asyncio.create_task(serve(settings, SystemClock(), ready=ready, stop=running.stop))
    try:
        async with asyncio.timeout(DEADLINE_S):
            await listening.wait()
        yield running
    finally:
        running.stop.set()
        async with asyncio.timeout(DEADLINE_S):
            running.summary = await task


def changed(settings: SimSettings, **changes: Any) -> SimSettings:
    return SimSettings(**{name: getattr(settings, name) for name in settings.__struct_fields__} | changes)


async def say(socket: ClientConnection, message: dict[str, Any]) -> dict[str, Any]:
    await socket.send(json.dumps(message))
    return await hear(socket)


async def hear(socket: ClientConnection) -> dict[str, Any]:
    async with asyncio.timeout(DEADLINE_S):
        messages = json.loads(await socket.recv())
    assert isinstance(messages, list)
    assert len(messages) == 1
    first: dict[str, Any] = messages[0]
    return first


@asynccontextmanager
async def client(url: str, subscribe: dict[str, Any] | None = None) -> AsyncIterator[ClientConnection]:
    async with connect(url, proxy=None, max_queue=None) as socket:
        assert await hear(socket) == {"T": "success", "msg": "connected"}
        assert await say(socket, AUTH) == {"T": "success", "msg": "authenticated"}
        if subscribe:
            assert (await say(socket, subscribe))["T"] == "subscription"
        yield socket


async def gather(socket: ClientConnection, *, quiet_s: float = DEADLINE_S) -> list[dict[str, Any]]:
    """Collect messages until the connection is closed, or nothing has come for long.

    What is no list of messages is collected as a message of type ``"?"``.
    """
    messages: list[dict[str, Any]] = []
    while True:
        try:
            async with asyncio.timeout(quiet_s):
                payload = await socket.recv(decode=False)
        except (TimeoutError, ConnectionClosed):
            return messages
        try:
            content = json.loads(payload)
            assert all(isinstance(message, dict) for message in content)
            messages += content
        except (ValueError, TypeError, AssertionError):
            messages.append({"T": "?"})


def keys(messages: list[dict[str, Any]]) -> list[tuple[str, int]]:
    return [(message["S"], message["i"]) for message in messages if message["T"] == "t" and "i" in message]


def logged_keys(rows: list[dict[str, Any]]) -> list[tuple[str, int]]:
    return [(row["symbol"], row["id"]) for row in rows]


def in_log(directory: Path, kind: str = "trades", *, sent_only: bool = True) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = read_log(directory, sent_only=sent_only)[kind].to_pylist()
    return rows
