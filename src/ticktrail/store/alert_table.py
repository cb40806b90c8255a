"""The alerts as Arrow tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ticktrail.clock import NS_PER_US
from ticktrail.store.alerts import AlertStore, StoredAlert
from ticktrail.store.batches import TS_TYPE
from ticktrail.store.session import StoreSession

__all__ = ["ALERTS_SCHEMA", "read_alerts"]

_TEXT, _INT, _NUMBER = pa.string(), pa.int64(), pa.float64()
ALERTS_SCHEMA = pa.schema(
    [
        ("ts", TS_TYPE),
        ("rule", _TEXT),
        ("rule_kind", _TEXT),
        ("feed", _TEXT),
        ("symbol", _TEXT),
        ("severity", _TEXT),
        ("value", _NUMBER),
        ("threshold", _NUMBER),
        ("message", _TEXT),
        ("is_quiet", pa.bool_()),
        ("notify", _TEXT),
        ("recorded_ts", TS_TYPE),
        ("acknowledged_ts", TS_TYPE),
        ("day", pa.date32()),
        ("id", _TEXT),
        ("ts_ns", _INT),
        ("recorded_ns", _INT),
        ("acknowledged_ns", _INT),
    ]
)


def read_alerts(session: StoreSession) -> Iterator[Any]:
    """Read all alerts, the newest day first: Arrow tables in `ALERTS_SCHEMA`. NaN is NULL.

    Raises
    ------
    TicktrailError
        The store cannot be read.
    """
    store = AlertStore(session)
    for day in store.days():
        yield _table(store.read_day(day))


def _table(found: list[StoredAlert]) -> Any:
    times_ns = {
        "ts": [each.alert.ts_ns for each in found],
        "recorded": [each.alert.recorded_ns for each in found],
        "acknowledged": [each.acknowledged_ns for each in found],
    }
    arrays = {f"{name}_ns": pa.array(values, _INT) for name, values in times_ns.items()}
    for name in times_ns:
        micros = pc.divide(arrays[f"{name}_ns"], NS_PER_US)
        arrays["ts" if name == "ts" else f"{name}_ts"] = micros.view(TS_TYPE)
    arrays["day"] = pc.cast(arrays["ts"], pa.timestamp("us")).cast(pa.date32())
    arrays["is_quiet"] = pa.array([bool(each.alert.is_quiet) for each in found])
    for name in set(ALERTS_SCHEMA.names) - set(arrays):
        values = [getattr(each.alert, name) for each in found]
        arrays[name] = pa.array(values, ALERTS_SCHEMA.field(name).type, from_pandas=True)
    return pa.table([arrays[name] for name in ALERTS_SCHEMA.names], schema=ALERTS_SCHEMA)
