"""Connections that say nothing, read nothing, or are too many: over a real loopback socket."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import uvicorn

from ticktrail.cli.listen import listen
from ticktrail.dashboard import doorstep
from ticktrail.dashboard.doorstep import Doorstep

GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
BIG_BYTES = 20_000_000


async def answer(scope: Any, receive: Any, send: Any) -> None:
    """Answer when the whole request is there."""
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    body = b"x" * BIG_BYTES if scope["path"] == "/big" else b"well"
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": 200, "headers": [length]})
    await send({"type": "http.response.body", "body": body, "more_body": False})


Connect = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


def served(script: Callable[[Connect], Awaitable[None]]) -> None:
    async def run() -> None:
        config = uvicorn.Config(answer, http=Doorstep, log_config=None, lifespan="off")
        server = uvicorn.Server(config)
        listener = listen("127.0.0.1", 0)
        listener.listen()
        port = listener.getsockname()[1]
        serving = asyncio.create_task(server._serve([listener]))
        # The listener takes connections already; they are answered once the server has started.
        writers: list[asyncio.StreamWriter] = []

        async def connect() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writers.append(writer)
            return reader, writer

        try:
            async with asyncio.timeout(30):
                await script(connect)
        finally:
            for writer in writers:
                writer.transport.abort()
            server.should_exit = True
            await serving

    asyncio.run(run())


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doorstep, "_LOOK_S", 0.02)
    monkeypatch.setattr(doorstep, "_REQUEST_S_MAX", 0.2)
    monkeypatch.setattr(doorstep, "_STUCK_S_MAX", 0.2)


async def is_hung_up(reader: asyncio.StreamReader) -> bool:
    try:
        return await reader.read(100) == b""
    except ConnectionError:
        return True


@pytest.mark.parametrize(
    "beginning",
    [
        b"",
        b"GET / HTTP/1.1\r\nho",
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nabc",
        b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab",
    ],
)
def test_who_never_says_the_rest_is_let_go(beginning: bytes) -> None:
    async def script(connect: Connect) -> None:
        reader, writer = await connect()
        writer.write(beginning)
        assert await is_hung_up(reader)
        # Others are answered meanwhile and afterwards.
        reader, writer = await connect()
        writer.write(GET)
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")

    served(script)


def test_who_says_it_letter_by_letter_is_let_go() -> None:
    async def script(connect: Connect) -> None:
        reader, writer = await connect()
        hung_up = asyncio.create_task(is_hung_up(reader))
        for _ in range(1_000):
            if hung_up.done():
                break
            writer.write(b"G")
            await asyncio.sleep(0.01)
        assert await hung_up

    served(script)


def test_who_does_not_read_the_answer_is_let_go() -> None:
    async def script(connect: Connect) -> None:
        reader, writer = await connect()
        writer.write(GET.replace(b"/", b"/big", 1))
        await asyncio.sleep(1)  # it does not read
        found = 0
        try:
            while part := await reader.read(1_000_000):
                found += len(part)
        except ConnectionError:
            pass
        assert found < BIG_BYTES

    served(script)


def test_request_after_request_on_one_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    async def script(connect: Connect) -> None:
        reader, writer = await connect()
        for _ in range(10):  # longer than one request may take
            writer.write(GET)
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
            await reader.readuntil(b"well")
            await asyncio.sleep(0.05)
        writer.write(GET * 3)  # at once
        for _ in range(3):
            await reader.readuntil(b"well")

    served(script)


def test_too_many_of_one_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doorstep, "CONNECTIONS_OF_ONE_MAX", 5)

    async def script(connect: Connect) -> None:
        first = [await connect() for _ in range(5)]
        reader, writer = await connect()
        writer.write(GET)
        assert (await reader.readline()).startswith(b"HTTP/1.1 503")
        reader, writer = first[0]
        writer.write(GET)
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        first[1][1].close()
        while True:
            reader, writer = await connect()
            writer.write(GET)
            if (await reader.readline()).startswith(b"HTTP/1.1 200"):
                break
            await asyncio.sleep(0.01)

    served(script)
