"""The bits of a record's `flags`."""

from __future__ import annotations

from enum import IntFlag

__all__ = ["Flag"]


class Flag(IntFlag):
    """What is known of a record besides its fields. Bits are never renumbered: they are stored."""

    # What the sale conditions allow the trade to do, by the tape's rules. Bars read only these three.
    UPDATES_LAST = 1 << 0
    UPDATES_HIGH_LOW = 1 << 1
    UPDATES_VOLUME = 1 << 2

    # A state sent now and then (Yahoo), not a trade: the size is the rise of the day's volume.
    SNAPSHOT = 1 << 3
    # Read from a file that has no receive times: `ts_recv_ns` repeats `ts_event_ns`.
    NO_RECV_TIME = 1 << 4
    # A decimal number of more than 15 significant digits: float64 holds the nearest.
    ROUNDED = 1 << 5
    # The source itself marks the record as doubtful.
    SUSPICIOUS = 1 << 6
    # Sizes are in round lots whose unit the source does not tell.
    ROUND_LOTS = 1 << 7
