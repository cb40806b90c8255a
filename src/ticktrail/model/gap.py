"""A hole in a feed, and what became of it."""

from __future__ import annotations

from ticktrail.model.fields import Int32, Int64, Record

__all__ = ["MISSING_UNKNOWN", "Gap"]

MISSING_UNKNOWN = -1


class Gap(Record, frozen=True, kw_only=True, gc=False):
    """A window in which records of a feed may be missing.

    Its identity is ``(feed, day, from_ns, channel, cause)``; a later row of the same identity replaces it.

    Parameters
    ----------
    channel
        The symbol or channel that is meant; ``"*"`` for the whole feed.
    day
        The date of `from_ns` in UTC, in days since 1970-01-01.
    from_ns, to_ns
        The window in the venue's time, nanoseconds since 1970 in UTC; `to_ns` exclusive.
    ts_recv_ns
        When this was written.
    missing
        How many records are missing, or `MISSING_UNKNOWN`.
    cause
        ``"disconnect"``, ``"silence"``, ``"sequence"``, ``"overflow"``, ``"capture_down"``, ``"retention"``,
        ``"truncation"``.
    state
        ``"open"``, ``"repaired"`` or ``"permanent"``.
    detail
        For people: what was seen.
    """

    feed: str
    channel: str
    day: Int32
    from_ns: Int64
    to_ns: Int64
    ts_recv_ns: Int64
    missing: Int64 = MISSING_UNKNOWN
    cause: str
    state: str = "open"
    detail: str = ""
