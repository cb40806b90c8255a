"""Kafka by another client than ours: what the tests of the bus and of persist compare with."""

from __future__ import annotations

import warnings
from itertools import islice
from typing import Any, NamedTuple

with warnings.catch_warnings():
    # It reads its own files in a way that newer Pythons dislike.
    warnings.simplefilter("ignore", DeprecationWarning)
    from kafka import KafkaConsumer, TopicPartition
    from kafka.partitioner.default import murmur2


class PlainMessage(NamedTuple):
    """One message as kafka-python shows it."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes
    headers: dict[str, bytes]


def plain_partition(key: bytes, count: int) -> int:
    """Compute the partition of a key as kafka-python does."""
    return int((murmur2(key) & 0x7FFFFFFF) % count)


def read_plainly(
    servers: str, topic: str, count: int, partitions: int = 2, timeout_ms: int = 20_000
) -> list[PlainMessage]:
    """Read so many messages of a topic from its start; fewer if no more come in time."""
    consumer: Any = KafkaConsumer(
        bootstrap_servers=servers, consumer_timeout_ms=timeout_ms, max_partition_fetch_bytes=1 << 25
    )
    consumer.assign([TopicPartition(topic, number) for number in range(partitions)])
    consumer.seek_to_beginning()
    found = [
        PlainMessage(each.partition, each.offset, each.key, each.value, dict(each.headers))
        for each in islice(consumer, count)
    ]
    consumer.close()
    return found
