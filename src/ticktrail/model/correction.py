"""Corrections and cancels of trades already reported."""

from __future__ import annotations

from ticktrail.model.fields import Int32, Int64, Record

__all__ = ["Correction"]


class Correction(Record, frozen=True, kw_only=True, gc=False):
    """What a venue says about a trade that it reported before.

    Travels in the trades topic under the trade's own key and may arrive before its trade. Trade rows are
    never rewritten; readers join.

    Parameters
    ----------
    action
        ``"correct"``, ``"cancel"`` or ``"error"`` (the trade should never have been reported).
    venue, trade_id
        The trade that is meant.
    original_event_id
        That trade's `event_id`, by the rule of its feed.
    original_price, original_size
        As first reported; NaN where the message does not repeat them.
    price, size, conditions, flags
        As they should have been; NaN and empty for a cancel.
    corrected_trade_id
        The id that the corrected trade carries from now on; empty for a cancel.
    """

    feed: str
    symbol: str
    day: Int32
    ts_ns: Int64
    event_id: Int64
    ts_event_ns: Int64
    ts_recv_ns: Int64
    original_event_id: Int64
    original_price: float
    original_size: float
    price: float
    size: float
    flags: Int32 = 0
    action: str = "correct"
    venue: str = ""
    tape: str = ""
    trade_id: str = ""
    corrected_trade_id: str = ""
    conditions: str = ""
