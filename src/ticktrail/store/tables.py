"""What each table is made of: keys, the frozen type, and how both follow from a record's columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt

from ticktrail.model import Array, Bar, Columns, Correction, Gap, Quote, Record, Status, Trade, column_dtypes
from ticktrail.reference import day_of_date

__all__ = [
    "BARS",
    "CORRECTIONS",
    "GAPS",
    "LATEST_QUOTES",
    "LATEST_TRADES",
    "QUOTES",
    "STATUS",
    "TABLES",
    "TABLE_OF",
    "TRADES",
    "Table",
    "bucket_days",
    "dataset_of",
    "misfit_of",
    "slots_of",
]

_MINUTE_NS = 60_000_000_000

# What a Python date can say, and so what any reader can name. CQL's own dates reach farther.
_DAY_MIN, _DAY_MAX = day_of_date(date.min), day_of_date(date.max)

# How long a stretch of days one partition of bars covers.
_BUCKET_UNITS = {"1s": "D", "1m": "M", "5m": "M", "1h": "Y", "1d": "Y"}

KeyColumns = dict[str, Array]


@dataclass(frozen=True, kw_only=True)
class Table:
    """One table of the hot tier.

    Parameters
    ----------
    name
        In CQL.
    record
        What its rows are.
    partition, clustering
        Key columns with their CQL types, in the order of the primary key.
    value, value_type
        The column that holds all other fields, and its frozen type.
    fields
        Fields of that type in their order: numbers, then texts.
    keys
        Computes the key columns from records and the slot's width in minutes. Dates are days since 1970.
    """

    name: str
    record: type[Record]
    partition: Mapping[str, str]
    clustering: Mapping[str, str]
    value: str
    value_type: str
    fields: tuple[str, ...]
    keys: Callable[[Columns[Any], int], KeyColumns]

    @property
    def insert(self) -> str:
        """The statement that writes one row; its last parameter is the write time in microseconds."""
        names = (*self.partition, *self.clustering, self.value)
        places = ", ".join("?" * len(names))
        return f"INSERT INTO {self.name} ({', '.join(names)}) VALUES ({places}) USING TIMESTAMP ?"  # noqa: S608


def slots_of(ts_ns: npt.NDArray[np.int64], slot_minutes: int) -> npt.NDArray[np.int16]:
    """Name the slot of each time: its start in UTC as hhmm. Shapes ``(n,)``."""
    minutes = ts_ns // _MINUTE_NS % 1440
    minutes -= minutes % slot_minutes
    result: npt.NDArray[np.int16] = (minutes // 60 * 100 + minutes % 60).astype(np.int16)
    return result


def bucket_days(interval: str, days: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """Date the partition of bars: their day (1s), its month's first (1m, 5m) or its year's (1h, 1d).

    A partition then holds at most some 20,000 bars, and a chart's usual range needs few partitions.
    """
    unit = _BUCKET_UNITS[interval]
    dates = days.astype("datetime64[D]").astype(f"datetime64[{unit}]").astype("datetime64[D]")
    result: npt.NDArray[np.int32] = dates.astype(np.int32)
    return result


def misfit_of(columns: Columns[Any]) -> str:
    """Say why some of these records can have no key; empty where all can."""
    days = columns["day"]
    if days.min() < _DAY_MIN or days.max() > _DAY_MAX:
        return f"a day is not from {date.min} to {date.max}"
    if columns.record is Bar:
        unknown = {each.decode() for each in np.unique(columns["interval"]).tolist()} - _BUCKET_UNITS.keys()
        if unknown:
            return f"unknown interval {', '.join(sorted(unknown))}"
    return ""


def dataset_of(table: Table, interval: str = "") -> str:
    """Name a dataset in the tables `days` and `partitions`."""
    return f"{table.name}:{interval}" if interval else table.name


def _tick_keys(columns: Columns[Any], slot_minutes: int) -> KeyColumns:
    return {
        "feed": columns["feed"],
        "symbol": columns["symbol"],
        "day": columns["day"],
        "slot": slots_of(columns["ts_ns"], slot_minutes),
        "ts": columns["ts_ns"],
        "event_id": columns["event_id"],
    }


def _bar_keys(columns: Columns[Any], slot_minutes: int) -> KeyColumns:
    del slot_minutes
    bucket = np.empty(len(columns), dtype=np.int32)
    for interval in np.unique(columns["interval"]):
        rows = columns["interval"] == interval
        bucket[rows] = bucket_days(interval.decode(), columns["day"][rows])
    return {
        "feed": columns["feed"],
        "symbol": columns["symbol"],
        "interval": columns["interval"],
        "bucket": bucket,
        "ts": columns["ts_open_ns"],
    }


def _gap_keys(columns: Columns[Any], slot_minutes: int) -> KeyColumns:
    del slot_minutes
    return {name: columns[name] for name in _GAP_KEYS}


def _latest_keys(columns: Columns[Any], slot_minutes: int) -> KeyColumns:
    del slot_minutes
    return {"feed": columns["feed"], "symbol": columns["symbol"]}


def _fields(record: type[Record], *keys: str) -> tuple[str, ...]:
    dtypes = column_dtypes(record)
    names = [name for name in dtypes if name not in keys]
    return tuple(sorted(names, key=lambda name: dtypes[name].kind == "S"))


_GAP_KEYS = ("feed", "day", "from_ns", "channel", "cause")
_TICK_PARTITION = {"feed": "text", "symbol": "text", "day": "date", "slot": "smallint"}
_TICK_CLUSTERING = {"ts": "bigint", "event_id": "bigint"}


def _tick_table(name: str, record: type[Record], value_type: str) -> Table:
    return Table(
        name=name,
        record=record,
        partition=_TICK_PARTITION,
        clustering=_TICK_CLUSTERING,
        value="tick",
        value_type=value_type,
        fields=_fields(record, "feed", "symbol", "day", "ts_ns", "event_id"),
        keys=_tick_keys,
    )


def _latest_table(record: type[Record], value: str) -> Table:
    return Table(
        name="latest",
        record=record,
        partition={"feed": "text"},
        clustering={"symbol": "text"},
        value=value,
        value_type=value,
        fields=_fields(record, "feed", "symbol", "day", "ts_ns", "event_id"),
        keys=_latest_keys,
    )


TRADES = _tick_table("trades", Trade, "trade")
QUOTES = _tick_table("quotes", Quote, "quote")
STATUS = _tick_table("status", Status, "status")
CORRECTIONS = _tick_table("corrections", Correction, "correction")
BARS = Table(
    name="bars",
    record=Bar,
    partition={"feed": "text", "symbol": "text", "interval": "text", "bucket": "date"},
    clustering={"ts": "bigint"},
    value="bar",
    value_type="bar",
    fields=_fields(Bar, "feed", "symbol", "interval", "ts_open_ns"),
    keys=_bar_keys,
)
GAPS = Table(
    name="gaps",
    record=Gap,
    partition={"feed": "text", "day": "date"},
    clustering={"from_ns": "bigint", "channel": "text", "cause": "text"},
    value="gap",
    value_type="gap",
    fields=_fields(Gap, *_GAP_KEYS),
    keys=_gap_keys,
)
LATEST_TRADES = _latest_table(Trade, "trade")
LATEST_QUOTES = _latest_table(Quote, "quote")

# Those that are read by symbol and time.
TABLES = {table.name: table for table in (TRADES, QUOTES, STATUS, CORRECTIONS, BARS)}
TABLE_OF = {table.record: table for table in (*TABLES.values(), GAPS)}
