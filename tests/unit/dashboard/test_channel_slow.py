"""A client of the live stream that does not read its socket: over the real server, beside one that reads."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
import uvicorn
from websockets.asyncio.client import ClientConnection, connect
from websockets.client import ClientProtocol
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode
from websockets.uri import parse_uri

from ticktrail.cli.listen import listen
from ticktrail.clock import SystemClock
from ticktrail.codec import Decoded, DecodedKind
from ticktrail.config import Settings
from ticktrail.dashboard import channel, doorstep
from ticktrail.dashboard.app import make_app
from ticktrail.dashboard.channel import TOO_SLOW
from ticktrail.dashboard.doorstep import Doorstep, LiveDoor
from ticktrail.dashboard.guard import Guard
from ticktrail.dashboard.hub import Hub
from ticktrail.dashboard.metrics import DROPPED
from ticktrail.dashboard.service import Service
from ticktrail.model import Columns, Trade
from ticktrail.telemetry import isolated_registry

DEADLINE_S = 60.0
# Long enough that no client that reads is taken for a slow one where the machine is busy.
TIMEOUT_S = 1.0
FIRST_NS = 1_767_623_400_000_000_000
# One row of each is more than what all buffers between server and client hold together.
SYMBOLS = [f"S{number}" for number in range(2_000)]
NAMES = [f"sim|{symbol}" for symbol in SYMBOLS]
BUFFER_BYTES = 32 * 1024


class Live:
    """The server's state, as a test moves it on; nothing comes from Kafka."""

    def __init__(self, hub: Hub, url: str) -> None:
        self.hub = hub
        self.url = url
        self._trades = 0

    def take(self, prices: dict[str, float]) -> None:
        """Let one trade of each symbol happen."""
        trades = []
        for symbol, price in prices.items():
            self._trades += 1
            ts_ns = FIRST_NS + self._trades
            trades.append(
                Trade(
                    feed="sim",
                    symbol=symbol,
                    day=20_458,
                    ts_ns=ts_ns,
                    event_id=self._trades,
                    ts_event_ns=ts_ns,
                    ts_recv_ns=ts_ns,
                    price=price,
                    size=100.0,
                    flags=7,
                )
            )
        columns = Columns.from_records(Trade, trades)
        kinds: dict[Any, DecodedKind] = {Trade: DecodedKind(columns, None)}  # type: ignore[arg-type]
        self.hub.take(Decoded(kinds, [], 0))

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        """Turn until something is so."""
        deadline = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < deadline, f"waited in vain: {what}"
            self.hub.next_turn()
            await asyncio.sleep(0.01)  # the pause of a wait with a deadline


class Stuck:
    """A client that speaks, and reads only when it is told to: the kernel keeps what fits, no more."""

    def __init__(self, url: str) -> None:
        self._uri = parse_uri(url)
        self._protocol = ClientProtocol(self._uri, max_size=None)
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        self._socket.setblocking(False)
        self.messages: list[dict[str, Any]] = []

    async def open(self, **wanted: Any) -> None:
        loop = asyncio.get_running_loop()
        await loop.sock_connect(self._socket, (self._uri.host, self._uri.port))
        self._protocol.send_request(self._protocol.connect())
        await self._flush()
        head = b""
        while b"\r\n\r\n" not in head:
            head += await loop.sock_recv(self._socket, 1)
        self._protocol.receive_data(head)
        assert self._protocol.handshake_exc is None
        self._protocol.events_received()
        self._protocol.send_text(json.dumps({"op": "subscribe", **wanted}).encode())
        await self._flush()

    async def read_to_the_end(self) -> tuple[int, str] | None:
        """Read what is there until the server closes; give its code and its reason, None without a word."""
        loop = asyncio.get_running_loop()
        with suppress(ConnectionResetError):
            async with asyncio.timeout(DEADLINE_S):
                while data := await loop.sock_recv(self._socket, 1 << 20):
                    self._protocol.receive_data(data)
                    for event in self._protocol.events_received():
                        if isinstance(event, Frame) and event.opcode is Opcode.TEXT:
                            self.messages.append(json.loads(bytes(event.data)))
                    await self._flush()
        found = self._protocol.close_rcvd
        return None if found is None else (found.code, found.reason)

    def close(self) -> None:
        self._socket.close()

    async def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            with suppress(ConnectionError):
                await asyncio.get_running_loop().sock_sendall(self._socket, data)


class Reading:
    """A client that reads all the time, and keeps the last value of each symbol."""

    def __init__(self, socket_: ClientConnection) -> None:
        self.last: dict[str, float] = {}
        self.sequence: list[int] = []
        self.kinds: set[str] = set()
        self._socket = socket_
        self._task = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for text in self._socket:
            message = json.loads(text)
            self.sequence.append(message["seq"])
            self.kinds.add(message["type"])
            self.last |= {row["symbol"]: row["last"] for row in message.get("symbols", [])}

    async def close(self) -> None:
        await self._socket.close()
        with suppress(ConnectionClosed):
            await self._task


def served(script: Callable[[Live], Awaitable[None]]) -> None:
    """Run a script beside the server; the live state is the script's own."""

    async def run() -> None:
        settings, clock = Settings(), SystemClock()
        service, guard = Service(settings, clock), Guard(settings.serve, clock)
        config = uvicorn.Config(
            make_app(service, guard, clock),
            log_config=None,
            http=Doorstep,
            ws=LiveDoor,
            ws_per_message_deflate=False,
            # What it would start reads Kafka.
            lifespan="off",
            timeout_graceful_shutdown=1,
        )
        server = uvicorn.Server(config)
        listener = listen("127.0.0.1", 0)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
        listener.listen()
        serving = asyncio.create_task(server._serve([listener]))
        url = f"ws://127.0.0.1:{listener.getsockname()[1]}/api/v1/live?token={guard.run_token}"
        try:
            async with asyncio.timeout(3 * DEADLINE_S):
                await script(Live(service.hub, url))
        finally:
            server.should_exit = True
            await serving

    asyncio.run(run())


def dropped() -> int:
    return DROPPED.labels(reason="too_slow").value


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(channel, "_SEND_TIMEOUT_S", TIMEOUT_S)
    with isolated_registry():
        yield


def test_who_does_not_read_is_let_go_with_a_reason_and_others_miss_nothing() -> None:
    rounds = 0

    async def script(live: Live) -> None:
        nonlocal rounds
        expected = dict.fromkeys(SYMBOLS, 1.0)
        live.take(expected)
        stuck = Stuck(live.url)
        async with connect(live.url, max_size=None, compression=None) as socket_:
            reading = Reading(socket_)
            await socket_.send(json.dumps({"op": "subscribe", "symbols": NAMES, "every_ms": 20}))
            await live.until(lambda: reading.last == expected, "the snapshot")
            await stuck.open(symbols=NAMES, every_ms=20)
            await live.until(lambda: live.hub.clients == 2, "the second client")
            while not dropped():
                rounds += 1
                # Each round moves all symbols, or every seventh only.
                moved = SYMBOLS if rounds % 2 else SYMBOLS[rounds % 7 :: 7]
                prices = {symbol: rounds + number / 4 for number, symbol in enumerate(moved)}
                live.take(prices)
                expected.update(prices)
                await live.until(lambda: reading.last == expected, f"round {rounds} at who reads")
            assert dropped() == 1
            # Only whoever reads at last can be told.
            assert await stuck.read_to_the_end() == (TOO_SLOW, "too slow: nothing was read for 1 s")
            await live.until(lambda: live.hub.clients == 1, "one client is left")
            final = {symbol: 1_000.0 + number for number, symbol in enumerate(SYMBOLS)}
            live.take(final)
            await live.until(lambda: reading.last == final, "the last values after all that")
            await reading.close()
            stuck.close()
        await live.until(lambda: live.hub.clients == 0, "nobody is left")
        assert reading.sequence == list(range(1, len(reading.sequence) + 1))
        assert reading.kinds <= {"snapshot", "update", "conflated"}
        numbers = [message["seq"] for message in stuck.messages]
        assert numbers == list(range(1, len(numbers) + 1))
        assert {message["type"] for message in stuck.messages} <= {"snapshot", "update", "conflated"}
        assert stuck.messages[0]["type"] == "snapshot"
        assert dropped() == 1

    served(script)
    # The other was served on while the first one was waited for.
    assert rounds >= 3


def test_who_never_reads_again_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doorstep, "_STUCK_LIVE_S_MAX", 2 * TIMEOUT_S)

    async def script(live: Live) -> None:
        live.take(dict.fromkeys(SYMBOLS, 1.0))
        stuck = Stuck(live.url)
        await stuck.open(symbols=NAMES, every_ms=20)
        await live.until(lambda: live.hub.clients == 1, "it is there")
        price = 1.0
        while live.hub.clients:
            price += 1
            live.take(dict.fromkeys(SYMBOLS, price))
            turn = live.hub.turn
            await live.until(lambda turn=turn: live.hub.turn > turn + 5, "some turns")  # type: ignore[misc]
        assert dropped() == 1
        assert await stuck.read_to_the_end() is None
        stuck.close()

    served(script)


def test_who_reads_slowly_but_reads_stays_and_has_the_last_values() -> None:
    """Pauses that are shorter than the bound are forgiven, however many."""

    async def script(live: Live) -> None:
        expected = dict.fromkeys(SYMBOLS, 1.0)
        live.take(expected)
        # Behind one message of its queue it reads no more from the socket.
        async with connect(live.url, max_size=None, compression=None, max_queue=1) as socket_:
            await socket_.send(json.dumps({"op": "subscribe", "symbols": NAMES, "every_ms": 20}))
            last: dict[str, float] = {}
            sequence = []
            for number in range(2, 12):
                expected = dict.fromkeys(SYMBOLS, float(number))
                live.take(expected)
                turn = live.hub.turn
                await live.until(lambda turn=turn: live.hub.turn > turn + 10, "the pause of a slow reader")  # type: ignore[misc]
                message = json.loads(await asyncio.wait_for(socket_.recv(), DEADLINE_S))
                sequence.append(message["seq"])
                last |= {row["symbol"]: row["last"] for row in message.get("symbols", [])}
            turning = asyncio.create_task(live.until(lambda: last == expected, "the last values"))
            while last != expected:
                message = json.loads(await asyncio.wait_for(socket_.recv(), DEADLINE_S))
                sequence.append(message["seq"])
                last |= {row["symbol"]: row["last"] for row in message.get("symbols", [])}
            await turning
            assert sequence == list(range(1, len(sequence) + 1))
        assert dropped() == 0

    served(script)
