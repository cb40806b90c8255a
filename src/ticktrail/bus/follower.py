"""The values of one key of a topic: the newest that there are, then those that come."""

from __future__ import annotations

import uuid

from confluent_kafka import OFFSET_BEGINNING, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka import Consumer as _Consumer

from ticktrail.bus.admin import partition_counts
from ticktrail.bus.client import new_client, translated
from ticktrail.bus.partitioner import partition_of
from ticktrail.bus.tail import Tailed
from ticktrail.clock import NS_PER_SECOND, Clock
from ticktrail.config import KafkaSettings
from ticktrail.errors import Unreachable

__all__ = ["Follower"]

_TIMEOUT_S = 10.0
_POLL_S = 0.2
_RECORDS_MAX = 10_000
_IDLE_ERRORS = {KafkaError._PARTITION_EOF, KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN}


class Follower:
    """Reads the partition of one key; leaves no trace in Kafka. One thread uses it at a time.

    Parameters
    ----------
    topic
        Its full name; it must exist.
    key
        Only values of this key are given.

    Raises
    ------
    TicktrailError
        Kafka does not answer, or has no such topic.
    """

    def __init__(self, settings: KafkaSettings, topic: str, key: bytes, clock: Clock) -> None:
        self._address = settings.bootstrap_servers
        self._clock = clock
        self._key = key
        count = partition_counts(settings, [topic])[topic]
        self._at = TopicPartition(topic, partition_of(key, max(count, 1)))
        self._consumer = new_client(
            _Consumer,
            settings,
            {
                # A group's name is demanded, but without subscription and commits the broker never hears it.
                "group.id": f"follow-{uuid.uuid4()}",
                "enable.auto.commit": False,
                "auto.offset.reset": "error",
                "queued.max.messages.kbytes": 8 * 1024,
            },
        )
        try:
            self._low, self._high = self._consumer.get_watermark_offsets(self._at, timeout=_TIMEOUT_S)
        except KafkaException as error:
            self._consumer.close()
            raise translated(error, self._address) from error
        self._follow(self._high)

    def history(self, values_max: int) -> tuple[list[Tailed], bool]:
        """Read what there was when this began: the newest so many values of the partition.

        Returns
        -------
        Those of the key, in the log's order, and whether there are none before them.

        Raises
        ------
        Unreachable
            Kafka stopped answering.
        """
        first = max(self._low, self._high - values_max)
        found: list[Tailed] = []
        at = first
        self._follow(first)
        deadline_ns = self._clock.monotonic_ns() + int(_TIMEOUT_S * NS_PER_SECOND)
        while at < self._high:
            messages = self._taken(_POLL_S)
            # What is behind the end is read again by `poll`.
            found += [
                self._told(each)
                for each in messages
                if each.key() == self._key and each.offset() < self._high
            ]
            if messages:
                at = messages[-1].offset() + 1
                deadline_ns = self._clock.monotonic_ns() + int(_TIMEOUT_S * NS_PER_SECOND)
            elif self._clock.monotonic_ns() > deadline_ns:
                raise Unreachable(
                    what=f"Kafka at {self._address} does not give the values of {self._at.topic}",
                    why=f"nothing came within {_TIMEOUT_S:g} s",
                    service="Kafka",
                    address=self._address,
                )
        self._follow(self._high)
        return found, first <= self._low

    def poll(self) -> list[Tailed]:
        """Take what has come since, without waiting."""
        return [self._told(each) for each in self._taken(0.0) if each.key() == self._key]

    def close(self) -> None:
        """Stop."""
        self._consumer.close()

    def _follow(self, offset: int) -> None:
        self._consumer.assign([TopicPartition(self._at.topic, self._at.partition, offset)])

    def _taken(self, timeout_s: float) -> list[Message]:
        good: list[Message] = []
        for message in self._consumer.consume(_RECORDS_MAX, timeout_s):
            trouble = message.error()
            if trouble is None:
                good.append(message)
            elif trouble.code() in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE):
                self._follow(OFFSET_BEGINNING)  # the topic was cut meanwhile
            elif trouble.code() not in _IDLE_ERRORS:
                raise translated(KafkaException(trouble), self._address)
        return good

    @staticmethod
    def _told(message: Message) -> Tailed:
        headers = {name: (value or b"").decode("utf-8", "replace") for name, value in message.headers() or ()}
        return Tailed(message.value() or b"", headers)
