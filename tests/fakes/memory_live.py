"""A Kafka that is a list, behind the methods of `ticktrail.bus.LiveProducer`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fakes.memory_producer import Sent

from ticktrail.bus import Receipt
from ticktrail.errors import SchemaMismatch
from ticktrail.testing import FakeClock


class MemoryLiveProducer:
    """Takes everything at once, and acknowledges it when polled.

    Parameters
    ----------
    clock
        Moves on by a moment where somebody waits.

    Attributes
    ----------
    sent
        Everything, in its order.
    is_away
        While it is, nothing is acknowledged.
    """

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.sent: list[Sent] = []
        self.is_away = False
        self.is_closed = False
        self.polls = 0
        self._open: list[Receipt | None] = []

    def send(
        self,
        topic: str,
        keys: Sequence[bytes | None],
        values: Sequence[bytes],
        receipt: Receipt | None = None,
    ) -> None:
        for key, value in zip(keys, values, strict=True):
            self._add(Sent(topic, -1, key, value, {}), receipt)

    def send_to_partition(
        self,
        topic: str,
        partition: int,
        value: bytes,
        headers: Mapping[str, bytes],
        key: bytes | None,
        receipt: Receipt,
    ) -> None:
        self._add(Sent(topic, partition, key, value, headers), receipt)

    def _add(self, sent: Sent, receipt: Receipt | None) -> None:
        assert not self.is_closed
        self.sent.append(sent)
        self._open.append(receipt)
        if receipt is not None:
            receipt.open += 1

    @property
    def unacknowledged(self) -> int:
        """How many values these are."""
        return len(self._open)

    def acknowledge(self, count: int) -> None:
        """Acknowledge so many, the oldest first."""
        none: Any = None
        for receipt in self._open[:count]:
            if receipt is not None:
                receipt.delivered(None, none)
        del self._open[:count]

    def poll(self, *, wait: bool = False) -> None:
        if wait:
            self._clock.advance(0.05)
        self.polls += 1
        if not self.is_away:
            self.acknowledge(len(self._open))

    def check(self, receipt: Receipt) -> None:
        if receipt.error is not None:
            raise SchemaMismatch(what="refused")

    def close(self) -> None:
        self.is_closed = True
