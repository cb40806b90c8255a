"""Proof that time passes."""

from __future__ import annotations

from ticktrail.model.fields import Int64, Record

__all__ = ["Heartbeat"]


class Heartbeat(Record, frozen=True, kw_only=True, gc=False):
    """Written by capture, so that time passes in every partition even where nothing trades.

    In the topic of gaps it is a proof of coverage: everything that the feed sent between `since_ns` and
    `ts_recv_ns` is in the log, and Kafka had acknowledged it before this was written.

    Parameters
    ----------
    ts_recv_ns
        In the topics of records: every record of `feed` that capture received before this time, and did not
        have to count as lost, stands before this heartbeat in the same partition.
    since_ns
        When the connection began over which everything until `ts_recv_ns` came, unbroken; 0 where that is
        not known or nothing is connected.
    """

    feed: str
    ts_recv_ns: Int64
    since_ns: Int64 = 0
