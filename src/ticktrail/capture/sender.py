"""Parsed records into Kafka.

Guarantee: what `send` was given is either acknowledged by the next successful `flush`, or an error says that
it is not. Heartbeats of a time follow every record that was received before it, in every partition.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ticktrail.bus import Producer, Topics
from ticktrail.capture import metrics
from ticktrail.codec import encode_columns, encode_record
from ticktrail.feeds import Rejected
from ticktrail.model import Array, Bar, Columns, Heartbeat

__all__ = ["Sender"]


class Sender:
    """Encodes and produces; used by one thread at a time.

    Parameters
    ----------
    feed
        Name of the feed.
    partitions
        Of each topic.
    """

    def __init__(self, producer: Producer, topics: Topics, feed: str, partitions: int) -> None:
        self._producer = producer
        self._topics = topics
        self._feed = feed
        self._partitions = partitions

    def send(self, columns: Columns[Any]) -> None:
        """Produce records, keyed by feed and symbol."""
        topic = self._topics.for_record(columns.record)
        if columns.record is Bar:
            # A vendor's own bars never mix with those that are built here, in no topic and no table.
            topic = self._topics.vendor_bars
            columns = columns.replace(feed=f"{self._feed}:vendor")
        self._producer.send(topic, _keys(columns), encode_columns(columns))
        metrics.RECORDS.inc(len(columns), feed=self._feed, kind=columns.record.__name__.lower())

    def send_rejected(self, rejected: Iterable[Rejected]) -> None:
        """Produce dead letters: the bytes as received."""
        for item in rejected:
            headers = {
                "feed": self._feed.encode(),
                "reason": item.reason.encode(),
                "detail": item.detail.encode(),
            }
            self._producer.send_to_partition(self._topics.dead_letters, -1, item.payload, headers)
            metrics.REJECTED.inc(feed=self._feed, reason=item.reason)

    def send_heartbeat(self, ts_recv_ns: int) -> None:
        """Produce a heartbeat to every partition of every topic that carries them."""
        value = encode_record(Heartbeat(feed=self._feed, ts_recv_ns=ts_recv_ns))
        for topic in self._topics.timed:
            for partition in range(self._partitions):
                self._producer.send_to_partition(topic, partition, value)

    def hurry(self, timeout_s: float) -> None:
        """Raise instead of waiting longer than that, from now on, where Kafka takes nothing."""
        self._producer.hurry(timeout_s)

    def flush(self, timeout_s: float) -> None:
        """Wait for all acknowledgements; raises as `Producer.flush` does."""
        self._producer.flush(timeout_s)


def _keys(columns: Columns[Any]) -> list[bytes]:
    keys: Array = np.strings.add(np.strings.add(columns["feed"], b"|"), columns["symbol"])
    result: list[bytes] = keys.tolist()
    return result
