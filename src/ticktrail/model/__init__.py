"""Records, their identity, and the rules of the tapes."""

from ticktrail.model.alert import Alert
from ticktrail.model.bar import INTERVALS_NS, Bar
from ticktrail.model.columns import Array, Columns
from ticktrail.model.correction import Correction
from ticktrail.model.fields import TEXT_BYTES_MAX, Record, column_dtypes, column_names
from ticktrail.model.flags import Flag
from ticktrail.model.gap import MISSING_UNKNOWN, Gap
from ticktrail.model.heartbeat import Heartbeat
from ticktrail.model.kinds import KIND_OF, RECORD_OF, Kind
from ticktrail.model.quote import Quote
from ticktrail.model.status import Status
from ticktrail.model.trade import NO_SEQUENCE, Trade

__all__ = [
    "INTERVALS_NS",
    "KIND_OF",
    "MISSING_UNKNOWN",
    "NO_SEQUENCE",
    "RECORD_OF",
    "TEXT_BYTES_MAX",
    "Alert",
    "Array",
    "Bar",
    "Columns",
    "Correction",
    "Flag",
    "Gap",
    "Heartbeat",
    "Kind",
    "Quote",
    "Record",
    "Status",
    "Trade",
    "column_dtypes",
    "column_names",
]
