"""A Kafka that is a list, behind the methods of `ticktrail.bus.LiveProducer`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
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
    refuses
        Whether it has refused something for good.
    """

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.sent: list[Sent] = []
        self.is_away = False
        self.is_closed = False
        self.polls = 0
        self.refuses = False
        self._acknowledged = 0

    def send(
        self,
        topic: str,
        keys: Sequence[bytes | None],
        values: Sequence[bytes],
        partitions: Sequence[int] = (),
        headers: Mapping[str, bytes] | None = None,
    ) -> Receipt:
        assert not self.is_closed
        places = partitions or [-1] * len(values)
        for place, key, value in zip(places, keys, values, strict=True):
            self.sent.append(Sent(topic, place, key, value, headers or {}))
        return Receipt(topic, np.array([len(self.sent)]))

    @property
    def unacknowledged(self) -> int:
        """How many values these are."""
        return len(self.sent) - self._acknowledged

    def acknowledge(self, count: int) -> None:
        """Acknowledge so many, the oldest first."""
        self._acknowledged += min(count, self.unacknowledged)

    def has(self, receipt: Receipt) -> bool:
        return self._acknowledged >= int(receipt.sent[0])

    def poll(self, *, wait: bool = False) -> None:
        if self.refuses:
            raise SchemaMismatch(what="refused")
        if wait:
            self._clock.advance(0.05)
        self.polls += 1
        if not self.is_away:
            self.acknowledge(self.unacknowledged)

    def close(self) -> None:
        self.is_closed = True
