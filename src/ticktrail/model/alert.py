"""What a rule found."""

from __future__ import annotations

from ticktrail.model.fields import Int32, Int64, Record

__all__ = ["Alert"]


class Alert(Record, frozen=True, kw_only=True, gc=False):
    """A rule's condition came true.

    Everything in it follows from the rule and the log, so that whoever comes to the same place in the log
    writes the same alert.

    Parameters
    ----------
    id
        The time and a hash of rule, symbol and what set it off, in hexadecimal: two alerts with one id are
        one alert.
    rule, rule_kind
        The rule's name and kind.
    symbol
        ``"*"`` where the whole feed is meant.
    ts_ns
        The event's time: nanoseconds since 1970 in UTC.
    recorded_ns
        The log's time of the record that set it off, same unit.
    value, threshold
        What was seen, and what it was held against; their unit is the kind's. NaN where there is none.
    is_quiet
        1 within the rule's quiet hours: recorded, and nobody is notified.
    severity
        ``"info"``, ``"warning"`` or ``"critical"``.
    notify
        Names of the targets, comma-separated.
    message
        For people.
    """

    id: str
    rule: str
    rule_kind: str
    feed: str
    symbol: str
    ts_ns: Int64
    recorded_ns: Int64
    value: float
    threshold: float
    is_quiet: Int32 = 0
    severity: str = "warning"
    notify: str = ""
    message: str = ""
