"""The exchange on its websocket: clients, pacing, faults, log.

Everything runs in one task loop. What is due is handed to all subscribed connections synchronously and
noted in the log in the same step, so the log holds exactly what was handed over. What a connection cannot
take is buffered up to a bound, then the client is cut off with error 407.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable, Iterator
from http import HTTPStatus
from itertools import groupby
from pathlib import Path

import msgspec
import numpy as np
from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import serve as serve_websockets
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from ticktrail.clock import NS_PER_SECOND, Clock
from ticktrail.errors import PortTaken
from ticktrail.feeds.sim import metrics
from ticktrail.feeds.sim.clients import Client, Clients
from ticktrail.feeds.sim.config import SimSettings
from ticktrail.feeds.sim.dialogue import Dialogue
from ticktrail.feeds.sim.faults import DROPPED, SILENCED, FaultPlan
from ticktrail.feeds.sim.log import ExchangeLog
from ticktrail.feeds.sim.market import MarketModel
from ticktrail.feeds.sim.messages import QUOTE, TRADE, Event, MarketBatch, Rows
from ticktrail.feeds.sim.universe import Universe
from ticktrail.feeds.sim.wire import channel_of, error_message

__all__ = ["PATHS", "Summary", "serve"]

PATHS = ("/v2/sip", "/v2/iex", "/v2/delayed_sip", "/v2/test")

_HOST = "127.0.0.1"
_REQUEST_BYTES_MAX = 1024 * 1024
_CLOSE_TIMEOUT_S = 5.0
# After a stall of this process the market catches up in pieces, so that connections stay served.
_CATCH_UP_NS = 250_000_000
_LOG_EVERY_NS = NS_PER_SECOND


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What an exchange did, for its operator; the log has it message by message.

    Parameters
    ----------
    trades, quotes
        Deliveries to at least one client.
    unsent
        Trades and quotes that nobody was handed.
    connections
        Clients accepted in all.
    """

    trades: int
    quotes: int
    unsent: int
    connections: int


async def serve(
    settings: SimSettings, clock: Clock, *, ready: Callable[[str], None], stop: asyncio.Event
) -> Summary:
    """Run an exchange until `stop` is set, or until its end where `settings.close_at_end`.

    Parameters
    ----------
    settings
        What it trades and how.
    clock
        Event times are its wall time, the pace that of its monotonic time.
    ready
        Called once it listens, with the URL to connect to: ``ws://127.0.0.1:PORT/v2/sip``.
    stop
        Connections are then closed properly, after everything sent before.

    Raises
    ------
    PortTaken
        Another program listens there.
    """
    exchange = _Exchange(settings, clock)
    try:
        try:
            server = await serve_websockets(
                exchange.handle,
                _HOST,
                settings.port,
                process_request=exchange.check_path,
                # No browser has any business here.
                origins=[None],
                # On one machine compressing costs more than it saves.
                compression=None,
                max_size=_REQUEST_BYTES_MAX,
                close_timeout=_CLOSE_TIMEOUT_S,
            )
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            raise PortTaken(
                what=f"The simulated exchange cannot listen at {_HOST}:{settings.port}",
                why="another program does",
                next_step="Set another port, or 0 for any free one.",
                port=settings.port,
            ) from error
        async with server:
            port = next(iter(server.sockets)).getsockname()[1]
            ready(f"ws://{_HOST}:{port}{PATHS[0]}")
            await exchange.trade(stop)
    finally:
        exchange.close_log()
    return exchange.summary()


class _Exchange:
    def __init__(self, settings: SimSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        universe = Universe.of(settings.seed, settings.symbols)
        self._clients = Clients(universe, settings.messages_per_frame_max)
        self._log = (
            ExchangeLog(Path(settings.log_dir), universe, settings.log_bytes_max)
            if settings.log_dir
            else None
        )
        self._plans = {
            kind: FaultPlan(settings.faults, settings.seed * 2 + number)
            for number, kind in enumerate(("trades", "quotes"))
        }
        self._wants_market = settings.start_at_once
        self._is_silent = False
        self._disconnects = 0
        self._closing: set[asyncio.Task[None]] = set()
        self._sent = {"trades": 0, "quotes": 0}
        self._unsent = 0
        self._connections = 0
        metrics.begin()

    # -- connections ---------------------------------------------------------------------------------

    def check_path(self, connection: ServerConnection, request: Request) -> Response | None:
        if request.path.partition("?")[0] in PATHS:
            return None
        return connection.respond(HTTPStatus.NOT_FOUND, f"Try one of {', '.join(PATHS)}.\n")

    async def handle(self, connection: ServerConnection) -> None:
        request = connection.request
        assert request is not None  # the handshake is over
        is_text = request.headers.get("Content-Type", "") != "application/msgpack"
        settings = self._settings
        dialogue = Dialogue(
            key=settings.key.reveal(),
            secret=settings.secret.reveal(),
            symbols_max=settings.symbols_max,
            is_text=is_text,
        )
        client = Client(connection, dialogue, is_text=is_text)
        self._connections += 1
        self._clients.add(client)
        try:
            client.say(dialogue.welcome())
            if "APCA-API-KEY-ID" in request.headers:
                key, secret = (request.headers.get(f"APCA-API-{name}") for name in ("KEY-ID", "SECRET-KEY"))
                answer = dialogue.authenticate(key, secret, is_full=self._is_full())
                client.say(answer.message)
                if answer.closes:
                    return
            await self._converse(client)
        except ConnectionClosed:
            pass  # however it ended, there is nothing left to say
        finally:
            self._clients.remove(client)

    async def _converse(self, client: Client) -> None:
        try:
            async with asyncio.timeout(self._settings.auth_timeout_s):
                while not client.dialogue.is_authenticated:
                    if not await self._converse_once(client):
                        return
        except TimeoutError:
            client.say(error_message(404))
            return
        while await self._converse_once(client):
            pass

    async def _converse_once(self, client: Client) -> bool:
        payload = await client.connection.recv(decode=False)
        answer = client.dialogue.answer(payload, is_full=self._is_full())
        client.say(answer.message)
        if answer.subscribes:
            self._clients.regroup()
            self._wants_market = True
        return not answer.closes

    def _is_full(self) -> bool:
        return self._clients.authenticated >= self._settings.connections_max

    def _cut_slow(self) -> None:
        for client in self._clients:
            unread_bytes = client.unread_bytes
            if client.is_cut or unread_bytes <= self._settings.client_buffer_bytes_max:
                continue
            self._note("slow_client", f"{unread_bytes} bytes unread")
            metrics.CUT.inc(reason="slow")
            client.say(error_message(407))
            client.is_cut = True
            self._clients.regroup()
            task = asyncio.get_running_loop().create_task(client.connection.close(1008, "slow client"))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    def _cut_all(self) -> None:
        cut = [client for client in self._clients if client.is_open]
        for client in cut:
            client.is_cut = True
            # What was written before still goes out; then the socket closes without a closing handshake.
            client.connection.transport.close()
        self._clients.regroup()
        self._note("disconnect", f"{len(cut)} connections")
        metrics.CUT.inc(len(cut), reason="fault")

    # -- the market ----------------------------------------------------------------------------------

    async def trade(self, stop: asyncio.Event) -> None:
        """Send what falls due until `stop`, or the market's end where that closes the exchange."""
        step_s = self._settings.step_ms / 1e3
        while not (self._wants_market or stop.is_set()):
            await self._clock.sleep(step_s)
        if stop.is_set():
            return
        start_ns, begun_ns = self._clock.now_ns(), self._clock.monotonic_ns()
        market = MarketModel(self._settings, start_ns)
        self._note("started", f"{len(market.universe.symbols)} symbols, seed {self._settings.seed}")
        at_ns = logged_ns = start_ns
        while not (market.is_over or stop.is_set()):
            # By the monotonic clock: a step of the wall clock must neither stall nor flood the market.
            now_ns = start_ns + self._clock.monotonic_ns() - begun_ns
            at_ns = min(now_ns, at_ns + _CATCH_UP_NS)
            self._wire_faults(at_ns - start_ns)
            self._deliver(market.advance(at_ns), is_last=market.is_over)
            self._cut_slow()
            if at_ns - logged_ns >= _LOG_EVERY_NS:
                self._flush_log()
                logged_ns = at_ns
            await self._clock.sleep(0 if at_ns < now_ns else step_s)
        if not market.is_over:
            nothing = MarketBatch(trades=np.empty(0, TRADE), quotes=np.empty(0, QUOTE), events=())
            self._deliver(nothing, is_last=True)
        self._note("over", "stopped" if stop.is_set() else "complete")
        self._flush_log()
        while not (stop.is_set() or self._settings.close_at_end):
            self._cut_slow()
            await self._clock.sleep(step_s)

    def _wire_faults(self, since_start_ns: int) -> None:
        faults = self._settings.faults
        since_s = since_start_ns / NS_PER_SECOND
        is_silent = faults.silence_at_s <= since_s < faults.silence_at_s + faults.silence_s
        if is_silent != self._is_silent:
            self._is_silent = is_silent
            self._note("silence", "begins" if is_silent else "ends")
        if faults.disconnect_every_s and since_s // faults.disconnect_every_s > self._disconnects:
            self._disconnects = int(since_s // faults.disconnect_every_s)
            self._cut_all()

    def _deliver(self, batch: MarketBatch, *, is_last: bool) -> None:
        segments = list(_segments(batch))
        for number, (trades, quotes, events) in enumerate(segments):
            ends = is_last and number == len(segments) - 1
            self._deliver_rows("trades", trades, trades["id"], is_last=ends)
            self._deliver_rows("quotes", quotes, quotes["ts_event_ns"], is_last=ends)
            self._deliver_events(events)

    def _deliver_rows(
        self, kind: str, rows: Rows, key: np.ndarray[tuple[int], np.dtype[np.int64]], *, is_last: bool
    ) -> None:
        if not (len(rows) or is_last):
            return
        plan = self._plans[kind]
        if not self._is_silent and kind == "trades":
            for garbage in plan.garbage(rows, key):
                handed = self._clients.send_garbage(garbage)
                if handed and self._log:
                    self._log.fault(self._clock.now_ns(), "garbage", garbage.kind, garbage.json)
        rows, marks = plan.apply(rows, key, is_last=is_last)
        if not len(rows):
            return
        if self._is_silent:
            marks = marks | np.uint8(SILENCED)
        sent_ns = self._clock.now_ns()
        recipients = self._clients.send_rows(kind, rows, marks & (DROPPED | SILENCED) == 0)
        handed = int(np.count_nonzero(recipients))
        self._sent[kind] += handed
        self._unsent += len(rows) - handed
        metrics.SENT.inc(handed, channel=kind)
        metrics.UNSENT.inc(len(rows) - handed, channel=kind)
        if self._log:
            self._log.rows(kind, rows, marks, recipients, sent_ns)

    def _deliver_events(self, events: tuple[Event, ...]) -> None:
        if not events:
            return
        sent_ns = self._clock.now_ns()
        recipients = [0] * len(events) if self._is_silent else self._clients.send_events(events)
        marks = SILENCED if self._is_silent else 0
        for event, count in zip(events, recipients, strict=True):
            (metrics.SENT if count else metrics.UNSENT).inc(channel=channel_of(event))
        if self._log:
            for event, count in zip(events, recipients, strict=True):
                self._log.event(event, marks=marks, recipients=count, sent_ns=sent_ns)

    # -- the log -------------------------------------------------------------------------------------

    def _note(self, fault: str, detail: str) -> None:
        if self._log:
            self._log.fault(self._clock.now_ns(), fault, detail)

    def _flush_log(self) -> None:
        if self._log:
            self._log.flush()

    def close_log(self) -> None:
        if self._log:
            self._log.close()

    def summary(self) -> Summary:
        return Summary(**self._sent, unsent=self._unsent, connections=self._connections)


def _segments(batch: MarketBatch) -> Iterator[tuple[Rows, Rows, tuple[Event, ...]]]:
    """Cut a batch at its rare messages, so that each follows everything that was due before it."""
    trade = quote = 0
    for due_ns, events in groupby(batch.events, key=lambda event: event.due_ns):
        trade_end = int(np.searchsorted(batch.trades["due_ns"], due_ns, side="right"))
        quote_end = int(np.searchsorted(batch.quotes["due_ns"], due_ns, side="right"))
        yield batch.trades[trade:trade_end], batch.quotes[quote:quote_end], tuple(events)
        trade, quote = trade_end, quote_end
    yield batch.trades[trade:], batch.quotes[quote:], ()
