"""Feeds to Kafka.

Guarantee: every message of every frame that was received becomes a record, a dead letter or a counted unknown
in Kafka, unless the process dies first: what was received and not yet acknowledged is then lost, at most the
frames of the last moments. (The gap ledger says which.) Nothing is dropped for want of room: while Kafka is
slow, the socket is not read.
"""

from __future__ import annotations

import asyncio
from typing import Any

from ticktrail.capture import metrics
from ticktrail.capture.frames import FrameQueue
from ticktrail.capture.sender import Sender
from ticktrail.clock import NS_PER_MS, NS_PER_SECOND, Backoff, Clock
from ticktrail.config import CaptureSettings
from ticktrail.errors import Terminal, Transient
from ticktrail.feeds import Feed, Frame, Parsed
from ticktrail.model import Columns
from ticktrail.telemetry import get_logger

__all__ = ["Capture"]

_log = get_logger("capture")

_FIRST_DELAY_S = 0.2
# How long a stop waits for Kafka, first to take what was received, then to acknowledge it: together less
# than the supervisor waits for a stage.
_DRAIN_TIMEOUT_S = 15.0
_FLUSH_TIMEOUT_S = 20.0
# Frames parsed together, at most: bounds the memory of one turn and how long it holds the interpreter.
_BATCH_FRAMES_MAX = 256
_BATCH_BYTES_MAX = 1024 * 1024
# A connection that held this long counts as good again for the backoff.
_STEADY_NS = 10 * NS_PER_SECOND
# After the last record of a file every open bar ends: the day's own ends at most this much later.
_AFTER_END_NS = 48 * 3_600 * NS_PER_SECOND


class Capture:
    """Runs one feed until it ends or is told to stop.

    Parameters
    ----------
    feed
        What to read.
    sender
        Into Kafka.
    """

    def __init__(self, feed: Feed, sender: Sender, settings: CaptureSettings, clock: Clock) -> None:
        self._feed = feed
        self._sender = sender
        self._settings = settings
        self._clock = clock
        self._queue = FrameQueue(settings.queue_frames_max, settings.queue_bytes_max)
        self._replayed_ns = 0
        # Whether frames are in hand: no longer queued and not yet in Kafka.
        self._busy = False
        # The producer is for one thread at a time.
        self._sending = asyncio.Lock()
        self._next_beat_ns = 0
        self._refusal: Terminal | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Capture until `stop` is set or the source ends; everything received is then in Kafka.

        Raises
        ------
        Terminal
            Going on cannot help: wrong key, unknown setting, a file that is none.
        Transient
            Kafka did not take everything in the end.
        """
        receive = asyncio.create_task(self._receive())
        pump = asyncio.create_task(self._pump())
        beat = asyncio.create_task(self._beat())
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({receive, pump, beat, stopping}, return_when=asyncio.FIRST_COMPLETED)
            for task in (pump, beat):
                if task.done():
                    task.result()  # raises: neither ends by itself
            receive.cancel()
            # Also when receiving failed for good: what had been received before goes to Kafka first.
            (outcome,) = await asyncio.gather(receive, return_exceptions=True)
            self._sender.hurry(_DRAIN_TIMEOUT_S)
            self._queue.close()
            await pump
        finally:
            tasks: list[asyncio.Task[Any]] = [receive, pump, beat, stopping]
            for each in tasks:
                each.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._feed.close()
        await asyncio.to_thread(self._finish)
        if self._refusal is not None:
            raise self._refusal
        if isinstance(outcome, Exception):
            raise outcome

    async def _receive(self) -> None:
        """Keep the connection, and queue what comes."""
        backoff = Backoff(_FIRST_DELAY_S, self._settings.reconnect_delay_ms_max / 1_000)
        while True:
            started_ns = self._clock.monotonic_ns()
            try:
                await self._feed.connect()
                _log.info("feed.connected", feed=self._feed.name)
                return await self._receive_connected()
            except Transient as error:
                if self._clock.monotonic_ns() - started_ns > _STEADY_NS:
                    backoff.reset()
                delay_s = backoff.next_s()
                _log.warning(
                    "feed.disconnected", feed=self._feed.name, error=str(error), delay_s=round(delay_s, 2)
                )
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

    async def _pump(self) -> None:
        """Turn queued frames into records in Kafka, many at a time."""
        while True:
            frames = await self._gather()
            if not frames:
                return
            async with self._sending:
                # In a thread, so that the socket is answered while this one parses or waits for Kafka.
                parsed = await asyncio.to_thread(self._process, frames)
            await self._heed(parsed)
            self._busy = False

    async def _gather(self) -> list[Frame]:
        first = await self._queue.get()
        if first is None:
            return []
        self._busy = True
        if not self._queue and self._feed.is_live and self._settings.batch_ms:
            await self._clock.sleep(self._settings.batch_ms / 1_000)
        frames = [first]
        size_bytes = len(first.payload)
        while self._queue and len(frames) < _BATCH_FRAMES_MAX and size_bytes < _BATCH_BYTES_MAX:
            frames.append(self._queue.take())
            size_bytes += len(frames[-1].payload)
        return frames

    def _process(self, frames: list[Frame]) -> Parsed:
        feed = self._feed.name
        parsed = self._feed.parse(frames)
        self._sender.send_rejected(parsed.rejected)
        self._send(parsed.columns)
        self._beat_if_due(frames[-1].ts_recv_ns if self._feed.is_live else self._replayed_ns)
        metrics.FRAMES.inc(len(frames), feed=feed)
        metrics.BYTES.inc(sum(len(frame.payload) for frame in frames), feed=feed)
        for item, count in parsed.unknown.items():
            metrics.UNKNOWN.inc(count, feed=feed, item=item)
        return parsed

    def _send(self, parts: tuple[Columns[Any], ...]) -> None:
        for columns in parts:
            if not len(columns):
                continue
            self._sender.send(columns)
            if "ts_recv_ns" not in columns.data:
                continue  # a vendor's bars
            if not self._feed.is_live:
                # Files come in the order of their times, which stand in for the receive times they lack.
                self._replayed_ns = max(self._replayed_ns, int(columns["ts_recv_ns"].max()))
            elif "ts_event_ns" in columns.data:
                metrics.SKEW.observe_ns(columns["ts_recv_ns"] - columns["ts_event_ns"], feed=self._feed.name)

    async def _heed(self, parsed: Parsed) -> None:
        for notice in parsed.notices:
            _log.warning("feed.notice", feed=self._feed.name, error=str(notice))
            if isinstance(notice, Terminal) and self._refusal is None:
                self._refusal = notice
        if parsed.notices:
            # The pending `receive` ends with FeedDisconnected; `_receive` connects anew, or ends the run.
            await self._feed.close()

    async def _beat(self) -> None:
        """Let time pass in every partition while nothing is received."""
        while True:
            await self._clock.sleep(self._settings.heartbeat_ms / 1_000)
            metrics.QUEUED_FRAMES.set(len(self._queue), feed=self._feed.name)
            if not self._feed.is_live:
                continue
            async with self._sending:
                # Whatever is received is stamped and queued without a pause in between, so while nothing
                # is queued or in hand, nothing received before now is missing in Kafka.
                if not self._queue and not self._busy:
                    await asyncio.to_thread(self._beat_if_due, self._clock.now_ns())

    def _beat_if_due(self, ts_recv_ns: int) -> None:
        """Say that everything received before that time is in Kafka. The queue keeps the order of receipt."""
        now_ns = self._clock.monotonic_ns()
        if ts_recv_ns and now_ns >= self._next_beat_ns:
            self._sender.send_heartbeat(ts_recv_ns)
            self._next_beat_ns = now_ns + self._settings.heartbeat_ms * NS_PER_MS

    def _finish(self) -> None:
        if self._replayed_ns:
            self._sender.send_heartbeat(self._replayed_ns + _AFTER_END_NS)
        self._sender.flush(_FLUSH_TIMEOUT_S)
        _log.info("capture.finished", feed=self._feed.name)
