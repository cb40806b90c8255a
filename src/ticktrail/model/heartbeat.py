"""Proof that time passes."""

from __future__ import annotations

from ticktrail.model.fields import Int64, Record

__all__ = ["Heartbeat"]


class Heartbeat(Record, frozen=True, kw_only=True, gc=False):
    """Written by capture to every partition, so that time passes there even where nothing trades.

    Parameters
    ----------
    ts_recv_ns
        Every record of `feed` that capture received before this time stands before this heartbeat in
        the same partition.
    """

    feed: str
    ts_recv_ns: Int64
