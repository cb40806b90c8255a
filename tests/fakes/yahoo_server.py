"""A websocket server that speaks the dialogue of Yahoo's stream."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed


@dataclass(kw_only=True)
class YahooServer:
    """Sends `frames` after the first subscription, then closes, unless it is to `stay`.

    What was seen is in `requests`; `heard` is set by each and may be cleared.
    """

    frames: Sequence[bytes] = ()
    stay: bool = False
    requests: list[Any] = field(default_factory=list)
    heard: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, socket: ServerConnection) -> None:
        try:
            await self._hear(socket)
            for frame in self.frames:
                await socket.send(frame, text=True)
            while self.stay:
                await self._hear(socket)
        except ConnectionClosed:
            return

    async def _hear(self, socket: ServerConnection) -> None:
        self.requests.append(json.loads(await socket.recv()))
        self.heard.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        """Serve on a free port of loopback; give the URL."""
        async with serve(self.handle, "127.0.0.1", 0) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            yield f"ws://127.0.0.1:{port}/?version=2"
