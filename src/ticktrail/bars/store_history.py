"""The minutes that a restarted partition reads back, from the store."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from ticktrail.bus import message_key, partition_of
from ticktrail.model import Bar, Columns
from ticktrail.store import BARS, DayRef, Reader
from ticktrail.store.tables import bucket_days, dataset_of

__all__ = ["StoreHistory"]


class StoreHistory:
    """A `ticktrail.bars.history.MinuteHistory` over the store.

    Parameters
    ----------
    partition, partition_count
        Only symbols whose trades travel in this partition are its business: another's builder has the
        rest of their minutes.
    """

    def __init__(self, reader: Reader, partition: int, partition_count: int) -> None:
        self._reader = reader
        self._partition = partition
        self._partition_count = partition_count

    def symbols(self, feed: str, day: int) -> Collection[str]:
        (bucket,) = bucket_days("1m", np.array([day], dtype=np.int32)).tolist()
        refs = self._reader.partitions([DayRef(dataset_of(BARS, "1m"), feed, bucket)])
        return [
            symbol
            for symbol in (ref.symbol for ref in refs)
            if partition_of(message_key(feed, symbol), self._partition_count) == self._partition
        ]

    def minutes(self, keys: Sequence[tuple[str, str, int]]) -> Columns[Bar]:
        return self._reader.minute_history(keys)
