from __future__ import annotations

import asyncio
from http import HTTPStatus

import pytest
from fakes.alpaca_server import run
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from ticktrail.errors import ConfigError, FeedDisconnected, FeedRejected, TicktrailError, Unreachable
from ticktrail.feeds.websocket import WebSocketConnection, is_loopback, public_address
from ticktrail.testing import FakeClock


def connection(url: str, timeout_s: float = 5.0) -> WebSocketConnection:
    return WebSocketConnection(feed="nimbus", url=url, clock=FakeClock(), open_timeout_s=timeout_s)


def opening_error(url: str, timeout_s: float = 5.0) -> TicktrailError:
    async def scenario() -> TicktrailError:
        with pytest.raises(TicktrailError) as caught:
            await connection(url, timeout_s).open()
        return caught.value

    error: TicktrailError = run(scenario)
    return error


def test_nobody_listening() -> None:
    async def free_port() -> int:
        server = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 0)
        port: int = server.sockets[0].getsockname()[1]
        server.close()
        await server.wait_closed()
        return port

    error = opening_error(f"ws://127.0.0.1:{run(free_port)}/?token=hush")
    assert isinstance(error, Unreachable)
    assert error.why == "connection refused"
    assert "hush" not in str(error)


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, FeedRejected), (403, FeedRejected), (404, FeedRejected), (429, Unreachable), (503, Unreachable)],
)
def test_refusals_of_the_handshake(status: int, kind: type[TicktrailError]) -> None:
    async def scenario() -> TicktrailError:
        def refuse(socket: ServerConnection, _request: Request) -> Response:
            return socket.respond(HTTPStatus(status), "no")

        async with serve(_idle, "127.0.0.1", 0, process_request=refuse) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            with pytest.raises(TicktrailError) as caught:
                await connection(f"ws://127.0.0.1:{port}").open()
            return caught.value

    error = run(scenario)
    assert type(error) is kind
    assert f"HTTP status {status}" in error.why


@pytest.mark.parametrize("greeting", [b"", b"220 mail.example ESMTP\r\n", b"HTTP/1.1 200 OK\r\n\r\nhello"])
def test_a_server_that_speaks_something_else(greeting: bytes) -> None:
    async def scenario() -> TicktrailError:
        async def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(greeting)
            writer.close()

        async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            with pytest.raises(TicktrailError) as caught:
                await connection(f"ws://127.0.0.1:{port}").open()
            return caught.value

    assert isinstance(run(scenario), Unreachable)


def test_a_server_that_says_nothing() -> None:
    async def scenario() -> TicktrailError:
        done = asyncio.Event()

        async def wait(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await done.wait()
            writer.close()

        async with await asyncio.start_server(wait, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            with pytest.raises(TicktrailError) as caught:
                await connection(f"ws://127.0.0.1:{port}", 0.1).open()
            done.set()
            return caught.value

    error = run(scenario)
    assert isinstance(error, Unreachable)
    assert error.why == "no answer within 0.1 s"


@pytest.mark.parametrize("url", ["http://127.0.0.1/", "nonsense", "ws://"])
def test_what_is_no_websocket_url(url: str) -> None:
    assert isinstance(opening_error(url), ConfigError)


def test_long_messages_are_sent_in_fragments_and_arrive_whole() -> None:
    async def scenario() -> list[str | bytes]:
        heard: list[str | bytes] = []

        async def listen(socket: ServerConnection) -> None:
            heard.extend([await socket.recv() for _ in range(3)])

        async with serve(listen, "127.0.0.1", 0) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            client = connection(f"ws://127.0.0.1:{port}")
            await client.open()
            for message in ("short", "é" * 100_000, b"\0" * 100_000):
                await client.send(message)
            with pytest.raises(FeedDisconnected):
                await client.receive()
            with pytest.raises(FeedDisconnected):
                await client.send("too late")
            await client.close()
        return heard

    assert run(scenario) == ["short", "é" * 100_000, b"\0" * 100_000]


def test_text_that_is_no_utf8_reaches_the_parser() -> None:
    async def scenario() -> bytes:
        async def talk(socket: ServerConnection) -> None:
            await socket.send(b"\xff\xfe", text=True)

        async with serve(talk, "127.0.0.1", 0) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            client = connection(f"ws://127.0.0.1:{port}")
            await client.open()
            frame = await client.receive()
            await client.close()
            return frame.payload

    assert run(scenario) == b"\xff\xfe"


def test_what_the_venue_says_at_closing_cannot_forge_lines() -> None:
    async def scenario() -> FeedDisconnected:
        async def hang_up(socket: ServerConnection) -> None:
            await socket.close(4000, "bye\nERROR all is lost\x1b[2J")

        async with serve(hang_up, "127.0.0.1", 0) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            client = connection(f"ws://127.0.0.1:{port}")
            await client.open()
            with pytest.raises(FeedDisconnected) as caught:
                await client.receive()
            await client.close()
            return caught.value

    error = run(scenario)
    assert error.code == 4000
    assert str(error).isprintable()


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("wss://user:hush@ws.example.io:443/v2?token=hush#hush", "wss://ws.example.io:443/v2"),
        ("ws://[::1]:80/x", "ws://[::1]:80/x"),
        ("ws://host:notaport/", "an address that cannot be read"),
    ],
)
def test_addresses_without_secrets(url: str, address: str) -> None:
    assert public_address(url) == address


@pytest.mark.parametrize(
    ("url", "answer"),
    [
        ("ws://127.0.0.1:1/", True),
        ("ws://localhost/", True),
        ("ws://[::1]/", True),
        ("wss://stream.example/", False),
        ("ws://127.0.0.1.example/", False),
        ("ws://[", False),
    ],
)
def test_loopback(url: str, answer: bool) -> None:
    assert is_loopback(url) is answer


async def _idle(socket: ServerConnection) -> None:
    await socket.wait_closed()
