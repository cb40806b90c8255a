"""One client of the live stream: its subscription, its sequence, its pace.

Protocol (also `docs/reference/api.md`). The client says what it wants, ever anew and as a whole; the answer
is a snapshot, then come updates: what has changed since the message before. Each message has a number, one
more than the last; a client that sees a hole connects again. Whoever cannot keep up is slowed down, symbol by
symbol (it gets the last value of each, and is told how much was left out), then let go.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal, Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from ticktrail.clock import NS_PER_MS, Clock
from ticktrail.dashboard.budget import Budget
from ticktrail.dashboard.hub import TURN_MS, Hub, turns_of
from ticktrail.dashboard.metrics import CLIENTS, CONFLATED, DROPPED, MESSAGES

__all__ = ["Channel", "ClientGone", "Wire"]

EVERY_MS_MAX = 2_000
# A client that has not taken a message after so long is let go.
_SEND_TIMEOUT_S = 10.0
# Sending that takes longer than its share of the pace, so often in a row, doubles the time between messages;
# sending that takes less than a quarter of it, so often in a row, halves it again.
_SLOW_SENDS, _FAST_SENDS = 5, 100
_TAPE_MAX = 200
_ALERTS_MAX = 100
_PIPELINE_EVERY_MS = 1_000
# A page asks anew when its user looks at something else. Each snapshot costs all clients' time.
_ASKED_PER_S, _ASKED_BURST = 10.0, 100.0
TOO_SLOW, TOO_MANY = 4008, 4029

Index = npt.NDArray[np.int64]


class ClientGone(Exception):
    """The other side has closed the connection."""


class Wire(Protocol):
    """What a channel needs of a websocket."""

    async def send(self, text: bytes) -> None:
        """Send one text message; waits while the client does not read. Raises `ClientGone`."""
        ...

    async def receive(self) -> bytes | str:
        """Take the next message; raises `ClientGone`."""
        ...

    async def close(self, code: int, reason: str) -> None:
        """Close the connection."""
        ...


class Chart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A symbol and an interval to draw."""

    feed: str
    symbol: str
    interval: Literal["1s", "1m", "5m", "1h", "1d"]


Name = Annotated[str, msgspec.Meta(max_length=130)]


class Subscribe(msgspec.Struct, tag_field="op", tag="subscribe", frozen=True, forbid_unknown_fields=True):
    """Everything that a client wants from now on."""

    symbols: Annotated[list[Name], msgspec.Meta(max_length=20_000)] | Literal["*"] = []
    every_ms: Annotated[int, msgspec.Meta(ge=TURN_MS, le=60_000)] = 100
    tape: Name | None = None
    chart: Chart | None = None
    alerts: bool = False
    pipeline: bool = False
    id: int | None = None


class Ping(msgspec.Struct, tag_field="op", tag="ping", frozen=True, forbid_unknown_fields=True):
    """Asks for a pong."""

    t: float | None = None


_DECODER = msgspec.json.Decoder(Subscribe | Ping)
_ENCODER = msgspec.json.Encoder()


class Channel:
    """Speaks with one client until it goes.

    Parameters
    ----------
    hub
        Where everything comes from.
    wire
        The connection, accepted.
    """

    def __init__(self, hub: Hub, wire: Wire, clock: Clock) -> None:
        self._hub = hub
        self._wire = wire
        self._clock = clock
        self._sequence = 0
        self._asked = Budget(_ASKED_PER_S, _ASKED_BURST, clock.monotonic_ns())
        self._sending = asyncio.Lock()
        self._wanted: Subscribe | None = None
        self._waiting: list[str] = []
        self._symbols_seen = 0
        self._codes: Index | None = None
        self._sent_turn = self._sent_serial = self._sent_alert = self._sent_amended = 0
        self._every_turns = 1
        self._slow_sends = self._fast_sends = 0
        self._pipeline_ns = 0

    async def run(self) -> None:
        """Serve the client; returns when it has gone, or was let go."""
        self._hub.clients += 1
        CLIENTS.set(self._hub.clients)
        reader = asyncio.create_task(self._read())
        writer = asyncio.create_task(self._write())
        try:
            done, _ = await asyncio.wait({reader, writer}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        except ClientGone:
            pass
        except TimeoutError:
            DROPPED.inc(reason="too_slow")
            await self._wire.close(TOO_SLOW, f"too slow: nothing was read for {_SEND_TIMEOUT_S:g} s")
        finally:
            for task in (reader, writer):
                task.cancel()
            await asyncio.gather(reader, writer, return_exceptions=True)
            self._hub.clients -= 1
            CLIENTS.set(self._hub.clients)

    async def _read(self) -> None:
        while True:
            text = await self._wire.receive()
            if self._asked.is_spent(self._clock.monotonic_ns()):
                DROPPED.inc(reason="too_many_messages")
                await self._wire.close(TOO_MANY, "too many messages")
                return
            try:
                asked = _DECODER.decode(text)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
                await self._send({"type": "error", "what": "This cannot be understood", "why": str(error)})
                continue
            if isinstance(asked, Ping):
                await self._wire.send(_ENCODER.encode({"type": "pong", "t": asked.t}))
            else:
                await self._subscribe(asked)

    async def _subscribe(self, wanted: Subscribe) -> None:
        self._wanted = wanted
        self._every_turns = turns_of(wanted.every_ms)
        self._waiting, self._symbols_seen = [] if wanted.symbols == "*" else list(wanted.symbols), 0
        self._codes = None if wanted.symbols == "*" else np.empty(0, dtype=np.int64)
        self._note_new_symbols()
        hub, turn = self._hub, self._hub.turn - 1
        codes = np.arange(len(hub.board)) if self._codes is None else self._codes
        message: dict[str, Any] = {
            "type": "snapshot",
            "id": wanted.id,
            "symbols": hub.board.rows(codes, sparklines=True),
        }
        if (code := self._tape_code()) is not None:
            message["tape"] = hub.trades_of(code, -1, _TAPE_MAX)[0]
            message["quote"] = hub.board.quote(code)
        if wanted.chart is not None:
            message["chart"] = {"bars": self._bars(wanted.chart, -1, -1)}
        if wanted.alerts:
            message["alerts"] = hub.alerts.after(-1, _ALERTS_MAX)[0]
        if wanted.pipeline:
            message["pipeline"] = hub.pipeline
        self._note_sent(turn)
        await self._send(message)

    async def _write(self) -> None:
        while True:
            await self._hub.turned.wait()
            if self._wanted is None or self._hub.turn - 1 - self._sent_turn < self._every_turns:
                continue
            parts = self._changes(self._wanted)
            self._note_sent(self._hub.turn - 1)
            if not parts:
                continue
            begun_ns = self._clock.monotonic_ns()
            await self._send_parts(b"update", parts)
            await self._mind_the_pace(self._clock.monotonic_ns() - begun_ns)

    def _note_sent(self, turn: int) -> None:
        hub = self._hub
        self._sent_turn, self._sent_serial = turn, hub.tape.serial
        self._sent_alert, self._sent_amended = hub.alerts.serial, hub.amended.serial

    def _changes(self, wanted: Subscribe) -> list[bytes]:
        """Give what has changed since the last message, as pieces of a JSON object."""
        hub, after = self._hub, self._sent_turn
        self._note_new_symbols()
        parts = []
        codes = hub.board.changed_since(self._codes, after)
        if len(codes):
            parts.append(b'"symbols":[' + b",".join(hub.fragments(codes)) + b"]")
        if (code := self._tape_code()) is not None:
            parts += self._tape_changes(code, after)
        if wanted.chart is not None and (bars := self._bars(wanted.chart, after, self._sent_serial)):
            parts.append(b'"bars":' + _ENCODER.encode(bars))
        if wanted.alerts and hub.alerts.serial > self._sent_alert:
            alerts, left_out = hub.alerts.after(self._sent_alert, _ALERTS_MAX)
            parts.append(b'"alerts":' + _ENCODER.encode(alerts))
            parts.append(b'"alerts_skipped":%d' % left_out)
        now_ns = self._clock.monotonic_ns()
        if wanted.pipeline and now_ns - self._pipeline_ns >= _PIPELINE_EVERY_MS * NS_PER_MS:
            self._pipeline_ns = now_ns
            parts.append(b'"pipeline":' + _ENCODER.encode(hub.pipeline))
        return parts

    def _tape_changes(self, code: int, after: int) -> list[bytes]:
        parts = []
        trades, left_out = self._hub.trades_of(code, self._sent_serial, _TAPE_MAX)
        if trades:
            parts.append(b'"trades":' + _ENCODER.encode(trades))
            parts.append(b'"skipped":%d' % left_out)
        if amended := self._hub.amended.after(code, self._sent_amended):
            parts.append(b'"amended":' + _ENCODER.encode(amended))
        if len(self._hub.board.changed_since(np.array([code]), after)):
            parts.append(b'"quote":' + _ENCODER.encode(self._hub.board.quote(code)))
        return parts

    def _bars(self, chart: Chart, turn: int, serial: int) -> list[dict[str, Any]]:
        """Give a chart's final bars since then, and the one that is forming if its symbol has changed."""
        hub = self._hub
        bars = hub.tape.bars_of(chart.feed, chart.symbol, chart.interval, serial)
        code = hub.board.code(chart.feed, chart.symbol)
        if code is not None and len(hub.board.changed_since(np.array([code]), turn)):
            forming = hub.forming(chart.feed, chart.symbol, chart.interval, self._clock.now_ns())
            if forming is not None and all(bar["ts_open_ns"] != forming["ts_open_ns"] for bar in bars):
                bars.append(forming)
        return bars

    def _note_new_symbols(self) -> None:
        """Look whether symbols have come that were asked for before anything of them was known."""
        if self._codes is None or not self._waiting or len(self._hub.board) == self._symbols_seen:
            return
        self._symbols_seen = len(self._hub.board)
        found, waiting = [], []
        for name in self._waiting:
            feed, _, symbol = name.partition("|")
            code = self._hub.board.code(feed, symbol)
            if code is None:
                waiting.append(name)
            else:
                found.append(code)
        self._waiting = waiting
        if found:
            self._codes = np.union1d(self._codes, np.array(found, dtype=np.int64))

    def _tape_code(self) -> int | None:
        if self._wanted is None or self._wanted.tape is None:
            return None
        feed, _, symbol = self._wanted.tape.partition("|")
        return self._hub.board.code(feed, symbol)

    async def _mind_the_pace(self, took_ns: int) -> None:
        """Slow down for a client that takes its messages slowly, speed up again when it can; tell it."""
        assert self._wanted is not None
        pace_ns = self._every_turns * TURN_MS * NS_PER_MS
        self._slow_sends = self._slow_sends + 1 if took_ns > pace_ns else 0
        self._fast_sends = self._fast_sends + 1 if 4 * took_ns < pace_ns else 0
        fastest, slowest = turns_of(self._wanted.every_ms), turns_of(EVERY_MS_MAX)
        if self._slow_sends >= _SLOW_SENDS and self._every_turns < slowest:
            CONFLATED.inc()
            await self._tell_pace(
                min(2 * self._every_turns, slowest), f"a message took {took_ns // NS_PER_MS} ms to be read"
            )
        elif self._fast_sends >= _FAST_SENDS and self._every_turns > fastest:
            await self._tell_pace(max(self._every_turns // 2, fastest), "messages are read in time again")

    async def _tell_pace(self, every_turns: int, reason: str) -> None:
        self._slow_sends = self._fast_sends = 0
        self._every_turns = every_turns
        await self._send({"type": "conflated", "every_ms": every_turns * TURN_MS, "reason": reason})

    async def _send(self, message: dict[str, Any]) -> None:
        kind = message.pop("type")
        parts = [_ENCODER.encode(name) + b":" + _ENCODER.encode(value) for name, value in message.items()]
        await self._send_parts(kind.encode(), parts)

    async def _send_parts(self, kind: bytes, parts: list[bytes]) -> None:
        async with self._sending, asyncio.timeout(_SEND_TIMEOUT_S):
            self._sequence += 1
            now_ns = self._clock.now_ns()
            head = b'{"type":"%s","seq":%d,"now_ns":%d,' % (kind, self._sequence, now_ns)
            MESSAGES.inc()
            await self._wire.send(head + b",".join(parts) + b"}")
