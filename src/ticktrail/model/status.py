"""Trading halts, resumptions and price bands."""

from __future__ import annotations

from ticktrail.model.fields import Int32, Int64, Record

__all__ = ["Status"]


class Status(Record, frozen=True, kw_only=True, gc=False):
    """A change of an instrument's trading state, or new limit-up/limit-down bands.

    Parameters
    ----------
    action
        ``"trading"``, ``"halt"``, ``"pause"``, ``"resume"``, ``"quote_only"``, ``"bands"`` or ``"other"``.
    reason
        The vendor's code and text, as received: ``"T12 Trading Halted"``.
    limit_up, limit_down
        The bands' prices; NaN where the message carries none.
    """

    feed: str
    symbol: str
    day: Int32
    ts_ns: Int64
    event_id: Int64
    ts_event_ns: Int64
    ts_recv_ns: Int64
    limit_up: float
    limit_down: float
    flags: Int32 = 0
    action: str = "other"
    reason: str = ""
    tape: str = ""
