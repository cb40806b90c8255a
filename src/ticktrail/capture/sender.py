"""Parsed records on their way out.

Guarantee: what the way out accepted reaches Kafka in this order; what it did not accept is counted, and the
caller told. Heartbeats of a time follow every record that was received before it, in every partition.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

import numpy as np

from ticktrail.bus import Producer, Topics
from ticktrail.capture import metrics
from ticktrail.capture.batch import Batch
from ticktrail.codec import encode_columns, encode_record
from ticktrail.feeds import Rejected
from ticktrail.model import Array, Bar, Columns, Gap, Heartbeat

__all__ = ["SCOPE_HEADER", "Direct", "Sender", "WayOut"]

# Beside the proofs of coverage: which subscription it is that is covered.
SCOPE_HEADER = "scope"


class WayOut(Protocol):
    """What a sender writes to: `ticktrail.capture.outlet.Outlet`, or `Direct` for recordings."""

    def accept(self, batch: Batch) -> bool:
        """Take a batch; False where it is lost."""
        ...

    def tick(self) -> None:
        """Go on with what waits; called while nothing comes."""
        ...

    def hurry(self, timeout_s: float) -> None:
        """Wait no longer than that, from now on, where nothing is taken."""
        ...

    def flush(self, timeout_s: float) -> None:
        """Wait for acknowledgements."""
        ...

    def close(self) -> None:
        """Make safe what is not acknowledged; raise for what cannot be."""
        ...


class Direct:
    """A way out that waits for Kafka as long as it takes: a recording can be read again."""

    def __init__(self, producer: Producer) -> None:
        self._producer = producer

    def accept(self, batch: Batch) -> bool:
        places = batch.partitions or [-1] * len(batch.values)
        for topic in batch.topics:
            if not batch.partitions and not batch.headers:
                self._producer.send(topic, batch.keys, batch.values)
                continue
            for partition, key, value in zip(places, batch.keys, batch.values, strict=True):
                self._producer.send_to_partition(topic, partition, value, batch.headers, key)
        return True

    def tick(self) -> None:
        self._producer.check()

    def hurry(self, timeout_s: float) -> None:
        self._producer.hurry(timeout_s)

    def flush(self, timeout_s: float) -> None:
        self._producer.flush(timeout_s)

    def close(self) -> None:
        """`flush` raises where something is left."""


class Sender:
    """Encodes; used by one thread at a time.

    Parameters
    ----------
    feed
        Name of the feed.
    partitions
        Of each topic.

    Attributes
    ----------
    way_out, feed
        As given.
    """

    def __init__(self, way_out: WayOut, topics: Topics, feed: str, partitions: int) -> None:
        self.way_out = way_out
        self._topics = topics
        self.feed = feed
        self._partitions = partitions

    def send(self, columns: Columns[Any], ts_recv_ns: int) -> int:
        """Send records, keyed by feed and symbol.

        Parameters
        ----------
        ts_recv_ns
            When the last of them was received.

        Returns
        -------
        How many are lost: none, or all.
        """
        topic = self._topics.for_record(columns.record)
        if columns.record is Bar:
            # A vendor's own bars never mix with those that are built here, in no topic and no table.
            topic = self._topics.vendor_bars
            columns = columns.replace(feed=f"{self.feed}:vendor")
        batch = Batch(
            ts_ns=ts_recv_ns,
            topics=(topic,),
            keys=_keys(columns),
            values=encode_columns(columns),
            records=len(columns),
        )
        if not self.way_out.accept(batch):
            return len(columns)
        metrics.RECORDS.inc(len(columns), feed=self.feed, kind=columns.record.__name__.lower())
        return 0

    def send_rejected(self, rejected: Iterable[Rejected], ts_recv_ns: int) -> int:
        """Send dead letters: the bytes as received. Tells how many are lost."""
        lost = 0
        for item in rejected:
            headers = {
                "feed": self.feed.encode(),
                "reason": item.reason.encode(),
                "detail": item.detail.encode(),
                "ts_recv_ns": str(ts_recv_ns).encode(),
            }
            metrics.REJECTED.inc(feed=self.feed, reason=item.reason)
            batch = Batch(
                ts_ns=ts_recv_ns,
                topics=(self._topics.dead_letters,),
                keys=[None],
                values=[item.payload],
                headers=headers,
                records=1,
            )
            lost += not self.way_out.accept(batch)
        return lost

    def send_heartbeat(self, ts_recv_ns: int, since_ns: int = 0) -> None:
        """Send a heartbeat to every partition of every topic that carries them."""
        value = encode_record(Heartbeat(feed=self.feed, ts_recv_ns=ts_recv_ns, since_ns=since_ns))
        self.way_out.accept(
            Batch(
                ts_ns=ts_recv_ns,
                topics=self._topics.timed,
                keys=[None] * self._partitions,
                values=[value] * self._partitions,
                partitions=list(range(self._partitions)),
            )
        )

    def send_proof(self, ts_recv_ns: int, since_ns: int, scope: str) -> bool:
        """Write into the ledger that a span of time is covered; False where it was not taken."""
        beat = Heartbeat(feed=self.feed, ts_recv_ns=ts_recv_ns, since_ns=since_ns)
        return self._enter(encode_record(beat), ts_recv_ns, scope)

    def send_gap(self, gap: Gap, scope: str) -> bool:
        """Write a gap into the ledger; False where it was not taken."""
        if not self._enter(encode_record(gap), gap.ts_recv_ns, scope):
            return False
        metrics.GAPS.inc(feed=self.feed, cause=gap.cause, state=gap.state)
        return True

    def _enter(self, value: bytes, ts_ns: int, scope: str) -> bool:
        return self.way_out.accept(
            Batch(
                ts_ns=ts_ns,
                topics=(self._topics.gaps,),
                keys=[self.feed.encode()],
                values=[value],
                headers={SCOPE_HEADER: scope.encode()},
            )
        )


def _keys(columns: Columns[Any]) -> list[bytes | None]:
    keys: Array = np.strings.add(np.strings.add(columns["feed"], b"|"), columns["symbol"])
    result: list[bytes | None] = keys.tolist()
    return result
