"""One client: its snapshot, its sequence, and what becomes of it when it is slow."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from ticktrail.codec import Decoded, DecodedKind
from ticktrail.dashboard.channel import Channel, ClientGone
from ticktrail.dashboard.hub import Hub
from ticktrail.model import Columns, Trade
from ticktrail.testing import FakeClock

FIRST_NS = 1_767_623_400_000_000_000


class FakeWire:
    """A client that reads as fast as it is let."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.closed: tuple[int, str] | None = None
        self.asked: asyncio.Queue[str | None] = asyncio.Queue()
        self.may_read = asyncio.Event()
        self.may_read.set()
        self.before_read: Callable[[], None] = lambda: None

    async def send(self, text: bytes) -> None:
        await self.may_read.wait()
        self.before_read()
        self.sent.append(json.loads(text))

    async def receive(self) -> str:
        text = await self.asked.get()
        if text is None:
            raise ClientGone
        return text

    async def close(self, code: int, reason: str) -> None:
        self.closed = code, reason

    def ask(self, **message: Any) -> None:
        self.asked.put_nowait(json.dumps(message))


def trade(symbol: str, number: int, price: float = 10.0) -> Trade:
    return Trade(
        feed="sim",
        symbol=symbol,
        day=20_458,
        ts_ns=FIRST_NS + number,
        event_id=number,
        ts_event_ns=FIRST_NS + number,
        ts_recv_ns=FIRST_NS + number,
        price=price,
        size=100.0,
        trade_id=str(number),
        flags=7,
    )


def take(hub: Hub, *trades: Trade) -> None:
    columns = Columns.from_records(Trade, trades)
    kinds: dict[Any, DecodedKind] = {Trade: DecodedKind(columns, None)}  # type: ignore[arg-type]
    hub.take(Decoded(kinds, [], 0))


def play(script: Callable[[Hub, FakeWire, FakeClock], Awaitable[None]]) -> FakeWire:
    """Run a channel beside a script; both end with the script."""

    async def run() -> FakeWire:
        hub, wire, clock = Hub(), FakeWire(), FakeClock()
        channel = asyncio.create_task(Channel(hub, wire, clock).run())
        await asyncio.wait_for(script(hub, wire, clock), 10)
        wire.asked.put_nowait(None)
        await asyncio.wait_for(channel, 10)
        assert hub.clients == 0
        return wire

    return asyncio.run(run())


async def settled() -> None:
    """Let every task go as far as it can."""
    for _ in range(20):
        await asyncio.sleep(0)


async def turns(hub: Hub, count: int) -> None:
    for _ in range(count):
        hub.next_turn()
        await settled()


def test_a_snapshot_and_what_changes_after_it() -> None:
    async def script(hub: Hub, wire: FakeWire, clock: FakeClock) -> None:
        take(hub, trade("A", 1, 10.0), trade("B", 2, 20.0), trade("C", 3, 30.0))
        wire.ask(op="subscribe", id=7, symbols=["sim|A", "sim|C", "sim|LATER"], tape="sim|A", every_ms=20)
        await settled()
        await turns(hub, 3)
        take(hub, trade("A", 4, 11.0), trade("B", 5, 21.0), trade("LATER", 6, 1.0))
        await turns(hub, 2)

    wire = play(script)
    assert [message["seq"] for message in wire.sent] == list(range(1, len(wire.sent) + 1))
    snapshot, *updates = wire.sent
    assert (snapshot["type"], snapshot["id"]) == ("snapshot", 7)
    assert {row["symbol"]: row["last"] for row in snapshot["symbols"]} == {"A": 10.0, "C": 30.0}
    assert [each["trade_id"] for each in snapshot["tape"]] == ["1"]
    rows: dict[str, float] = {}
    ids: list[str] = []
    for update in updates:
        assert update["type"] == "update"
        rows |= {row["symbol"]: row["last"] for row in update.get("symbols", [])}
        ids += [each["trade_id"] for each in update.get("trades", [])]
    assert rows == {"A": 11.0, "LATER": 1.0} | ({"C": 30.0} if "C" in rows else {})
    assert ids == ["4"]


def test_everything_by_a_star() -> None:
    async def script(hub: Hub, wire: FakeWire, clock: FakeClock) -> None:
        wire.ask(op="subscribe", symbols="*", every_ms=20)
        await settled()
        take(hub, *(trade(f"S{number}", number) for number in range(1_000)))
        await turns(hub, 3)

    wire = play(script)
    assert wire.sent[0]["symbols"] == []
    assert {row["symbol"] for row in wire.sent[1]["symbols"]} == {f"S{number}" for number in range(1_000)}


def test_the_pace_that_was_asked_for() -> None:
    async def script(hub: Hub, wire: FakeWire, clock: FakeClock) -> None:
        wire.ask(op="subscribe", symbols=["sim|A"], every_ms=100)
        await settled()
        for number in range(20):
            take(hub, trade("A", number, float(number)))
            await turns(hub, 1)

    updates = play(script).sent[1:]
    assert 3 <= len(updates) <= 4  # twenty turns of 20 ms
    assert updates[-1]["symbols"][0]["last"] >= 15


def test_a_slow_client_gets_the_last_value_and_no_other() -> None:
    async def script(hub: Hub, wire: FakeWire, clock: FakeClock) -> None:
        wire.ask(op="subscribe", symbols=["sim|A"], tape="sim|A", every_ms=20)
        take(hub, trade("A", 0))
        await settled()
        await turns(hub, 2)
        wire.may_read.clear()
        for number in range(1, 1_001):
            take(hub, trade("A", number, float(number)))
            if number % 10 == 0:
                await turns(hub, 1)
        wire.may_read.set()
        await settled()
        await turns(hub, 2)

    wire = play(script)
    assert wire.closed is None
    assert [message["seq"] for message in wire.sent] == list(range(1, len(wire.sent) + 1))
    assert len(wire.sent) < 8
    assert wire.sent[-1]["symbols"][0]["last"] == 1_000.0
    shown = sum(len(message.get("trades", [])) for message in wire.sent[1:])
    skipped = sum(message.get("skipped", 0) for message in wire.sent[1:])
    assert shown + skipped in {1_000, 1_001}
    assert skipped >= 700


def test_a_client_that_takes_long_is_slowed_down_and_told() -> None:
    async def script(hub: Hub, wire: FakeWire, clock: FakeClock) -> None:
        wire.ask(op="subscribe", symbols=["sim|A"], every_ms=20)
        await settled()
        wire.before_read = lambda: clock.advance(0.05)
        for number in range(40):
            take(hub, trade("A", number))
            await turns(hub, 1)

    told = [message for message in play(script).sent if message["type"] == "conflated"]
    assert [message["every_ms"] for message in told[:2]] == [40, 80]


def test_a_client_that_keeps_up_again_gets_its_pace_back() -> None:
    async def script(hub: Hub, wire: FakeWire, clock: FakeClock) -> None:
        wire.ask(op="subscribe", symbols=["sim|A"], every_ms=20)
        await settled()
        wire.before_read = lambda: clock.advance(0.03)
        for number in range(8):
            take(hub, trade("A", number))
            await turns(hub, 1)
        wire.before_read = lambda: None
        for number in range(8, 400):
            take(hub, trade("A", number))
            await turns(hub, 1)

    told = [message for message in play(script).sent if message["type"] == "conflated"]
    assert [message["every_ms"] for message in told] == [40, 20]


def test_nonsense_is_answered_and_the_client_stays() -> None:
    async def script(hub: Hub, wire: FakeWire, clock: FakeClock) -> None:
        for text in (
            "{",
            '{"op":"fly"}',
            '{"op":"subscribe","every_ms":1}',
            '{"op":"subscribe","x":1}',
            "[]",
        ):
            wire.asked.put_nowait(text)
        wire.ask(op="ping", t=5)
        await settled()

    *errors, pong = play(script).sent
    assert [message["type"] for message in errors] == ["error"] * 5
    assert pong == {"type": "pong", "t": 5}
