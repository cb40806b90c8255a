"""A websocket server that speaks Alpaca's dialogue as documented, with one misbehaviour at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

KEY, SECRET = "the-key", "the-very-secret"

_CHANNELS = (
    "trades",
    "quotes",
    "bars",
    "updatedBars",
    "dailyBars",
    "statuses",
    "lulds",
    "corrections",
    "cancelErrors",
)


@dataclass
class _Client:
    socket: ServerConnection
    packed: bool = field(kw_only=True)

    def __post_init__(self) -> None:
        self.codec: Any = msgspec.msgpack if self.packed else msgspec.json

    async def say(self, *messages: dict[str, Any]) -> None:
        await self.send(self.codec.encode(list(messages)))

    async def send(self, frame: bytes) -> None:
        await self.socket.send(frame, text=not self.packed)

    async def hear(self) -> dict[str, Any]:
        request: dict[str, Any] = self.codec.decode(await self.socket.recv(decode=False))
        return request


@dataclass(kw_only=True)
class AlpacaServer:
    """What to do; what was seen is in `requests`, `headers` and `connections`.

    `stage` is where an `error` is sent, or where the server falls `silent` or `hangs_up`: "welcome", "auth",
    "subscribe" or "stream".
    """

    frames: Sequence[bytes] = ()
    stage: str = ""
    error: int = 0
    is_silent: bool = False
    close_code: int = 0
    before_confirmation: Sequence[bytes] = ()
    refused_symbols: frozenset[str] = frozenset()
    url: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[str] = field(default_factory=list)
    connections: int = 0
    heard: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, socket: ServerConnection) -> None:
        self.connections += 1
        assert socket.request is not None
        content_type = socket.request.headers.get("Content-Type", "")
        self.headers.append(content_type)
        try:
            await self._converse(_Client(socket, packed=content_type == "application/msgpack"))
        except ConnectionClosed:
            return

    async def _converse(self, client: _Client) -> None:
        if await self._misbehaves(client, "welcome"):
            return
        await client.say({"T": "success", "msg": "connected"})
        request = await self._hear(client)
        if await self._misbehaves(client, "auth"):
            return
        if (request.get("key"), request.get("secret")) != (KEY, SECRET):
            await client.say({"T": "error", "code": 402, "msg": "auth failed"})
            return
        await client.say({"T": "success", "msg": "authenticated"})
        request = await self._hear(client)
        if await self._misbehaves(client, "subscribe"):
            return
        for frame in self.before_confirmation:
            await client.send(frame)
        await client.say(self.confirmation(request))
        for frame in self.frames:
            await client.send(frame)
        await self._misbehaves(client, "stream")

    async def _hear(self, client: _Client) -> dict[str, Any]:
        request = await client.hear()
        self.requests.append(request)
        self.heard.set()
        return request

    async def _misbehaves(self, client: _Client, stage: str) -> bool:
        if self.stage != stage:
            return False
        if self.error:
            await client.say({"T": "error", "code": self.error, "msg": f"error {self.error}"})
        if self.close_code:
            await client.socket.close(self.close_code, "as the test wants")
        elif self.is_silent:
            await client.socket.wait_closed()
        return True

    def confirmation(self, request: dict[str, Any]) -> dict[str, Any]:
        channels: dict[str, list[str]] = {name: [] for name in _CHANNELS}
        for name, symbols in request.items():
            if name != "action":
                channels[name] = [symbol for symbol in symbols if symbol not in self.refused_symbols]
        channels["corrections"] = channels["cancelErrors"] = channels["trades"]
        return {"T": "subscription", **channels}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        async with serve(self.handle, "127.0.0.1", 0, compression=None) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            self.url = f"ws://127.0.0.1:{port}/v2/iex"
            yield self.url


def run(scenario: Callable[[], Any], timeout_s: float = 20.0) -> Any:
    """Run a coroutine function to its end, or fail: no test may hang."""

    async def bounded() -> Any:
        async with asyncio.timeout(timeout_s):
            return await scenario()

    return asyncio.run(bounded())
