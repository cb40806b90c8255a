"""The network half of a websocket feed, without anything that a vendor says inside it.

A vendor's ``connection.py`` adds the dialogue (keys, subscriptions, keep-alives) to it.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidProxy,
    InvalidStatus,
    InvalidURI,
)

from ticktrail.clock import Clock
from ticktrail.errors import ConfigError, FeedDisconnected, FeedRejected, TicktrailError, Unreachable
from ticktrail.feeds.base import FRAME_BYTES_MAX, Frame

__all__ = ["CLOSE_TOO_BIG", "WebSocketConnection", "is_loopback", "public_address"]

# RFC 6455, section 7.4.1: the code with which this side closes when a message is too big.
CLOSE_TOO_BIG = 1009

# The library stops reading the socket beyond this many frames, so that back-pressure reaches the venue
# instead of memory. The library's 16 would pause and resume the transport all the time in a burst.
_FRAMES_BUFFERED_MAX = 256

# Venues bound the frames that they accept (alpaca-py sends fragments of 32 KiB for that reason); a
# subscription to all symbols is longer.
_FRAGMENT_CHARS_MAX = 16 * 1024

# A venue that does not answer the closing handshake must not hold up a reconnect.
_CLOSE_TIMEOUT_S = 2.0

_REFUSALS = frozenset({400, 401, 403, 404, 410})


class WebSocketConnection:
    """One websocket at a time to one venue. Not for use by two tasks, except that any may `close`.

    Parameters
    ----------
    feed
        The feed's name, for errors.
    url
        ``ws://`` or ``wss://``. A token in its query never appears in an error.
    clock
        Stamps the frames.
    open_timeout_s
        How long dialling and the websocket handshake may take together, seconds.
    headers
        Sent with the handshake.
    """

    def __init__(
        self,
        *,
        feed: str,
        url: str,
        clock: Clock,
        open_timeout_s: float = 10.0,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.feed = feed
        self.address = public_address(url)
        self._url = url
        self._clock = clock
        self._open_timeout_s = open_timeout_s
        self._headers = dict(headers or {})
        self._socket: ClientConnection | None = None

    async def open(self) -> None:
        """Dial and shake hands; a connection that is still open is closed first.

        Raises
        ------
        Unreachable
            The venue does not answer, or answers that it cannot serve now.
        FeedRejected
            The venue refused the handshake in a way that does not pass by itself.
        ConfigError
            The URL is no websocket URL.
        """
        await self.close()
        loopback = is_loopback(self._url)
        try:
            self._socket = await connect(
                self._url,
                additional_headers=self._headers,
                # On one machine compressing costs more than it saves; elsewhere the venue decides.
                compression=None if loopback else "deflate",
                # A proxy of the environment cannot reach this machine's own loopback.
                proxy=None if loopback else True,
                open_timeout=self._open_timeout_s,
                close_timeout=_CLOSE_TIMEOUT_S,
                max_size=FRAME_BYTES_MAX,
                max_queue=_FRAMES_BUFFERED_MAX,
            )
        except (InvalidURI, InvalidProxy, InvalidHandshake, OSError, EOFError, ValueError) as error:
            # TimeoutError and ssl.SSLError are OSErrors; a port that speaks something else than HTTP
            # ends in one of the others.
            raise self._opening_error(error) from error

    async def send(self, payload: bytes | str) -> None:
        """Send one message, text as text, bytes as binary; a long one in fragments.

        Raises
        ------
        FeedDisconnected
            The connection is gone.
        """
        message: bytes | str | list[bytes] | list[str] = payload
        if len(payload) > _FRAGMENT_CHARS_MAX:
            starts = range(0, len(payload), _FRAGMENT_CHARS_MAX)
            message = [payload[start : start + _FRAGMENT_CHARS_MAX] for start in starts]  # type: ignore[assignment]
        try:
            await self._open_socket().send(message)
        except ConnectionClosed as error:
            raise self._closed(error) from error

    async def receive(self) -> Frame:
        """Wait for the next frame and stamp it. Safe to cancel: no frame is lost.

        Raises
        ------
        FeedDisconnected
            The connection is gone, and every frame received before was returned. Code 1009
            (`CLOSE_TOO_BIG`): this side closed it because a frame exceeded `FRAME_BYTES_MAX`.
        """
        try:
            # Undecoded: bytes that are no UTF-8 must reach the parser, which accounts for them, instead
            # of breaking the connection.
            payload = await self._open_socket().recv(decode=False)
        except ConnectionClosed as error:
            raise self._closed(error) from error
        return Frame(self._clock.now_ns(), payload)

    async def receive_within(self, timeout_s: float, awaited: str) -> Frame:
        """Wait for a frame of the opening dialogue, seconds at most.

        Raises
        ------
        FeedDisconnected
            The connection is gone.
        Unreachable
            The time is over; `awaited` tells the user what did not come.
        """
        try:
            async with asyncio.timeout(timeout_s):
                return await self.receive()
        except TimeoutError:
            raise Unreachable(
                what=f"Feed {self.feed} at {self.address} did not answer",
                why=f"no {awaited} within {timeout_s:g} s",
                next_step="It will be tried again; if that lasts, look at the vendor's status page.",
                service=self.feed,
                address=self.address,
            ) from None

    async def close(self) -> None:
        """Close; safe to call twice and before `open`. Unread frames are lost."""
        socket, self._socket = self._socket, None
        if socket is not None:
            await socket.close()

    def _open_socket(self) -> ClientConnection:
        if self._socket is None:
            raise FeedDisconnected(
                what=f"Feed {self.feed} is not connected",
                why="it was closed, or never opened",
                next_step="Connect first.",
                feed=self.feed,
            )
        return self._socket

    def _closed(self, error: ConnectionClosed) -> FeedDisconnected:
        if error.rcvd is None and error.sent is not None and error.sent.code == CLOSE_TOO_BIG:
            return FeedDisconnected(
                what=f"Feed {self.feed} was cut off",
                why=f"{self.address} sent a frame of more than {FRAME_BYTES_MAX} bytes",
                next_step="The connection will be opened again; records since then may be missing.",
                feed=self.feed,
                code=CLOSE_TOO_BIG,
            )
        closing = error.rcvd or error.sent
        return FeedDisconnected(
            what=f"Feed {self.feed} lost its connection to {self.address}",
            why=_one_line(f"{closing.code} {closing.reason}".strip() if closing else "the network broke it"),
            next_step="It will be opened again.",
            feed=self.feed,
            code=closing.code if closing else None,
        )

    def _opening_error(self, error: Exception) -> TicktrailError:
        if isinstance(error, InvalidURI):
            return ConfigError(
                what=f"The address of feed {self.feed} is no websocket URL",
                why=self.address,
                next_step=f"Set feeds.{self.feed}.url to one that begins with ws:// or wss://.",
                key=f"feeds.{self.feed}.url",
                source="settings",
            )
        if isinstance(error, InvalidStatus) and error.response.status_code in _REFUSALS:
            return FeedRejected(
                what=f"Feed {self.feed} was refused by {self.address}",
                why=f"HTTP status {error.response.status_code}",
                next_step=f"Check feeds.{self.feed} in the settings (url, keys) and the plan they belong to.",
                feed=self.feed,
                code=error.response.status_code,
            )
        return Unreachable(
            what=f"Cannot reach feed {self.feed} at {self.address}",
            why=self._cause(error),
            next_step="Check the address and this machine's network; it will be tried again.",
            service=self.feed,
            address=self.address,
        )

    def _cause(self, error: Exception) -> str:
        if isinstance(error, TimeoutError):
            return f"no answer within {self._open_timeout_s:g} s"
        if isinstance(error, InvalidStatus):
            return f"HTTP status {error.response.status_code}"
        if isinstance(error, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted ({error.verify_message})"
        if isinstance(error, InvalidProxy):
            return "the proxy that the environment names is not usable"  # its URL may hold a password
        if isinstance(error, ConnectionRefusedError):
            return "connection refused"
        return _one_line(str(error) or type(error).__name__)


def is_loopback(url: str) -> bool:
    """Tell whether a URL names this machine itself."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return False
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:  # a name, not an address
        return False


def public_address(url: str) -> str:
    """Strip what may be secret from a URL: user, password, query and fragment."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "an address that cannot be read"
    host = parts.hostname or ""
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{port}{parts.path}"


def _one_line(text: str) -> str:
    # The venue chose this text; it must not forge lines in a log or fill it.
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())[:200]
