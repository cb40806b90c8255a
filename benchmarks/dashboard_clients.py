"""Clients of the live stream, in a process of their own: ``python -m benchmarks.dashboard_clients``.

Each follows its symbols and keeps the last row of each; nothing is drawn. Connections are opened one after
the other, no faster than the server lets one address come. SIGTERM ends it; what was seen is then in a file.
"""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from ticktrail.clock import Clock, SystemClock

__all__ = ["Clients", "Followed", "Plan", "Row", "Wanted", "follow"]

# The server lets an address come 40 times a second, and other requests are made meanwhile.
_CONNECT_EVERY_S = 0.04
_START_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 30.0
_CHECKOUT = Path(__file__).resolve().parent.parent


class Wanted(msgspec.Struct):
    """What one client asks for; `symbols` are ``feed|symbol``, or None for all of them.

    With `is_recorded` every row is noted with its time.
    """

    symbols: list[str] | None
    every_ms: int
    is_recorded: bool = False


class Plan(msgspec.Struct):
    """All clients of a process."""

    url: str
    clients: list[Wanted]


class Row(msgspec.Struct):
    """Of a symbol's row what is compared."""

    feed: str
    symbol: str
    last: float | None
    ts_ns: int | None
    volume: float
    trades: int


class Message(msgspec.Struct):
    """What the server sends, as far as it matters here."""

    type: str
    seq: int = 0
    now_ns: int = 0
    symbols: list[Row] = []


class Followed(msgspec.Struct):
    """What one client saw.

    Parameters
    ----------
    times_ns
        When each message had come.
    ages_ns
        How long before that the server had begun to send it.
    holes
        Messages whose number was not the next.
    slowed
        How often the server said that it would send less often.
    closed
        Why the server ended the connection; empty if it did not.
    rows
        The last of each symbol.
    recorded
        Time, ``feed|symbol`` and trades of the day of every row, where that was asked for.
    """

    times_ns: list[int] = []
    ages_ns: list[int] = []
    size_bytes: int = 0
    holes: int = 0
    slowed: int = 0
    closed: str = ""
    rows: dict[str, Row] = {}
    recorded: list[tuple[int, str, int]] = []


class Clients:
    """The process of some clients, as its starter has it.

    Parameters
    ----------
    process
        To be looked at.
    """

    def __init__(self, process: subprocess.Popen[bytes], out: Path) -> None:
        self.process = process
        self._out = out

    @staticmethod
    @contextmanager
    def running(plan: Plan, directory: Path, name: str) -> Iterator[Clients]:
        """Start them, and wait until all have their snapshot."""
        wanted, out = directory / f"{name}.plan.json", directory / f"{name}.msgpack"
        wanted.write_bytes(msgspec.json.encode(plan))
        command = [sys.executable, "-m", "benchmarks.dashboard_clients", str(wanted), str(out)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=_CHECKOUT)
        try:
            assert process.stdout is not None
            assert process.stdout.readline().strip() == b"ready", "the clients cannot connect"
            yield Clients(process, out)
        finally:
            process.kill()
            process.communicate()

    def stop(self) -> list[Followed]:
        """End them; give what each saw."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(_STOP_TIMEOUT_S) == 0, "the clients failed"
        return msgspec.msgpack.decode(self._out.read_bytes(), type=list[Followed])


async def _run(plan: Plan) -> list[Followed]:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    found = [Followed() for _ in plan.clients]
    clock = SystemClock()
    tasks = []
    for wanted, seen in zip(plan.clients, found, strict=True):
        tasks.append(asyncio.create_task(_connect(plan.url, wanted, seen, clock)))
        await asyncio.sleep(_CONNECT_EVERY_S)
    deadline = time.monotonic() + _START_TIMEOUT_S
    while not all(seen.times_ns for seen in found):
        assert time.monotonic() < deadline, "not all clients have their snapshot"
        await asyncio.sleep(_CONNECT_EVERY_S)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await stop.wait()
    for task in tasks:
        task.cancel()
    for ended in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(ended, Exception):
            raise ended
    return found


async def _connect(url: str, wanted: Wanted, seen: Followed, clock: Clock) -> None:
    async with connect(url, max_size=None, compression=None, ping_interval=None) as socket:
        symbols = "*" if wanted.symbols is None else wanted.symbols
        asked = {"op": "subscribe", "symbols": symbols, "every_ms": wanted.every_ms}
        await socket.send(msgspec.json.encode(asked).decode())
        try:
            await follow(socket, wanted, seen, clock)
        except ConnectionClosed as error:
            seen.closed = str(error)


async def follow(socket: ClientConnection, wanted: Wanted, seen: Followed, clock: Clock) -> None:
    """Note what comes until the connection ends.

    Raises
    ------
    ConnectionClosed
        The server has ended it.
    """
    decoder = msgspec.json.Decoder(Message)
    sequence = 0
    while True:
        text = await socket.recv(decode=False)
        now_ns = clock.now_ns()
        message = decoder.decode(text)
        sequence += 1
        if message.seq != sequence:
            seen.holes += 1
            sequence = message.seq
        seen.slowed += message.type == "conflated"
        seen.times_ns.append(now_ns)
        seen.ages_ns.append(now_ns - message.now_ns)
        seen.size_bytes += len(text)
        for row in message.symbols:
            seen.rows[name := f"{row.feed}|{row.symbol}"] = row
            if wanted.is_recorded:
                seen.recorded.append((now_ns, name, row.trades))


def _main(wanted: Path, out: Path) -> None:
    found = asyncio.run(_run(msgspec.json.decode(wanted.read_bytes(), type=Plan)))
    out.write_bytes(msgspec.msgpack.encode(found))


if __name__ == "__main__":
    _main(*map(Path, sys.argv[1:]))
