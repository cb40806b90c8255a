"""Puts a capture together, and runs it from before Kafka answers to after everything is safe."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from ticktrail.bus import Follower, LiveProducer, Producer, Topics
from ticktrail.capture.coverage import Coverage, scope_of
from ticktrail.capture.outlet import Outlet
from ticktrail.capture.runner import Capture, on_a_thread
from ticktrail.capture.sender import Direct, Sender
from ticktrail.capture.silence import SilenceWatch
from ticktrail.capture.spool import Spool
from ticktrail.capture.spool_place import SpoolPlace
from ticktrail.clock import Backoff, Clock
from ticktrail.config import Settings
from ticktrail.errors import Transient
from ticktrail.feeds import Feed, Subscription
from ticktrail.reference import Market
from ticktrail.telemetry import get_logger

__all__ = ["Assembly"]

_log = get_logger("capture")

# Where Kafka answers, its topics are there sooner; where it does not, capture begins without it.
_PREPARE_TIMEOUT_S = 2.0
_BACKOFF_S = (0.2, 10.0)


class Assembly:
    """One feed and everything between it and Kafka.

    Parameters
    ----------
    feed
        What to read.
    subscription
        What the feed was asked for.
    market
        Whose sessions tell when silence means something; None: never.
    """

    def __init__(
        self, feed: Feed, settings: Settings, subscription: Subscription, market: Market | None, clock: Clock
    ) -> None:
        self._feed = feed
        self._settings = settings
        self._scope = scope_of(subscription)
        self._market = market
        self._clock = clock
        self._topics = Topics.of(settings.kafka)

    async def run(self, stop: asyncio.Event, prepare: Callable[[], None]) -> None:
        """Capture until `stop` is set or the source ends; see `ticktrail.capture.runner`.

        Parameters
        ----------
        prepare
            Makes the topics; blocks. A live feed does not wait for it: what comes before is spooled.

        Raises
        ------
        Terminal
            Going on cannot help.
        Transient
            Neither Kafka nor the spool took everything in the end.
        """
        if not self._feed.is_live:
            await asyncio.to_thread(prepare)
            way_out = Direct(Producer(self._settings.kafka, self._clock))
            sender = Sender(way_out, self._topics, self._feed.name, self._settings.kafka.partitions)
            await Capture(self._feed, sender, self._settings.capture, self._clock).run(stop)
            return
        place = self._claim_place()
        try:
            await self._run_live(stop, prepare, place)
        finally:
            if place is not None:
                place.close()

    async def _run_live(
        self, stop: asyncio.Event, prepare: Callable[[], None], place: SpoolPlace | None
    ) -> None:
        preparing = asyncio.create_task(self._prepare(prepare))
        try:
            await asyncio.wait({preparing}, timeout=None if place is None else _PREPARE_TIMEOUT_S)
            if preparing.done():
                preparing.result()
            if stop.is_set():
                return
            outlet = self._outlet(place)
            capture = self._capture(outlet)
            if preparing.done():
                await capture.run(stop)
                return
            outlet.hold()
            running = asyncio.create_task(capture.run(stop))
            await asyncio.wait({preparing, running}, return_when=asyncio.FIRST_COMPLETED)
            if not running.done():
                if preparing.exception() is None:
                    outlet.release()
                else:
                    stop.set()
            await running
            if preparing.done():
                preparing.result()
        finally:
            preparing.cancel()
            await asyncio.gather(preparing, return_exceptions=True)

    async def _prepare(self, prepare: Callable[[], None]) -> None:
        backoff = Backoff(*_BACKOFF_S)
        while True:
            try:
                return await on_a_thread(prepare)
            except Transient as error:
                delay_s = backoff.next_s()
                _log.warning("capture.waiting", error=str(error), delay_s=round(delay_s, 2))
                await self._clock.sleep(delay_s)

    def _claim_place(self) -> SpoolPlace | None:
        root = Path(self._settings.stack.data_dir) / "spool"
        try:
            return SpoolPlace(root, self._feed.name)
        except OSError as error:
            _log.error("spool.unusable", path=str(root), error=error.strerror or str(error))
            return None

    def _outlet(self, place: SpoolPlace | None) -> Outlet:
        settings = self._settings.capture
        spool = None if place is None else Spool(place.directory, settings.spool_bytes_max, self._clock)
        kafka = self._settings.kafka
        return Outlet(
            LiveProducer(kafka),
            spool,
            feed=self._feed.name,
            stall_ms=settings.spool_after_ms,
            clock=self._clock,
        )

    def _capture(self, outlet: Outlet) -> Capture:
        settings, kafka, clock = self._settings.capture, self._settings.kafka, self._clock
        name = self._feed.name
        sender = Sender(outlet, self._topics, name, kafka.partitions)

        def follow() -> Follower:
            return Follower(kafka, self._topics.gaps, name.encode(), clock)

        coverage = Coverage(sender, outlet, self._scope, follow, settings, clock)
        watch = None if self._market is None else SilenceWatch(name, self._market, settings, clock)
        return Capture(self._feed, sender, settings, clock, coverage, watch)
