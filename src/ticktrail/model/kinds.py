"""The kinds of record and their numbers on the wire."""

from __future__ import annotations

from enum import IntEnum

from ticktrail.model.alert import Alert
from ticktrail.model.bar import Bar
from ticktrail.model.correction import Correction
from ticktrail.model.fields import Record
from ticktrail.model.gap import Gap
from ticktrail.model.heartbeat import Heartbeat
from ticktrail.model.quote import Quote
from ticktrail.model.status import Status
from ticktrail.model.trade import Trade

__all__ = ["KIND_OF", "RECORD_OF", "Kind"]


class Kind(IntEnum):
    """Field 1 of every message. Numbers are never reused."""

    TRADE = 1
    QUOTE = 2
    BAR = 3
    STATUS = 4
    CORRECTION = 5
    GAP = 6
    HEARTBEAT = 7
    ALERT = 8


RECORD_OF: dict[Kind, type[Record]] = {
    Kind.TRADE: Trade,
    Kind.QUOTE: Quote,
    Kind.BAR: Bar,
    Kind.STATUS: Status,
    Kind.CORRECTION: Correction,
    Kind.GAP: Gap,
    Kind.HEARTBEAT: Heartbeat,
    Kind.ALERT: Alert,
}
KIND_OF: dict[type[Record], Kind] = {record: kind for kind, record in RECORD_OF.items()}
