"""A simulated exchange and captures of it around the real Kafka, and what came of them."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from fixtures_servers import flags_of

from ticktrail.bus import Tail, ensure_topics
from ticktrail.capture import Assembly
from ticktrail.clock import SystemClock
from ticktrail.codec import decode
from ticktrail.config import CaptureSettings, Settings
from ticktrail.feeds import Subscription, registry
from ticktrail.feeds.sim import SimSettings, read_log, serve
from ticktrail.model import Gap, Heartbeat, Record, Trade

DEADLINE_S = 60.0
QUICK: dict[str, Any] = {"proof_ms": 100, "heartbeat_ms": 100, "reconnect_delay_ms_max": 200}


def quick(settings: Settings, **capture: Any) -> Settings:
    """Change the settings of capture."""
    return msgspec.structs.replace(settings, capture=CaptureSettings(**{**QUICK, **capture}))


@asynccontextmanager
async def exchange(log_dir: Path, **values: Any) -> AsyncIterator[str]:
    """Run an exchange; give its URL."""
    listening: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    stop = asyncio.Event()
    base = {
        "session_s": 0.0,
        "rate": 2_000.0,
        "symbols": 20,
        "quotes_per_trade": 0.1,
        "log_dir": str(log_dir),
    }
    settings = SimSettings(**{**base, **values})
    task = asyncio.create_task(serve(settings, SystemClock(), ready=listening.set_result, stop=stop))
    try:
        yield await asyncio.wait_for(listening, DEADLINE_S)
    finally:
        stop.set()
        await task


class Running:
    """A capture in this process."""

    def __init__(self, settings: Settings, url: str, market: Any = None) -> None:
        subscription = Subscription(symbols=("*",), kinds=("trades", "quotes", "status"))
        clock = SystemClock()
        feed = registry.make_sim_feed({"url": url, "encoding": "msgpack"}, subscription, clock)
        self.stop = asyncio.Event()
        self.assembly = Assembly(feed, settings, subscription, market, clock)
        prepare = partial(ensure_topics, settings.kafka)
        self.task = asyncio.create_task(self.assembly.run(self.stop, prepare))

    async def end(self) -> None:
        self.stop.set()
        await asyncio.wait_for(self.task, DEADLINE_S)


@asynccontextmanager
async def capture(settings: Settings, url: str, market: Any = None) -> AsyncIterator[Running]:
    running = Running(settings, url, market)
    try:
        yield running
        await running.end()
    finally:
        running.task.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await running.task


@asynccontextmanager
async def capture_process(settings: Settings, url: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run `ticktrail capture` in a process of its own; stop it in order at the end, if it still runs."""
    values = msgspec.structs.asdict(settings.capture)
    flags = [f"--set=capture.{key}={values[key]}" for key in QUICK]
    command = [sys.executable, "-m", "ticktrail", "capture", "--feed=sim", f"--set=feeds.sim.url={url}"]
    process = await asyncio.create_subprocess_exec(
        *command, *flags, *flags_of(settings), stdout=asyncio.subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await asyncio.wait_for(process.wait(), DEADLINE_S)


async def until(condition: Callable[[], bool], running: Running | None = None) -> None:
    """Wait for something, looking now and then."""
    async with asyncio.timeout(DEADLINE_S):
        while not await asyncio.to_thread(condition):
            if running is not None and running.task.done():
                running.task.result()
                raise AssertionError("capture ended")
            await asyncio.sleep(0.05)


class Topic:
    """Everything that a topic has, read as it comes."""

    def __init__(self, settings: Settings, name: str) -> None:
        ensure_topics(settings.kafka)
        self._tail = Tail(settings.kafka, name, from_start=True)
        self.records: list[Record] = []

    def read(self) -> list[Record]:
        """Take what has come."""
        for message in self._tail._consumer.consume(50_000, 0.05):
            if message.error() is None:
                self.records.append(decode(message.value()))
        return self.records

    def close(self) -> None:
        self._tail._consumer.close()

    @property
    def trades(self) -> list[Trade]:
        return [record for record in self.read() if isinstance(record, Trade)]

    @property
    def gaps(self) -> list[Gap]:
        """The last word on each gap."""
        found = [record for record in self.read() if isinstance(record, Gap)]
        return list({(gap.from_ns, gap.channel, gap.cause): gap for gap in found}.values())

    @property
    def proofs(self) -> list[Heartbeat]:
        return [record for record in self.read() if isinstance(record, Heartbeat)]


def sent_trades(log_dir: Path) -> list[dict[str, Any]]:
    """Read the exchange's log: every trade that it made, sent to somebody or not."""
    rows: list[dict[str, Any]] = read_log(log_dir)["trades"].to_pylist()
    return rows


def missing(log_dir: Path, trades: list[Trade]) -> list[dict[str, Any]]:
    """List the exchange's trades that are not there."""
    there = {(trade.symbol, trade.trade_id) for trade in trades}
    return [row for row in sent_trades(log_dir) if (row["symbol"], str(row["id"])) not in there]


def unexplained(log_dir: Path, trades: Topic, ledger: Topic) -> list[dict[str, Any]]:
    """List what is missing between the first proof of coverage and the last one, and in no gap."""
    proofs, gaps = ledger.proofs, [gap for gap in ledger.gaps if gap.state != "covered"]
    first_ns = min(proof.since_ns for proof in proofs)
    last_ns = max(proof.ts_recv_ns for proof in proofs)
    return [
        row
        for row in missing(log_dir, trades.trades)
        if first_ns <= row["sent_ns"] < last_ns
        and not any(gap.from_ns <= row["sent_ns"] < gap.to_ns for gap in gaps)
    ]
