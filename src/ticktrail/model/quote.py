"""A best bid and offer."""

from __future__ import annotations

from ticktrail.model.fields import Int32, Int64, Record
from ticktrail.model.trade import NO_SEQUENCE

__all__ = ["Quote"]


class Quote(Record, frozen=True, kw_only=True, gc=False):
    """The best bid and ask of a venue, or of the whole market, from one instant on.

    Identity and times are those of `ticktrail.model.trade.Trade`. A side that does not exist has price
    0 and size 0. Vendors give quotes no ids: identical content at one instant is one state, so
    `event_id` is a hash of the content (for files, the row number).

    Parameters
    ----------
    bid_price, ask_price
        Per share or unit, in the instrument's currency.
    bid_size, ask_size
        Shares or units, also where the vendor counts round lots (``Flag.ROUND_LOTS`` says that the
        vendor gave lots that could not be converted).
    bid_venue, ask_venue
        ISO 10383 MIC of each side.
    conditions
        The vendor's quote conditions, comma-separated, as received.
    """

    feed: str
    symbol: str
    day: Int32
    ts_ns: Int64
    event_id: Int64
    ts_event_ns: Int64
    ts_recv_ns: Int64
    bid_price: float
    bid_size: float
    ask_price: float
    ask_size: float
    sequence: Int64 = NO_SEQUENCE
    flags: Int32 = 0
    bid_venue: str = ""
    ask_venue: str = ""
    tape: str = ""
    conditions: str = ""
