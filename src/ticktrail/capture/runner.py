"""Feeds to Kafka.

Guarantee: every message of every frame that was received becomes a record, a dead letter or a counted unknown
in Kafka; or it is lost, and then the ledger of gaps has a window for it. Lost is what the process had
received and neither Kafka nor the spool had when it died, what came while nobody was connected, and what
neither of the two had room for (see `ticktrail.capture.outlet`). A clean stop loses nothing.

A recording is never lost, as it can be read again: while Kafka takes nothing, the file is not read.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np

from ticktrail.capture import metrics
from ticktrail.capture.coverage import Coverage
from ticktrail.capture.frames import FrameQueue, Turn
from ticktrail.capture.sender import Sender
from ticktrail.capture.silence import Silence, SilenceWatch
from ticktrail.clock import NS_PER_MS, NS_PER_SECOND, Backoff, Clock
from ticktrail.config import CaptureSettings
from ticktrail.errors import Terminal, TicktrailError, Transient
from ticktrail.feeds import Feed, Frame, Parsed, Resubscribes
from ticktrail.model import Columns
from ticktrail.telemetry import get_logger

__all__ = ["Capture", "on_a_thread"]

_log = get_logger("capture")

_FIRST_DELAY_S = 0.2
# How long a stop waits for Kafka, first to take what was received, then to acknowledge it: together less
# than the supervisor waits for a stage.
_DRAIN_TIMEOUT_S = 15.0
_FLUSH_TIMEOUT_S = 20.0
# The last proof is one value; the next capture can do without it.
_LAST_FLUSH_TIMEOUT_S = 2.0
# Frames parsed together, at most: bounds the memory of one turn and how long it holds the interpreter.
_BATCH_FRAMES_MAX = 256
_BATCH_BYTES_MAX = 1024 * 1024
# A connection that held this long counts as good again for the backoff.
_STEADY_NS = 10 * NS_PER_SECOND
# After the last record of a file every open bar ends: the day's own ends at most this much later.
_AFTER_END_NS = 48 * 3_600 * NS_PER_SECOND

T = TypeVar("T")


class Capture:
    """Runs one feed until it ends or is told to stop.

    Parameters
    ----------
    feed
        What to read.
    sender
        Out.
    coverage
        Keeps the books of a live feed; None: nobody does.
    watch
        Notices silence of a live feed; None: nobody does.
    """

    def __init__(
        self,
        feed: Feed,
        sender: Sender,
        settings: CaptureSettings,
        clock: Clock,
        coverage: Coverage | None = None,
        watch: SilenceWatch | None = None,
    ) -> None:
        self._feed = feed
        self._sender = sender
        self._settings = settings
        self._clock = clock
        self._coverage = coverage
        self._watch = watch
        self._queue = FrameQueue(settings.queue_frames_max, settings.queue_bytes_max)
        self._replayed_ns = 0
        # Whether frames are in hand: no longer queued and not yet handed over.
        self._busy = False
        # Whatever is sent is sent on this thread, so that the socket is answered meanwhile.
        self._worker = ThreadPoolExecutor(1, "capture")
        self._sending = asyncio.Lock()
        self._next_beat_ns = 0
        self._refusal: Terminal | None = None
        # Why this side closes the connection, where it does.
        self._cause = ""
        metrics.begin(feed.name)

    async def run(self, stop: asyncio.Event) -> None:
        """Capture until `stop` is set or the source ends; everything received is then in Kafka or spooled.

        Raises
        ------
        Terminal
            Going on cannot help: wrong key, unknown setting, a file that is none.
        Transient
            Neither Kafka nor the spool took everything in the end.
        """
        receive = asyncio.create_task(self._receive())
        pump = asyncio.create_task(self._pump())
        beat = asyncio.create_task(self._beat())
        look_back = asyncio.create_task(self._look_back())
        stopping = asyncio.create_task(stop.wait())
        is_pumped = False
        try:
            await asyncio.wait({receive, pump, beat, stopping}, return_when=asyncio.FIRST_COMPLETED)
            for task in (pump, beat):
                if task.done():
                    task.result()  # raises: neither ends by itself
            receive.cancel()
            # Also when receiving failed for good: what had been received before goes to Kafka first.
            (outcome,) = await asyncio.gather(receive, return_exceptions=True)
            self._sender.way_out.hurry(_DRAIN_TIMEOUT_S)
            self._queue.close()
            await pump
            is_pumped = True
        finally:
            tasks: list[asyncio.Task[Any]] = [receive, pump, beat, look_back, stopping]
            for each in tasks:
                each.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._feed.close()
            if not is_pumped:
                await self._work(self._give_up)
        await self._work(self._finish)
        if self._refusal is not None:
            raise self._refusal
        if isinstance(outcome, Exception):
            raise outcome

    # --- the connection ------------------------------------------------------------------------------

    async def _receive(self) -> None:
        """Keep the connection, and queue what comes."""
        backoff = Backoff(_FIRST_DELAY_S, self._settings.reconnect_delay_ms_max / 1_000)
        while True:
            started_ns = self._clock.monotonic_ns()
            try:
                await self._feed.connect()
                self._queue.put(Turn(cause="", at_ns=self._clock.now_ns()))
                _log.info("feed.connected", feed=self._feed.name)
                return await self._receive_connected()
            except Transient as error:
                if self._clock.monotonic_ns() - started_ns > _STEADY_NS:
                    backoff.reset()
                delay_s = backoff.next_s()
                self._disconnected(error, delay_s)
            await self._feed.close()
            if self._refusal is None:
                await self._clock.sleep(delay_s)
            if self._refusal is not None:
                return None
            metrics.RECONNECTS.inc(feed=self._feed.name)

    async def _receive_connected(self) -> None:
        while True:
            await self._queue.room()
            frame = await self._feed.receive()
            if frame is None:
                return
            self._queue.put(frame)

    def _disconnected(self, error: Transient, delay_s: float) -> None:
        cause, self._cause = self._cause or "disconnect", ""
        metrics.DISCONNECTS.inc(feed=self._feed.name, cause=cause)
        self._queue.put(Turn(cause=cause, at_ns=self._clock.now_ns(), detail=str(error)))
        _log.warning("feed.disconnected", feed=self._feed.name, error=str(error), delay_s=round(delay_s, 2))

    async def _heed(self, parsed: Parsed) -> None:
        for notice in parsed.notices:
            _log.warning("feed.notice", feed=self._feed.name, error=str(notice))
            if isinstance(notice, Terminal) and self._refusal is None:
                self._refusal = notice
        if parsed.notices:
            # The pending `receive` ends with FeedDisconnected; `_receive` connects anew, or ends the run.
            await self._feed.close()

    async def _heed_silence(self, silence: Silence) -> None:
        if silence.feed_ns:
            silent_s = round(silence.feed_ns / NS_PER_SECOND, 1)
            _log.warning("feed.silent", feed=self._feed.name, silent_s=silent_s)
            self._cause = "silence"
            await self._feed.close()
        if not silence.symbols:
            return
        _log.warning("feed.symbols_silent", feed=self._feed.name, symbols=",".join(silence.symbols))
        if isinstance(self._feed, Resubscribes):
            try:
                await self._feed.resubscribe(silence.symbols)
            except Transient as error:
                # Whoever receives learns of it, too, and connects again.
                _log.warning("feed.resubscribe_failed", feed=self._feed.name, error=str(error))

    # --- the frames ----------------------------------------------------------------------------------

    async def _pump(self) -> None:
        """Turn queued frames into records in Kafka, many at a time."""
        while (first := await self._queue.get()) is not None:
            self._busy = True
            if isinstance(first, Turn):
                async with self._sending:
                    self._turn(first)
            else:
                frames = await self._gather(first)
                async with self._sending:
                    parsed = await self._work(self._process, frames)
                await self._heed(parsed)
            self._busy = False

    async def _gather(self, first: Frame) -> list[Frame]:
        if not self._queue and self._feed.is_live and self._settings.batch_ms:
            await self._clock.sleep(self._settings.batch_ms / 1_000)
        frames = [first]
        size_bytes = len(first.payload)
        while self._queue.has_frame and len(frames) < _BATCH_FRAMES_MAX and size_bytes < _BATCH_BYTES_MAX:
            frames.append(self._queue.take())
            size_bytes += len(frames[-1].payload)
        return frames

    def _turn(self, turn: Turn) -> None:
        if self._coverage is not None:
            self._coverage.turn(turn)
        if self._watch is not None:
            if turn.cause:
                self._watch.disconnected()
            else:
                self._watch.connected()

    def _process(self, frames: list[Frame]) -> Parsed:
        feed = self._feed.name
        ts_recv_ns = frames[-1].ts_recv_ns
        parsed = self._feed.parse(frames)
        lost = self._sender.send_rejected(parsed.rejected, ts_recv_ns)
        lost += self._send(parsed.columns, ts_recv_ns)
        if self._coverage is not None:
            if self._watch is not None and self._watch.came_back():
                self._coverage.fell_silent(ts_recv_ns)
            self._coverage.received(parsed.columns, ts_recv_ns, lost)
        self._beat_if_due(ts_recv_ns if self._feed.is_live else self._replayed_ns)
        if self._coverage is not None:
            self._coverage.tick()
        metrics.BATCH.observe(sum(len(columns) for columns in parsed.columns), feed=feed)
        if self._feed.is_live:
            received_ns = np.array([frame.ts_recv_ns for frame in frames], dtype=np.int64)
            metrics.LATENCY_RECV.observe_ns(self._clock.now_ns() - received_ns, feed=feed)
        metrics.FRAMES.inc(len(frames), feed=feed)
        metrics.BYTES.inc(sum(len(frame.payload) for frame in frames), feed=feed)
        for item, count in parsed.unknown.items():
            metrics.UNKNOWN.inc(count, feed=feed, item=item)
        return parsed

    def _send(self, parts: tuple[Columns[Any], ...], ts_recv_ns: int) -> int:
        lost = 0
        for columns in parts:
            if not len(columns):
                continue
            lost += self._sender.send(columns, ts_recv_ns)
            if self._watch is not None:
                self._watch.observe(columns)
            if "ts_recv_ns" not in columns.data:
                continue  # a vendor's bars
            if not self._feed.is_live:
                # Files come in the order of their times, which stand in for the receive times they lack.
                self._replayed_ns = max(self._replayed_ns, int(columns["ts_recv_ns"].max()))
            elif "ts_event_ns" in columns.data:
                metrics.SKEW.observe_ns(columns["ts_recv_ns"] - columns["ts_event_ns"], feed=self._feed.name)
        return lost

    # --- time ----------------------------------------------------------------------------------------

    async def _beat(self) -> None:
        """Let time pass in every partition while nothing is received, and look after what waits."""
        while True:
            await self._clock.sleep(self._settings.heartbeat_ms / 1_000)
            metrics.QUEUED_FRAMES.set(len(self._queue), feed=self._feed.name)
            if not self._feed.is_live:
                continue
            now_ns = self._clock.now_ns()
            oldest_ns = now_ns if self._queue.oldest_ns is None else self._queue.oldest_ns
            metrics.LAG_AGE.set(max(0, now_ns - oldest_ns) / NS_PER_SECOND, feed=self._feed.name)
            async with self._sending:
                # Whatever is received is stamped and queued without a pause in between, so while nothing
                # is queued or in hand, nothing received before now is missing.
                is_idle = not self._queue and not self._busy
                silence = await self._work(self._look_after, self._clock.now_ns() if is_idle else 0)
            await self._heed_silence(silence)

    def _look_after(self, idle_ns: int) -> Silence:
        """Do what time demands; before `idle_ns` everything received was handed over (0: not known)."""
        self._sender.way_out.tick()
        silence = Silence()
        if idle_ns:
            if self._watch is not None:
                silence = self._watch.check()
                if self._coverage is not None and not self._watch.is_open:
                    self._coverage.quiet(idle_ns)
            self._beat_if_due(idle_ns)
        if self._coverage is not None:
            self._coverage.tick()
        return silence

    def _beat_if_due(self, ts_recv_ns: int) -> None:
        """Say that everything received before that time is in Kafka. The queue keeps the order of receipt."""
        now_ns = self._clock.monotonic_ns()
        if ts_recv_ns and now_ns >= self._next_beat_ns:
            since_ns = self._coverage.since_ns if self._coverage is not None else 0
            self._sender.send_heartbeat(ts_recv_ns, since_ns)
            self._next_beat_ns = now_ns + self._settings.heartbeat_ms * NS_PER_MS

    async def _look_back(self) -> None:
        """Learn from the log what was captured before, as soon as Kafka tells."""
        if self._coverage is None:
            return
        backoff = Backoff(_FIRST_DELAY_S, self._settings.reconnect_delay_ms_max / 1_000)
        while True:
            try:
                inform = await on_a_thread(self._coverage.look_back)
            except TicktrailError as error:
                # Also where a topic is missing: it may be made meanwhile.
                delay_s = backoff.next_s()
                _log.warning(
                    "ledger.waiting", feed=self._feed.name, error=str(error), delay_s=round(delay_s, 2)
                )
                await self._clock.sleep(delay_s)
            else:
                async with self._sending:
                    inform()
                return

    async def _work(self, function: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._worker, function, *arguments)

    def _give_up(self) -> None:
        """Keep what can be kept; what led here is what the user must hear of."""
        try:
            self._sender.way_out.close()
        except TicktrailError as error:
            _log.error("capture.not_kept", feed=self._feed.name, error=str(error))

    def _finish(self) -> None:
        way_out = self._sender.way_out
        try:
            if self._replayed_ns:
                self._sender.send_heartbeat(self._replayed_ns + _AFTER_END_NS)
            way_out.flush(_FLUSH_TIMEOUT_S)
            if self._coverage is not None:
                self._coverage.close()
                way_out.flush(_LAST_FLUSH_TIMEOUT_S)
        finally:
            way_out.close()
        _log.info("capture.finished", feed=self._feed.name)


async def on_a_thread(function: Callable[[], T]) -> T:
    """Run something that may block for long, on a thread that a stop need not wait for."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        try:
            result = function()
        except TicktrailError as error:
            outcome: tuple[T | None, BaseException | None] = None, error
        else:
            outcome = result, None
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, *outcome)

    threading.Thread(target=run, daemon=True).start()
    return await future
