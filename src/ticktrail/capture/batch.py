"""Values that go to Kafka together, or wait for it together."""

from __future__ import annotations

import msgspec

from ticktrail.bus import Receipt
from ticktrail.capture.spool import Segment

__all__ = ["Batch", "Flight"]


class Batch(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What is handed over, spooled, acknowledged or lost as a whole.

    Parameters
    ----------
    ts_ns
        Receive time of the newest record in it.
    topics
        Each value goes to each of these.
    keys
        One for each value.
    values
        As Kafka is to have them.
    partitions
        One for each value, or none where the keys decide.
    headers
        Of every value.
    records
        How many records are lost if the batch is.
    """

    ts_ns: int
    topics: tuple[str, ...]
    keys: list[bytes | None]
    values: list[bytes]
    partitions: list[int] = []
    headers: dict[str, bytes] = {}
    records: int = 0

    @property
    def count(self) -> int:
        """How many messages it makes."""
        return len(self.topics) * len(self.values)

    @property
    def size_bytes(self) -> int:
        """How much memory its texts take."""
        return sum(map(len, self.values)) + sum(map(len, filter(None, self.keys)))


class Flight:
    """A batch that was handed over and is not known to be acknowledged."""

    __slots__ = ("batch", "count", "is_own", "receipts", "segment", "size_bytes")

    def __init__(self, batch: Batch, segment: Segment | None, *, is_own: bool) -> None:
        self.count = batch.count
        self.size_bytes = batch.size_bytes
        # Of each topic; None until it is handed over whole.
        self.receipts: list[Receipt] | None = None
        self.segment = segment
        self.is_own = is_own
        # What is spooled need not be kept.
        self.batch = batch if segment is None and batch.topics else None
