"""Values out of Kafka, by partition, with the offsets left to the caller.

Guarantee: nothing is committed but by `commit`. Within a partition values come in the log's order, each at
least once. Where a group has no position yet it begins at the start of the log; a position that the log no
longer has is an error, never a silent jump.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka import Consumer as _Consumer

from ticktrail.bus.batches import Partition, PartitionBatch, Position, batch_of, headers_of
from ticktrail.bus.client import WATCHED, is_away, new_client, translated
from ticktrail.bus.standing import LOOK_EVERY_NS, Standing
from ticktrail.clock import NS_PER_SECOND, SystemClock
from ticktrail.config import KafkaSettings
from ticktrail.errors import Overloaded, RecordsLost, TicktrailError
from ticktrail.telemetry import get_logger

__all__ = ["Consumer"]

_log = get_logger("bus")

# librdkafka's default pause between fetches of a full queue (1 s) would be the latency of a busy partition.
_FETCH_BACKOFF_MS = 5
# The broker answers at once when it has so much.
_BATCH_BYTES = 64 * 1024
_POLL_TIMEOUT_S_MAX = 0.005
_COMMITTED_TIMEOUT_S = 30.0
# librdkafka goes on by itself after these: it reconnects, or joins the group again.
_IDLE_ERRORS = {
    KafkaError._PARTITION_EOF,
    KafkaError._TRANSPORT,
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._MAX_POLL_EXCEEDED,
}
_EXPIRED = {KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE}
_QUEUED_KIB_MAX = 16 * 1024
_WATERMARK_TIMEOUT_S = 10.0
_END_TIMEOUT_S = 2.0
# How long the end of a consumer waits for Kafka.
_LAST_TIMEOUT_S = 5.0
# Brokers before 4.0 know only the classic protocol. Cooperative, so that partitions come and go one by one
# there, too.
_PROTOCOLS: dict[str, dict[str, str]] = {
    "consumer": {"group.protocol": "consumer"},
    "classic": {"group.protocol": "classic", "partition.assignment.strategy": "cooperative-sticky"},
}


class Consumer:
    """A member of a consumer group. One thread uses it.

    Parameters
    ----------
    settings
        How to reach Kafka.
    group
        The group's id.
    topics
        What to read.
    on_assigned
        Called inside `poll` with the positions of new partitions, before their first values.
    on_revoked
        Called inside `poll` before partitions go to another member; may commit.
    batch_ms
        How long the broker gathers values before it answers: an answer per few values, hundreds of times a
        second, would cost it and the reader more than the values themselves. 0: each comes at once.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        group: str,
        topics: Sequence[str],
        on_assigned: Callable[[Mapping[Partition, Position]], None],
        on_revoked: Callable[[Sequence[Partition]], None],
        *,
        batch_ms: int = 10,
    ) -> None:
        self._settings = settings
        self._address = settings.bootstrap_servers
        self._group = group
        self._topics = list(topics)
        self._on_assigned = on_assigned
        self._on_revoked = on_revoked
        self._begins: dict[Partition, int] = {}
        self._is_paused = False
        # Whether Kafka was gone when this was closed.
        self._is_forsaken = False
        self._clock = SystemClock()
        self._standing = Standing(self._clock.monotonic_ns())
        self._next_look_ns = 0
        gathering = {"fetch.wait.max.ms": batch_ms, "fetch.min.bytes": _BATCH_BYTES}
        self._gathering = gathering if batch_ms else {}
        self._join("consumer")

    def _join(self, protocol: str) -> None:
        self._protocol = protocol
        self._consumer = new_client(
            _Consumer,
            self._settings,
            {
                "group.id": self._group,
                **_PROTOCOLS[protocol],
                **WATCHED,
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "auto.offset.reset": "error",
                "fetch.queue.backoff.ms": _FETCH_BACKOFF_MS,
                **self._gathering,
                "queued.max.messages.kbytes": _QUEUED_KIB_MAX,
            },
        )
        self._consumer.subscribe(
            self._topics, on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._lost
        )

    def poll(
        self, records_max: int, timeout_s: float = _POLL_TIMEOUT_S_MAX, *, with_headers: bool = False
    ) -> list[PartitionBatch]:
        """Take what is there, one batch per partition; empty after the time-out.

        Parameters
        ----------
        with_headers
            Whether values come with their headers. Topics of records have none.

        Raises
        ------
        TicktrailError
            Kafka refuses.
        RecordsLost
            A position is out of the log's range. The partition gives nothing more until `seek`.
        """
        try:
            messages = self._consumer.consume(records_max, timeout_s)
        except KafkaException as error:
            raise translated(error, self._address) from error
        by_partition: dict[Partition, list[Message]] = {}
        for message in messages:
            trouble = message.error()
            if trouble is None:
                by_partition.setdefault(Partition(message.topic(), message.partition()), []).append(message)
            elif trouble.code() in _EXPIRED:
                raise self._gone(Partition(message.topic(), message.partition()), trouble)
            elif self._lacks_protocol(trouble):
                self._consumer.close()
                self._join("classic")
                return []
            elif trouble.code() not in _IDLE_ERRORS:
                raise translated(trouble, self._address)
        self._see_to_standing(by_partition)
        batches = [batch_of(partition, group) for partition, group in by_partition.items()]
        if not with_headers:
            return batches
        return [batch._replace(headers=headers_of(by_partition[batch.partition])) for batch in batches]

    def pause(self) -> None:
        """Take no more values until `resume`; `poll` goes on to keep the place in the group."""
        if not self._is_paused:
            self._is_paused = True
            self._consumer.pause(self._consumer.assignment())

    def resume(self) -> None:
        """Take values again, from where they were left."""
        if self._is_paused:
            self._is_paused = False
            self._consumer.resume(self._consumer.assignment())

    def commit(self, positions: Mapping[Partition, Position]) -> None:
        """Store positions for the group; returns once the broker has them.

        Raises
        ------
        TicktrailError
            The broker did not take them. They may be stored again, or later ones instead.
        """
        if not positions:
            return
        if self._is_forsaken or is_away(self._address):
            # librdkafka would wait for the broker: for 45 s, and while it leaves the group for ever.
            raise translated(KafkaError(KafkaError._ALL_BROKERS_DOWN), self._address)
        offsets = [
            TopicPartition(partition.topic, partition.number, position.offset, metadata=position.state)
            for partition, position in positions.items()
        ]
        try:
            for stored in self._consumer.commit(offsets=offsets, asynchronous=False) or ():
                if stored.error is not None:
                    raise translated(stored.error, self._address)
        except KafkaException as error:
            raise translated(error, self._address) from error

    def lag(self) -> dict[Partition, int]:
        """Count the values behind the last one taken, per assigned partition, without asking the broker."""
        lags: dict[Partition, int] = {}
        assigned = self._consumer.assignment()
        for at in self._consumer.position(assigned):
            low, high = self._consumer.get_watermark_offsets(at, cached=True)
            if high >= 0:
                partition = Partition(at.topic, at.partition)
                # Until the first value is taken the client knows no position, but we know where it began.
                begin = max(low, self._begins.get(partition, low))
                lags[partition] = high - (at.offset if at.offset >= 0 else begin)
        return lags

    def positions(self) -> dict[Partition, int]:
        """Give the offset to be read next, for each assigned partition of which that is known."""
        try:
            found = self._consumer.position(self._consumer.assignment())
        except KafkaException as error:
            raise translated(error, self._address) from error
        known = {Partition(at.topic, at.partition): at.offset for at in found if at.offset >= 0}
        return {**{each: at for each, at in self._begins.items() if at >= 0}, **known}

    def ends(self, topic: str) -> dict[Partition, int]:
        """Ask the broker where the partitions of a topic end now."""
        try:
            numbers = self._consumer.list_topics(topic, timeout=_WATERMARK_TIMEOUT_S).topics[topic].partitions
            partitions = [Partition(topic, number) for number in numbers]
            return {
                each: self._consumer.get_watermark_offsets(
                    TopicPartition(each.topic, each.number), timeout=_WATERMARK_TIMEOUT_S
                )[1]
                for each in partitions
            }
        except KafkaException as error:
            raise translated(error, self._address) from error

    def seek(self, partition: Partition, offset: int) -> None:
        """Read a partition again from an offset on."""
        try:
            self._consumer.seek(TopicPartition(partition.topic, partition.number, offset))
        except KafkaException as error:
            raise translated(error, self._address) from error

    def close(self) -> None:
        """Leave the group; `on_revoked` is called for all partitions."""
        try:
            self._consumer.list_topics(self._topics[0], timeout=_LAST_TIMEOUT_S)
        except KafkaException:
            self._is_forsaken = True  # a last commit says so
        self._consumer.close()

    def _see_to_standing(self, moved: Collection[Partition]) -> None:
        """Note what has come; a client that reads no more though there is more is replaced.

        Raises
        ------
        Overloaded
            The client has stopped reading a partition. A new one reads on.
        """
        now_ns = self._clock.monotonic_ns()
        self._standing.moved(moved, now_ns)
        if now_ns < self._next_look_ns:
            return
        self._next_look_ns = now_ns + LOOK_EVERY_NS
        if self._is_paused or is_away(self._address):
            self._standing.excuse(now_ns)
            return
        if self._standing.is_alone(now_ns):
            self._replace_client(now_ns)
            return
        stalled = [each for each in self._standing.quiet(now_ns) if self._is_stalled(Partition(*each))]
        if stalled:
            raise Overloaded(
                what=f"Kafka at {self._address} gives no more values of {stalled[0][0]}/{stalled[0][1]}",
                why="it has some, but its client has stopped asking for them",
                next_step="Reading begins anew by itself.",
                service="Kafka",
            )

    def _is_stalled(self, partition: Partition) -> bool:
        at = TopicPartition(partition.topic, partition.number)
        try:
            (position,) = self._consumer.position([at])
            end = self._consumer.get_watermark_offsets(at, timeout=_END_TIMEOUT_S)[1]
        except KafkaException:
            return False  # an outage that nobody has noted yet; the next look will know
        begin = self._begins.get(partition, OFFSET_BEGINNING)
        first = position.offset if position.offset >= 0 else begin
        return first >= 0 and self._standing.is_stalled(partition, first, end)

    def _replace_client(self, now_ns: int) -> None:
        """Join anew: there is nothing to lose where there are no partitions."""
        _log.info("kafka.joining_anew", group=self._group, alone_s=self._standing.alone_ns // NS_PER_SECOND)
        self._standing = self._standing.rejoined(now_ns)
        self._consumer.close()
        self._join(self._protocol)

    def _lacks_protocol(self, trouble: KafkaError) -> bool:
        """Tell whether the broker knows no groups of the new protocol (KIP-848)."""
        is_told = trouble.code() == KafkaError._FATAL and "ConsumerGroupHeartbeat" in trouble.str()
        return is_told and self._protocol == "consumer"

    def _gone(self, partition: Partition, trouble: KafkaError) -> TicktrailError:
        at = TopicPartition(partition.topic, partition.number)
        try:
            low, high = self._consumer.get_watermark_offsets(at, timeout=_WATERMARK_TIMEOUT_S)
            (position,) = self._consumer.position([at])
        except KafkaException as error:
            return translated(error, self._address)
        # Until the first value is taken the client knows no position, but we know where it began.
        first = position.offset if position.offset >= 0 else self._begins[partition]
        return RecordsLost(
            what=f"Kafka at {self._address} no longer has the records that are to be read next",
            why=f"{trouble.str()}: {partition.topic}/{partition.number} is to be read at offset {first} "
            f"and has {low} to {high}",
            next_step="Those deleted are lost. Raise kafka.retention_hours, and set another group "
            "(persist.group, bars.group) to go on with what the log still has.",
            topic=partition.topic,
            partition=partition.number,
            first=first,
            end=low if first < low else high,
        )

    def _assigned(self, consumer: Any, partitions: list[TopicPartition]) -> None:
        try:
            committed = consumer.committed(partitions, timeout=_COMMITTED_TIMEOUT_S)
        except KafkaException as error:
            raise translated(error, self._address) from error
        positions: dict[Partition, Position] = {}
        for at in committed:
            if at.error is not None:
                raise translated(at.error, self._address)
            known = at.offset >= 0
            # Only a group without any position may begin at the start; from then on the log must have it.
            positions[Partition(at.topic, at.partition)] = Position(
                at.offset if known else OFFSET_BEGINNING, at.metadata or "" if known else ""
            )
        consumer.incremental_assign(
            [TopicPartition(p.topic, p.number, position.offset) for p, position in positions.items()]
        )
        # Either way: librdkafka keeps the pause of a partition that was taken away while it was paused.
        (consumer.pause if self._is_paused else consumer.resume)(partitions)
        self._begins |= {partition: position.offset for partition, position in positions.items()}
        self._standing.assigned(positions, self._clock.monotonic_ns())
        self._on_assigned(positions)

    def _revoked(self, consumer: Any, partitions: list[TopicPartition]) -> None:
        revoked = [Partition(at.topic, at.partition) for at in partitions]
        self._standing.revoked(revoked, self._clock.monotonic_ns())
        self._on_revoked(revoked)
        consumer.incremental_unassign(partitions)

    def _lost(self, consumer: Any, partitions: list[TopicPartition]) -> None:
        self._revoked(consumer, partitions)
