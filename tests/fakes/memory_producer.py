"""A Kafka that is a list, behind the methods of `ticktrail.bus.Producer`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ticktrail.codec import decode
from ticktrail.model import Record


@dataclass(frozen=True)
class Sent:
    """One value as it was handed over; `partition` is -1 where the key decides."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes
    headers: Mapping[str, bytes]

    @property
    def record(self) -> Record:
        """The value decoded."""
        return decode(self.value)


class MemoryProducer:
    """Takes everything at once, unless told to wait or to fail.

    Attributes
    ----------
    sent
        Everything, in its order.
    gate
        Cleared: sending blocks until it is set, as it does while Kafka is slow.
    failure
        Raised by every call from then on.
    on_send
        Called with each value.
    """

    def __init__(self) -> None:
        self.sent: list[Sent] = []
        self.gate = threading.Event()
        self.gate.set()
        self.failure: Exception | None = None
        self.flushes = 0
        self.hurried_s: float | None = None
        self.on_send: Callable[[Sent], Any] = lambda sent: None

    def send(self, topic: str, keys: Sequence[bytes | None], values: Sequence[bytes]) -> None:
        for key, value in zip(keys, values, strict=True):
            self.send_to_partition(topic, -1, value, None, key)

    def send_to_partition(
        self,
        topic: str,
        partition: int,
        value: bytes,
        headers: Mapping[str, bytes] | None = None,
        key: bytes | None = None,
    ) -> None:
        assert self.gate.wait(10), "the test never opened the gate"
        if self.failure is not None:
            raise self.failure
        sent = Sent(topic, partition, key, value, headers or {})
        self.sent.append(sent)
        self.on_send(sent)

    def check(self) -> None:
        if self.failure is not None:
            raise self.failure

    def hurry(self, timeout_s: float) -> None:
        self.hurried_s = timeout_s

    def flush(self, timeout_s: float) -> None:
        del timeout_s
        self.check()
        self.flushes += 1

    def of(self, topic: str) -> list[Sent]:
        """Choose the values of one topic."""
        return [sent for sent in self.sent if sent.topic == topic]
