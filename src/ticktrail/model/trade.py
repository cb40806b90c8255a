"""A trade as the venue reported it."""

from __future__ import annotations

from ticktrail.model.fields import Int32, Int64, Record

__all__ = ["NO_SEQUENCE", "Trade"]

# Vendors number from 0 or from 1; none numbers below.
NO_SEQUENCE = -1


class Trade(Record, frozen=True, kw_only=True, gc=False):
    """One execution.

    The primary key of the store, and so the trade's identity, is ``(feed, symbol, day, slot, ts_ns,
    event_id)``, where the slot follows from `ts_ns`. Two records with one identity are one trade.

    Parameters
    ----------
    feed
        Where the record came from: ``"alpaca"``. Feeds never mix, even for one symbol.
    symbol
        Canonical spelling: ``"BRK.B"``.
    day
        The venue's trading date, in days since 1970-01-01.
    ts_ns
        `ts_event_ns` floored to the resolution that all paths of this feed share.
    event_id
        64 bits that tell trades of one `ts_ns` apart, the same on every path, rising in the venue's
        order where it can (see `ticktrail.model.identity`).
    ts_event_ns
        The venue's time: nanoseconds since 1970 in UTC.
    ts_recv_ns
        When capture received it, same unit. Files carry none: there it equals `ts_event_ns` and
        ``Flag.NO_RECV_TIME`` is set.
    price
        Per share or unit, in the instrument's currency.
    size
        Shares or units.
    sequence
        The vendor's number within its channel, or `NO_SEQUENCE`.
    flags
        Bits of `ticktrail.model.flags.Flag`.
    venue
        ISO 10383 MIC: ``"XNAS"``; empty where the vendor names none.
    tape
        ``"A"``, ``"B"`` (CTA) or ``"C"`` (UTP); empty outside the US consolidated tapes.
    side
        The aggressor: ``"B"`` buyer, ``"S"`` seller, ``"N"`` not known.
    conditions
        The vendor's sale conditions, comma-separated, as received.
    trade_id
        The vendor's id as text; empty where it gives none.
    """

    feed: str
    symbol: str
    day: Int32
    ts_ns: Int64
    event_id: Int64
    ts_event_ns: Int64
    ts_recv_ns: Int64
    price: float
    size: float
    sequence: Int64 = NO_SEQUENCE
    flags: Int32 = 0
    venue: str = ""
    tape: str = ""
    side: str = "N"
    conditions: str = ""
    trade_id: str = ""
