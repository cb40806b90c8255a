"""Values of several topics for who only looks on: all partitions, from an instant on, without a group.

Guarantee: within a partition values come in the log's order, each once per reader, and once over several
readers where each begins at the positions of the one before; nothing is written into Kafka. What the log no
longer has is passed over, and counted: an onlooker shows what is, and keeps no books. A client that has
stopped reading (see `ticktrail.bus.standing`) is an error, and the next one reads on.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from confluent_kafka import OFFSET_END, KafkaError, KafkaException, TopicPartition
from confluent_kafka import Consumer as _Consumer

from ticktrail.bus.admin import partition_counts
from ticktrail.bus.batches import Partition
from ticktrail.bus.client import WATCHED, is_away, new_client, translated
from ticktrail.bus.standing import LOOK_EVERY_NS, Standing
from ticktrail.clock import NS_PER_MS, SystemClock
from ticktrail.config import KafkaSettings
from ticktrail.errors import Overloaded, SchemaMismatch, TicktrailError

__all__ = ["Onlooker", "Seen"]

_TIMEOUT_S = 10.0
_END_TIMEOUT_S = 2.0
# Of values waiting in the client: a page that stands still must not fill the memory.
_QUEUE_KIB_MAX = 32 * 1024
_BATCH_BYTES = 64 * 1024
# librdkafka goes on by itself after these.
_IDLE_ERRORS = {
    KafkaError._PARTITION_EOF,
    KafkaError._TRANSPORT,
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._RESOLVE,
    KafkaError._TIMED_OUT,
}
_GONE = {KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE}


class Seen(NamedTuple):
    """Values of one topic, as they came; of each partition in its order."""

    topic: str
    values: list[bytes]


class Onlooker:
    """Reads topics side by side; one thread uses it at a time.

    Parameters
    ----------
    since_ns
        Topic → the instant (by the log's own time, nanoseconds since 1970 in UTC) to begin with.
    batch_ms
        How long the broker gathers values before it answers.
    positions
        Of an onlooker before this one; partitions that stand here are read from there on.

    Attributes
    ----------
    positions
        The offset that follows the last value taken, of each partition.
    skipped
        How often the log no longer had what was to be read next.

    Raises
    ------
    SchemaMismatch
        There is no such topic.
    TicktrailError
        Kafka does not answer.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        since_ns: dict[str, int],
        batch_ms: int,
        positions: Mapping[Partition, int] | None = None,
    ) -> None:
        self._address = settings.bootstrap_servers
        self.skipped = 0
        self._clock = SystemClock()
        # The log's time of the last value taken.
        self._taken_ms: dict[Partition, int] = {}
        counts = partition_counts(settings, list(since_ns))
        if missing := [topic for topic, count in counts.items() if not count]:
            raise SchemaMismatch(
                what=f"Kafka at {self._address} has no topic {', '.join(missing)}",
                next_step="Start a feed with `ticktrail run`; any command that writes makes all topics.",
            )
        self._consumer = new_client(
            _Consumer,
            settings,
            {
                **WATCHED,
                # A group's name is demanded, but without subscription and commits the broker never hears it.
                "group.id": f"onlooker-{uuid.uuid4()}",
                "enable.auto.commit": False,
                "auto.offset.reset": "error",
                "queued.max.messages.kbytes": _QUEUE_KIB_MAX,
                "fetch.wait.max.ms": max(batch_ms, 1),
                "fetch.min.bytes": _BATCH_BYTES if batch_ms else 1,
                "fetch.queue.backoff.ms": 5,
            },
        )
        try:
            starts = self._starts(since_ns, counts, positions or {})
            self._consumer.assign(starts)
        except KafkaException as error:
            self._consumer.close()
            raise translated(error, self._address) from error
        self.positions = {Partition(at.topic, at.partition): at.offset for at in starts}
        now_ns = self._clock.monotonic_ns()
        self._standing = Standing(now_ns)
        self._standing.assigned(self.positions, now_ns)
        self._next_look_ns = now_ns + LOOK_EVERY_NS

    @property
    def away(self) -> TicktrailError | None:
        """Why no broker was to be reached a moment ago; None where one was."""
        if not is_away(self._address):
            return None
        return translated(KafkaError(KafkaError._ALL_BROKERS_DOWN), self._address)

    def poll(self, records_max: int, timeout_s: float) -> list[Seen]:
        """Take what has come; waits for the first value only.

        Raises
        ------
        TicktrailError
            Kafka refuses: a login, a topic that is gone.
        Overloaded
            The client has stopped reading a partition. A new one reads on.
        """
        # One is waited for; `consume` would wait for all of a number.
        try:
            messages = self._consumer.consume(1, timeout_s)
            if messages:
                messages += self._consumer.consume(records_max - 1, 0)
        except KafkaException as error:
            raise translated(error, self._address) from error
        values: dict[str, list[bytes]] = {}
        moved: dict[Partition, Any] = {}
        gone: list[Partition] = []
        for message in messages:
            trouble = message.error()
            if trouble is None:
                values.setdefault(message.topic(), []).append(message.value() or b"")
                moved[Partition(message.topic(), message.partition())] = message
            elif trouble.code() in _GONE:
                gone.append(Partition(message.topic(), message.partition()))
            elif trouble.code() not in _IDLE_ERRORS:
                raise translated(trouble, self._address)
        for partition, last in moved.items():
            self.positions[partition] = last.offset() + 1
            self._taken_ms[partition] = last.timestamp()[1]
        if gone:
            self._pass_over(gone)
        self._see_to_standing(moved)
        return [Seen(topic, found) for topic, found in values.items()]

    def lag(self) -> int:
        """Count the values that are in Kafka and not taken, without asking the broker."""
        lag = 0
        for (topic, number), position in self.positions.items():
            high = self._consumer.get_watermark_offsets(TopicPartition(topic, number), cached=True)[1]
            lag += max(high - position, 0) if high >= 0 else 0
        return lag

    def close(self) -> None:
        """Disconnect."""
        self._consumer.close()

    def _starts(
        self, since_ns: dict[str, int], counts: dict[str, int], positions: Mapping[Partition, int]
    ) -> list[TopicPartition]:
        partitions = [Partition(topic, number) for topic, count in counts.items() for number in range(count)]
        known = [each for each in partitions if each in positions]
        new = {each: since_ns[each.topic] // NS_PER_MS for each in partitions if each not in positions}
        return [*(_at(each, positions[each]) for each in known), *(self._offsets_at(new) if new else ())]

    def _offsets_at(self, times_ms: Mapping[Partition, int]) -> Iterable[TopicPartition]:
        """Ask where the first values of those times, or of later ones, stand; else where the log ends."""
        wanted = [_at(each, time_ms) for each, time_ms in times_ms.items()]
        found: list[TopicPartition] = self._consumer.offsets_for_times(wanted, timeout=_TIMEOUT_S)
        for at in found:
            if at.error is not None:
                raise KafkaException(at.error)
            if at.offset < 0:
                # Nothing is that young. "The end" would be where it is at the first fetch, a moment later.
                at.offset = self._consumer.get_watermark_offsets(at, timeout=_TIMEOUT_S)[1]
        return found

    def _pass_over(self, partitions: list[Partition]) -> None:
        """Go on with what is next: the log has been cut, at its beginning or at its end.

        Where it was cut at its end (a broker lost what was not on disk, or began anew), offsets say nothing
        any more, and the log's times say what has not been taken.
        """
        self.skipped += len(partitions)
        try:
            for partition in partitions:
                low, high = self._consumer.get_watermark_offsets(_at(partition, 0), timeout=_TIMEOUT_S)
                if self.positions[partition] > high:
                    (at,) = self._offsets_at({partition: self._taken_ms.get(partition, 0) + 1})
                    self.positions[partition] = at.offset
                else:
                    self.positions[partition] = max(low, self.positions[partition])
            # librdkafka has let go of them, and refuses to seek there.
            self._consumer.assign([_at(each, offset) for each, offset in self.positions.items()])
        except KafkaException as error:
            raise translated(error, self._address) from error

    def _see_to_standing(self, moved: Iterable[Partition]) -> None:
        now_ns = self._clock.monotonic_ns()
        self._standing.moved(moved, now_ns)
        if now_ns < self._next_look_ns:
            return
        self._next_look_ns = now_ns + LOOK_EVERY_NS
        if is_away(self._address):
            self._standing.excuse(now_ns)
            return
        # Some topics are quiet for hours, so that this is asked again and again: in one request for all.
        quiet = [Partition(*each) for each in self._standing.quiet(now_ns)]
        for partition, end in self._ends(quiet).items():
            if self._standing.is_stalled(partition, self.positions[partition], end):
                raise Overloaded(
                    what=f"Kafka at {self._address} gives no more values of {partition.topic}/"
                    f"{partition.number}",
                    why="it has some, but its client has stopped asking for them",
                    next_step="Reading goes on by itself.",
                    service="Kafka",
                )

    def _ends(self, partitions: list[Partition]) -> dict[Partition, int]:
        """Ask the broker where partitions end; those of which it does not tell are left out."""
        if not partitions:
            return {}
        try:
            found = self._consumer.offsets_for_times(
                [_at(each, OFFSET_END) for each in partitions], timeout=_END_TIMEOUT_S
            )
        except KafkaException:
            return {}  # an outage that nobody has noted yet; the next look will know
        return {Partition(at.topic, at.partition): at.offset for at in found if at.offset >= 0}


def _at(partition: Partition, offset: int) -> TopicPartition:
    return TopicPartition(partition.topic, partition.number, offset)
