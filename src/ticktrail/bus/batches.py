"""Values as they come out of Kafka."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from confluent_kafka import Message

__all__ = ["Partition", "PartitionBatch", "Position", "batch_of", "headers_of"]


class Partition(NamedTuple):
    """A partition of a topic."""

    topic: str
    number: int


class Position(NamedTuple):
    """Where a partition is to be read from next, and what its reader must know there."""

    offset: int
    state: str = ""


class PartitionBatch(NamedTuple):
    """Consecutive values of one partition.

    Parameters
    ----------
    offsets
        Shape ``(n,)``, rising.
    append_ts_ms
        Shape ``(n,)``: the log's own time of each value, milliseconds since 1970.
    headers
        Of each value, where `poll` was asked for them; else empty.
    """

    partition: Partition
    offsets: npt.NDArray[np.int64]
    append_ts_ms: npt.NDArray[np.int64]
    keys: list[bytes | None]
    values: list[bytes]
    headers: Sequence[Mapping[str, bytes]] = ()


def batch_of(partition: Partition, messages: Sequence[Message]) -> PartitionBatch:
    """Put consecutive messages of a partition together, without their headers."""
    count = len(messages)
    return PartitionBatch(
        partition,
        np.fromiter((m.offset() for m in messages), dtype=np.int64, count=count),
        np.fromiter((m.timestamp()[1] for m in messages), dtype=np.int64, count=count),
        [m.key() for m in messages],
        [m.value() or b"" for m in messages],
    )


def headers_of(messages: Sequence[Message]) -> list[Mapping[str, bytes]]:
    """Give the headers of each message."""
    return [{name: value or b"" for name, value in message.headers() or ()} for message in messages]
