"""The ledger of gaps as Arrow tables."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from ticktrail.model import MISSING_UNKNOWN
from ticktrail.reference import date_of_day
from ticktrail.store.batches import TS_TYPE, arrow_array
from ticktrail.store.decode import decode_page
from ticktrail.store.pages import PageStream
from ticktrail.store.partitions import DayRef
from ticktrail.store.session import StoreSession
from ticktrail.store.tables import GAPS

__all__ = ["GAPS_SCHEMA", "read_gaps"]

_TEXT, _INT = pa.string(), pa.int64()
# Name in SQL → decoded column.
_SOURCES = {
    "channel": "channel",
    "from_ts": "from_ns",
    "to_ts": "to_ns",
    "cause": "cause",
    "state": "state",
    "missing": "missing",
    "detail": "detail",
    "from_ns": "from_ns",
    "to_ns": "to_ns",
    "ts_recv_ns": "ts_recv_ns",
}
GAPS_SCHEMA = pa.schema(
    [
        ("feed", _TEXT),
        ("day", pa.date32()),
        ("channel", _TEXT),
        ("from_ts", TS_TYPE),
        ("to_ts", TS_TYPE),
        ("cause", _TEXT),
        ("state", _TEXT),
        ("missing", _INT),
        ("detail", _TEXT),
        ("from_ns", _INT),
        ("to_ns", _INT),
        ("ts_recv_ns", _INT),
    ]
)


def read_gaps(session: StoreSession, day: DayRef) -> Any:
    """Read a feed's gaps of one day, in the order of their beginnings, in `GAPS_SCHEMA`.

    Where it is not known how many records are missing, `missing` is NULL.

    Raises
    ------
    TicktrailError
        The store cannot be read.
    """
    prepared = session.prepare("SELECT from_ns, channel, cause, gap FROM gaps WHERE feed = ? AND day = ?")
    batches = []
    for page in PageStream(session, prepared, (day.feed, date_of_day(day.day))):
        if not page.rows_count:
            continue
        decoded = decode_page(page, GAPS, set(_SOURCES.values()))
        arrays = {
            name: arrow_array(decoded[source], GAPS_SCHEMA.field(name).type)
            for name, source in _SOURCES.items()
        }
        missing = np.asarray(decoded["missing"])
        arrays["missing"] = pa.array(missing, _INT, mask=missing == MISSING_UNKNOWN)
        arrays["feed"] = pa.repeat(pa.scalar(day.feed, _TEXT), page.rows_count)
        arrays["day"] = pa.repeat(pa.scalar(date_of_day(day.day), pa.date32()), page.rows_count)
        batches.append(pa.RecordBatch.from_arrays([arrays[n] for n in GAPS_SCHEMA.names], schema=GAPS_SCHEMA))
    return pa.Table.from_batches(batches, schema=GAPS_SCHEMA)
