"""The way out of capture: Kafka, or the disk while Kafka takes nothing.

Guarantee. Batches reach Kafka in the order in which they were accepted, each at least once, per partition and
over restarts. An accepted batch is either acknowledged, or kept here until it is: in memory for the moment
that Kafka usually takes, and in the spool as soon as that moment is over. `close` leaves what is not
acknowledged in the spool, and the next capture sends it before anything else.

What happens when Kafka takes no more, in this order:

1. Nothing was acknowledged for `capture.spool_after_ms`, or there is no room in flight: everything that is
   not acknowledged is written to the spool, and so is all that comes.
2. The spool has reached its bound, or the disk takes no more: the caller waits, and with it the socket is not
   read, for at most `_OVERFLOW_WAIT_S`: less than venues wait for a slow reader before they drop it.
3. After that batches are lost, counted, and told to the caller, who writes the gap; the newest, because the
   oldest may be in Kafka already.

As soon as Kafka acknowledges again, the spool is sent in its order, what is new goes behind it, and once
everything is sent, to Kafka directly.
"""

from __future__ import annotations

from collections import deque

import msgspec

from ticktrail.bus import LiveProducer
from ticktrail.capture import metrics
from ticktrail.capture.batch import Batch, Flight
from ticktrail.capture.spool import Damage, Segment, Spool, SpoolFull
from ticktrail.clock import NS_PER_SECOND, Clock
from ticktrail.errors import TicktrailError, Unreachable
from ticktrail.telemetry import get_logger

__all__ = ["Outlet"]

_log = get_logger("capture")

# Messages and bytes handed over and not known to be acknowledged: about a second at the busiest. The client
# holds a copy of each, so this bounds memory twice.
_FLIGHT_MESSAGES_MAX = 120_000
_FLIGHT_BYTES_MAX = 32 * 1024 * 1024
_ROOM_WAIT_S = 0.25
_OVERFLOW_WAIT_S = 2.0
# How long a stop waits for a Kafka that is away: the next capture sends the rest.
_AWAY_WAIT_S = 5.0

_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Batch)
_NOTHING = Batch(ts_ns=0, topics=(), keys=[], values=[])


class Outlet:
    """Takes batches in order; one thread uses it at a time.

    Parameters
    ----------
    producer
        Into Kafka.
    spool
        None: the disk allows none, and it counts as full.
    stall_ms
        Kafka counts as away when nothing was acknowledged for so long.
    clock
        For all of that.

    Attributes
    ----------
    accepted, acknowledged
        How many batches of this process were taken, and how many of those, from the first one on, Kafka has.
    damages
        What the spool could not give back; the caller takes it away.
    """

    def __init__(
        self,
        producer: LiveProducer,
        spool: Spool | None,
        *,
        feed: str,
        stall_ms: float,
        clock: Clock,
    ) -> None:
        self._producer = producer
        self._spool = spool
        self._feed = feed
        self._stall_ns = int(stall_ms * 1e6)
        self._clock = clock
        self._flights: deque[Flight] = deque()
        self._messages = self._bytes = 0
        self._progress_ns = clock.monotonic_ns()
        self._is_held = self._is_away = False
        # What is in the spool goes first.
        self._is_direct = spool is None or spool.is_read
        self._is_overflowing = False
        self._lost_frames = self._torn_bytes = 0
        # Of the frame that was sent last from the spool.
        self._drained_ns = 0
        self.accepted = self.acknowledged = 0
        self.damages: list[Damage] = []

    def hold(self) -> None:
        """Send nothing until `release`: the topics may be missing. Only where there is a spool."""
        self._is_held = True
        self._is_direct = False

    def release(self) -> None:
        """Send from now on."""
        self._is_held = False
        self._progress_ns = self._clock.monotonic_ns()

    def accept(self, batch: Batch) -> bool:
        """Take a batch; False where it is lost, because neither Kafka nor the disk has room.

        May wait; see above how long.

        Raises
        ------
        TicktrailError
            Kafka refused something for good.
        """
        try:
            self.tick()
        except TicktrailError:
            # Kafka has refused something else; this one is not to be lost with it.
            self._put_aside(batch)
            raise
        taken = self._send_directly(batch) or self._put_aside(batch) or self._wait_for_room(batch)
        if taken:
            self.accepted += 1
        return taken

    def tick(self) -> None:
        """Take acknowledgements, send what waits; raises as `accept`. Call it also while nothing comes."""
        self._producer.poll()
        self._settle()
        if self._is_stalled() and not self._is_away:
            self._is_away = True
            if self._is_direct:
                self._begin_spooling()
        self._drain()
        if self._spool is not None:
            metrics.SPOOL_BYTES.set(self._spool.size_bytes, feed=self._feed)
            metrics.SPOOL_AGE.set(self._spool_age_s(self._spool), feed=self._feed)

    def hurry(self, timeout_s: float) -> None:
        """Nothing here waits for long."""

    def flush(self, timeout_s: float) -> None:
        """Wait for acknowledgements as long as they come; raises as `accept`."""
        if self._is_away:
            timeout_s = min(timeout_s, _AWAY_WAIT_S)
        deadline_ns = self._clock.monotonic_ns() + int(timeout_s * NS_PER_SECOND)
        while (self._flights or not self._is_direct) and self._clock.monotonic_ns() < deadline_ns:
            if self._is_held or (self._is_stalled() and not self._is_away):
                return
            self._producer.poll(wait=True)
            self._settle()
            self._drain()

    def close(self) -> None:
        """Leave what is not acknowledged in the spool.

        Raises
        ------
        Unreachable
            It has no room.
        """
        if self._spool is not None:
            self._begin_spooling()
            self._spool.end_segment()
            if self._spool.size_bytes:
                _log.warning("capture.left_in_spool", feed=self._feed, size_bytes=self._spool.size_bytes)
        self._producer.close()
        left = sum(flight.count for flight in self._flights if flight.segment is None and flight.is_own)
        if left:
            raise Unreachable(
                what=f"Kafka did not acknowledge {left} values, which are lost",
                why="the spool has no room for them",
                next_step="See whether Kafka runs (`ticktrail status`), and raise capture.spool_bytes_max.",
                service="Kafka",
                address="",
            )

    # --- to Kafka ------------------------------------------------------------------------------------

    def _send_directly(self, batch: Batch) -> bool:
        if not self._is_direct:
            return False
        deadline_ns = self._clock.monotonic_ns() + int(_ROOM_WAIT_S * NS_PER_SECOND)
        while not self._has_room(batch):
            if self._clock.monotonic_ns() >= deadline_ns:
                return False
            self._producer.poll(wait=True)
            self._settle()
        self._hand_over(batch, None)
        return True

    def _has_room(self, batch: Batch | None = None) -> bool:
        if not self._flights:
            return True
        messages, size_bytes = (batch.count, batch.size_bytes) if batch is not None else (1, 1)
        return (
            self._messages + messages <= _FLIGHT_MESSAGES_MAX
            and self._bytes + size_bytes <= _FLIGHT_BYTES_MAX
        )

    def _hand_over(self, batch: Batch, segment: Segment | None, *, is_own: bool = True) -> None:
        if not self._flights:
            self._progress_ns = self._clock.monotonic_ns()
        flight = Flight(batch, segment, is_own=is_own)
        self._flights.append(flight)
        self._messages += flight.count
        self._bytes += flight.size_bytes
        flight.receipts = [
            self._producer.send(topic, batch.keys, batch.values, batch.partitions, batch.headers)
            for topic in batch.topics
        ]

    def _settle(self) -> None:
        """Let go of what is acknowledged, in order."""
        while self._flights and self._is_acknowledged(self._flights[0]):
            first = self._flights.popleft()
            self._is_away = False
            self._progress_ns = self._clock.monotonic_ns()
            self._messages -= first.count
            self._bytes -= first.size_bytes
            self.acknowledged += first.is_own
            if first.segment is not None and self._spool is not None:
                self._spool.done(first.segment)

    def _is_acknowledged(self, flight: Flight) -> bool:
        return flight.receipts is not None and all(map(self._producer.has, flight.receipts))

    def _is_stalled(self) -> bool:
        if not self._flights:
            return False
        return self._clock.monotonic_ns() - self._progress_ns > self._stall_ns

    # --- to the disk ---------------------------------------------------------------------------------

    def _begin_spooling(self) -> None:
        if self._spool is None:
            return
        if self._is_direct and self._flights:
            _log.warning("spool.begun", feed=self._feed, messages=self._messages)
        self._is_direct = False
        try:
            self._save_flights(self._spool)
        except SpoolFull as error:
            _log.error("spool.full", feed=self._feed, error=str(error))

    def _save_flights(self, spool: Spool) -> None:
        """Write what is in flight and nowhere else; nothing newer is written before all of it is.

        Raises
        ------
        SpoolFull
            Not all of it has room.
        """
        unsaved = [flight for flight in self._flights if flight.batch is not None]
        if not unsaved:
            return
        try:
            for flight in unsaved:
                assert flight.batch is not None
                flight.segment = self._write(flight.batch)
                flight.batch = None
        finally:
            spool.skip()  # it is sent already

    def _put_aside(self, batch: Batch) -> bool:
        if self._spool is None:
            return False
        if self._is_direct:
            self._begin_spooling()
        try:
            self._save_flights(self._spool)
            self._write(batch)
        except SpoolFull as error:
            if not self._is_overflowing:
                _log.error("spool.full", feed=self._feed, error=str(error))
            return False
        return True

    def _write(self, batch: Batch) -> Segment:
        assert self._spool is not None
        segment = self._spool.append(_ENCODER.encode(batch), batch.ts_ns)
        metrics.SPOOLED.inc(batch.count, feed=self._feed)
        return segment

    def _drain(self) -> None:
        """Send from the spool as much as there is room for."""
        spool = self._spool
        if spool is None or self._is_direct or self._is_held or self._is_away:
            return
        while self._has_room():
            frame = spool.read()
            self._take_losses(spool)
            if frame is None:
                self._is_direct = True
                spool.end_segment()
                _log.info("spool.drained", feed=self._feed)
                return
            try:
                batch = _DECODER.decode(frame.payload)
            except msgspec.MsgspecError as error:
                # Another version wrote it.
                _log.error("spool.unreadable", feed=self._feed, error=str(error))
                # Its records are newer than those of the frame before.
                from_ns = self._drained_ns or frame.ts_ns
                self.damages.append(Damage(frame.segment.path, from_ns, frame.ts_ns + 1, len(frame.payload)))
                metrics.SPOOL_DAMAGED.inc(len(frame.payload), feed=self._feed)
                batch = _NOTHING
            self._drained_ns = frame.ts_ns
            metrics.DRAINED.inc(batch.count, feed=self._feed)
            self._hand_over(batch, frame.segment, is_own=frame.segment.is_own)

    def _take_losses(self, spool: Spool) -> None:
        """Pass on what the spool found out while reading."""
        for _ in range(spool.lost_frames - self._lost_frames):
            self._hand_over(_NOTHING, None)  # else what waits for their turn would wait for ever
        self._lost_frames = spool.lost_frames
        if spool.torn_bytes > self._torn_bytes:
            torn_bytes = spool.torn_bytes - self._torn_bytes
            self._torn_bytes = spool.torn_bytes
            metrics.SPOOL_TORN.inc(torn_bytes, feed=self._feed)
            _log.warning("spool.torn", feed=self._feed, size_bytes=torn_bytes)
        while spool.damages and (spool.damages[0].to_ns or spool.is_read):
            damage = spool.damages.pop(0)
            if not damage.to_ns:
                damage = damage._replace(to_ns=self._clock.now_ns())
            metrics.SPOOL_DAMAGED.inc(damage.size_bytes, feed=self._feed)
            _log.error("spool.damaged", feed=self._feed, path=str(damage.path), size_bytes=damage.size_bytes)
            self.damages.append(damage)

    # --- nowhere -------------------------------------------------------------------------------------

    def _wait_for_room(self, batch: Batch) -> bool:
        """Hold up the caller for a while; False if there is no room even then."""
        begin_ns = self._clock.monotonic_ns()
        wait_ns = 0 if self._is_overflowing else int(_OVERFLOW_WAIT_S * NS_PER_SECOND)
        while True:
            self._producer.poll(wait=wait_ns > 0)
            self._settle()
            self._drain()
            is_room = self._is_direct and self._has_room(batch)
            if is_room:
                self._hand_over(batch, None)
            if is_room or (not self._is_direct and self._put_aside(batch)):
                if self._is_overflowing:
                    self._is_overflowing = False
                    _log.info("capture.overflow_ended", feed=self._feed)
                return True
            if self._clock.monotonic_ns() - begin_ns >= wait_ns:
                break
        if not self._is_overflowing:
            self._is_overflowing = True
            _log.error("capture.overflow", feed=self._feed)
        metrics.LOST.inc(batch.records, feed=self._feed, reason="overflow")
        return False

    def _spool_age_s(self, spool: Spool) -> float:
        oldest_ns = spool.oldest_ns
        return 0.0 if oldest_ns is None else (self._clock.now_ns() - oldest_ns) / NS_PER_SECOND
