"""Values of several topics for who only looks on: all partitions, from an instant on, without a group.

Guarantee: within a partition values come in the log's order, each once per reader; nothing is written into
Kafka. What the log no longer has is passed over, and counted: an onlooker shows what is, and keeps no books.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import NamedTuple

from confluent_kafka import OFFSET_BEGINNING, KafkaError, KafkaException, TopicPartition
from confluent_kafka import Consumer as _Consumer

from ticktrail.bus.admin import partition_counts
from ticktrail.bus.client import WATCHED, is_away, new_client, translated
from ticktrail.clock import NS_PER_MS
from ticktrail.config import KafkaSettings
from ticktrail.errors import SchemaMismatch

__all__ = ["Onlooker", "Seen"]

_TIMEOUT_S = 10.0
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

    Attributes
    ----------
    skipped
        How often the log no longer had what was to be read next.

    Raises
    ------
    SchemaMismatch
        There is no such topic.
    TicktrailError
        Kafka does not answer.
    """

    def __init__(self, settings: KafkaSettings, since_ns: dict[str, int], batch_ms: int) -> None:
        self._address = settings.bootstrap_servers
        self.skipped = 0
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
            self._consumer.assign(self._starts(since_ns, counts))
        except KafkaException as error:
            self._consumer.close()
            raise translated(error, self._address) from error

    @property
    def is_away(self) -> bool:
        """Whether no broker was to be reached a moment ago."""
        return is_away(self._address)

    def poll(self, records_max: int, timeout_s: float) -> list[Seen]:
        """Take what has come; waits for the first value only.

        Raises
        ------
        TicktrailError
            Kafka refuses: a login, a topic that is gone.
        """
        # One is waited for; `consume` would wait for all of a number.
        messages = self._consumer.consume(1, timeout_s)
        if messages:
            messages += self._consumer.consume(records_max - 1, 0)
        values: dict[str, list[bytes]] = {}
        for message in messages:
            trouble = message.error()
            if trouble is None:
                values.setdefault(message.topic(), []).append(message.value() or b"")
            elif trouble.code() in _GONE:
                self.skipped += 1
                self._consumer.seek(TopicPartition(message.topic(), message.partition(), OFFSET_BEGINNING))
            elif trouble.code() not in _IDLE_ERRORS:
                raise translated(trouble, self._address)
        return [Seen(topic, found) for topic, found in values.items()]

    def lag(self) -> int:
        """Count the values that are in Kafka and not taken, without asking the broker."""
        lag = 0
        for at in self._consumer.position(self._consumer.assignment()):
            high = self._consumer.get_watermark_offsets(at, cached=True)[1]
            if at.offset >= 0 and high >= 0:
                lag += max(high - at.offset, 0)
        return lag

    def close(self) -> None:
        """Disconnect."""
        self._consumer.close()

    def _starts(self, since_ns: dict[str, int], counts: dict[str, int]) -> Iterable[TopicPartition]:
        wanted = [
            TopicPartition(topic, number, since_ns[topic] // NS_PER_MS)
            for topic, count in counts.items()
            for number in range(count)
        ]
        found: list[TopicPartition] = self._consumer.offsets_for_times(wanted, timeout=_TIMEOUT_S)
        for at in found:
            if at.error is not None:
                raise KafkaException(at.error)
            if at.offset < 0:
                # Nothing is that young. "The end" would be where it is at the first fetch, a moment later.
                at.offset = self._consumer.get_watermark_offsets(at, timeout=_TIMEOUT_S)[1]
        return found
