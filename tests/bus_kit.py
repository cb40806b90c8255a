"""What tests of the bus share: members of a group that keep what they got, and a producer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from ticktrail.bus import (
    Consumer,
    Partition,
    PartitionBatch,
    Position,
    Producer,
)
from ticktrail.clock import SystemClock
from ticktrail.config import KafkaSettings

DEADLINE_S = 30.0


class Member:
    """A consumer that keeps everything it got and was told."""

    def __init__(self, kafka: KafkaSettings, group: str, topic: str) -> None:
        self.assigned: dict[Partition, Position] = {}
        self.revoked: list[Partition] = []
        self.batches: list[PartitionBatch] = []
        self.before_revoked: Callable[[Sequence[Partition]], None] = lambda partitions: None
        self.consumer = Consumer(kafka, group, [topic], self._assigned, self._revoked)

    def _assigned(self, positions: Mapping[Partition, Position]) -> None:
        self.assigned |= positions

    def _revoked(self, partitions: Sequence[Partition]) -> None:
        self.before_revoked(partitions)
        self.revoked += partitions
        for partition in partitions:
            del self.assigned[partition]

    @property
    def values(self) -> list[bytes]:
        return [value for batch in self.batches for value in batch.values]

    def poll(self) -> None:
        self.batches += self.consumer.poll(1_000, 0.02)

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < deadline, "it did not come to that in time"
            self.poll()


@contextmanager
def member(kafka: KafkaSettings, group: str, topic: str) -> Iterator[Member]:
    made = Member(kafka, group, topic)
    try:
        yield made
    finally:
        made.consumer.close()


def produce(kafka: KafkaSettings, topic: str, values: Sequence[bytes], key: bytes | None = None) -> None:
    producer = Producer(kafka, SystemClock())
    keys = [key or value for value in values]
    producer.send(topic, keys, values)
    producer.flush(DEADLINE_S)
    assert producer.queued == 0


def share(first: Member, second: Member) -> None:
    """Poll both until each of them has one of the two partitions."""
    deadline = time.monotonic() + DEADLINE_S
    while not (len(first.assigned) == len(second.assigned) == 1):
        assert time.monotonic() < deadline
        first.poll()
        second.poll()
