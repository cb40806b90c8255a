"""Connections: how many there may be, and how long who has made them may say or read nothing.

uvicorn waits for ever for the rest of a request, and for a client that does not read its answer or the live
stream. Here both are bounded, and so is the number of connections, in all and of one client. A request's head
is bounded by h11 (64 KiB), its body by Litestar, messages to the live stream by uvicorn's settings
(`ticktrail.cli.serve`).
"""

from __future__ import annotations

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from ticktrail.dashboard.metrics import REFUSED

__all__ = ["CONNECTIONS_MAX", "CONNECTIONS_OF_ONE_MAX", "Doorstep", "LiveDoor"]

# Most systems allow a process 1,024 open files; Kafka, Cassandra and the files of Python need some.
CONNECTIONS_MAX = 800
# Behind a proxy all people are one client.
CONNECTIONS_OF_ONE_MAX = 500
_REQUEST_S_MAX = 20.0
_STUCK_S_MAX = 60.0
# Longer than a live client is waited for by `ticktrail.dashboard.channel`, which tells it why it must go.
_STUCK_LIVE_S_MAX = 20.0
_LOOK_S = 5.0
_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nretry-after: 5\r\n"
    b"x-content-type-options: nosniff\r\nconnection: close\r\n\r\n"
)


class Doorstep(H11Protocol):
    """One connection; `uvicorn.Config` takes the class as ``http``."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        # Since when, by the loop's time, the rest of a request is waited for, or an answer is not read.
        self._waiting_since: float | None = self.loop.time()
        self._stuck_since: float | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, or refuse it: there are too many."""
        super().connection_made(transport)
        host = self.client[0] if self.client else ""
        clients = [getattr(each, "client", None) for each in self.connections]
        of_one = sum(client is not None and client[0] == host for client in clients)
        if len(self.connections) > CONNECTIONS_MAX or of_one > CONNECTIONS_OF_ONE_MAX:
            REFUSED.inc(reason="connections")
            transport.write(_FULL)
            transport.close()
        else:
            self.loop.call_later(_LOOK_S, self._look)

    def data_received(self, data: bytes) -> None:
        """Take what has come, and note whether it was the end of a request."""
        if self.transport.is_closing():
            return  # it was refused
        super().data_received(data)
        if self._has_request():
            self._waiting_since = None

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        self._waiting_since = None if self._has_request() else self.loop.time()

    def pause_writing(self) -> None:
        """Note that the client does not read."""
        super().pause_writing()
        self._stuck_since = self.loop.time()

    def resume_writing(self) -> None:
        """Note that the client reads again."""
        super().resume_writing()
        self._stuck_since = None

    def _has_request(self) -> bool:
        return self.conn.their_state not in {h11.IDLE, h11.SEND_BODY}

    def _look(self) -> None:
        if self not in self.connections:
            return  # it is closed, or a websocket now
        now = self.loop.time()
        is_late = self._waiting_since is not None and now - self._waiting_since > _REQUEST_S_MAX
        is_stuck = self._stuck_since is not None and now - self._stuck_since > _STUCK_S_MAX
        if is_late or is_stuck:
            REFUSED.inc(reason="slow")
            self.transport.abort()
        else:
            self.loop.call_later(_LOOK_S, self._look)


class LiveDoor(WebSocketsSansIOProtocol):
    """One connection of the live stream; `uvicorn.Config` takes the class as ``ws``.

    Saying goodbye to a client that does not read waits for that client, and so does closing the connection:
    it is cut off at last.
    """

    _cutting: asyncio.TimerHandle | None = None

    def pause_writing(self) -> None:
        """Note that the client does not read."""
        super().pause_writing()
        self._cutting = self.loop.call_later(_STUCK_LIVE_S_MAX, self.transport.abort)

    def resume_writing(self) -> None:
        """Note that the client reads again."""
        super().resume_writing()
        self._let_live()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._let_live()
        super().connection_lost(exc)

    def _let_live(self) -> None:
        if self._cutting is not None:
            self._cutting.cancel()
            self._cutting = None
