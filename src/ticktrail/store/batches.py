"""Tables as SQL and Arrow show them, and decoded pages in that form."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from ticktrail.clock import NS_PER_US
from ticktrail.codec.packing import TextPiece, pack_rows
from ticktrail.model import Array, column_dtypes
from ticktrail.store.decode import Decoded
from ticktrail.store.partitions import PartitionRef
from ticktrail.store.tables import BARS, TABLES, Table

__all__ = ["TS_TYPE", "arrow_array", "build_batch", "sources_of", "sql_schema"]

TS_TYPE = pa.timestamp("us", tz="UTC")
_DATE = pa.date32()
_ARROW_TYPES = {
    "i8": pa.int64(),
    "i4": pa.int32(),
    "f8": pa.float64(),
    "b1": pa.bool_(),
    "S0": pa.string(),
}


class _Column(NamedTuple):
    """A column of SQL: its type, and the decoded column it is made of (empty: the partition's own key)."""

    arrow_type: Any
    source: str


def sql_schema(table: Table) -> Any:
    """Give the Arrow schema in which SQL and Python see a table.

    `ts` is the event's time in UTC, floored to microseconds; `ts_event_ns` the same in full. The table's
    own `ts`, part of the key, is `ts_ns`. Bars have `ts` (opening) and `ts_close`, which are whole seconds.
    NaN, which says "none" in records, is NULL.
    """
    return pa.schema([(name, column.arrow_type) for name, column in _columns(table.name).items()])


def sources_of(table: Table, names: Sequence[str]) -> set[str]:
    """Name what must be decoded to build some of the columns of `sql_schema`."""
    columns = _columns(table.name)
    return {columns[name].source for name in names} - {""}


def build_batch(ref: PartitionRef, decoded: Decoded, names: Sequence[str], rows_count: int) -> Any:
    """Build an Arrow record batch.

    Parameters
    ----------
    ref
        Where the rows come from; it tells the key's columns.
    decoded
        At least `sources_of` these names.
    names
        Columns of `sql_schema`, in the order wanted.
    rows_count
        How many rows there are.
    """
    table = ref.day.table
    columns = _columns(table.name)
    keys = {
        "feed": ref.day.feed,
        "symbol": ref.symbol,
        "interval": ref.day.interval,
        "day": ref.day.day,
    }
    arrays = [
        arrow_array(decoded[column.source], column.arrow_type)
        if column.source
        else pa.repeat(pa.scalar(keys[name], column.arrow_type), rows_count)
        for name in names
        for column in (columns[name],)
    ]
    schema = pa.schema([(name, columns[name].arrow_type) for name in names])
    if not arrays:
        # A batch without columns has no other way to say how many rows it has.
        return pa.RecordBatch.from_struct_array(pa.array([{}] * rows_count, pa.struct([])))
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def arrow_array(column: Array | TextPiece, arrow_type: Any) -> Any:
    """Turn a decoded column into an Arrow array: nanoseconds into timestamps, NaN into null."""
    if isinstance(column, TextPiece):
        packed = pack_rows([column])
        offsets = pa.py_buffer(packed.offsets.astype(np.int32))
        return pa.StringArray.from_buffers(len(column.lengths), offsets, pa.py_buffer(packed.data))
    if arrow_type == TS_TYPE:
        return pa.array(column // NS_PER_US).view(TS_TYPE)
    if arrow_type == _DATE:
        return pa.array(column).view(_DATE)
    return pa.array(column, arrow_type, from_pandas=True)


@cache
def _columns(table_name: str) -> dict[str, _Column]:
    table = TABLES[table_name]
    types = {
        name: _ARROW_TYPES["S0" if dtype.kind == "S" else dtype.str[1:]]
        for name, dtype in column_dtypes(table.record).items()
    }
    text = pa.string()
    if table is BARS:
        first = {
            "feed": _Column(text, ""),
            "symbol": _Column(text, ""),
            "interval": _Column(text, ""),
            "day": _Column(_DATE, "day"),
            "ts": _Column(TS_TYPE, "ts"),
            "ts_close": _Column(TS_TYPE, "ts_close_ns"),
        }
        rest = [name for name in types if name not in first and not name.endswith("_ns")]
        return first | {name: _Column(types[name], name) for name in rest}
    first = {
        "feed": _Column(text, ""),
        "symbol": _Column(text, ""),
        "day": _Column(_DATE, ""),
        "ts": _Column(TS_TYPE, "ts_event_ns"),
    }
    # What only machines read stands last.
    last = {name: _Column(types[name], name) for name in ("ts_event_ns", "ts_recv_ns")}
    last |= {"ts_ns": _Column(pa.int64(), "ts"), "event_id": _Column(pa.int64(), "event_id")}
    middle = {name: _Column(types[name], name) for name in types if name not in first and name not in last}
    return first | middle | last
