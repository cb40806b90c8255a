from __future__ import annotations

import math
from datetime import UTC, date, datetime

import numpy as np
import pyarrow as pa

from ticktrail.codec.packing import TextPiece
from ticktrail.model import column_names
from ticktrail.store import BARS, TABLES, TRADES, DayRef, PartitionRef, sql_schema
from ticktrail.store.batches import build_batch, sources_of

_REF = PartitionRef(DayRef("trades", "sim", 20_521), "BRK.B", 1430)


def test_every_field_of_a_record_can_be_asked_for() -> None:
    renamed = {"ts_open_ns": "ts", "ts_close_ns": "ts_close"}
    for table in TABLES.values():
        expected = {renamed.get(name, name) for name in column_names(table.record)} | {"ts"}
        assert set(sql_schema(table).names) == expected


def test_nothing_but_the_key_is_decoded_for_what_the_key_tells() -> None:
    assert sources_of(TRADES, ["feed", "symbol", "day"]) == set()
    assert sources_of(TRADES, ["ts"]) == {"ts_event_ns"}
    assert sources_of(BARS, ["ts", "interval"]) == {"ts"}


def test_times_are_floored_to_microseconds_also_before_1970() -> None:
    batch = build_batch(_REF, {"ts_event_ns": np.array([1_999, -1])}, ["ts", "ts_event_ns"], 2)

    assert batch.column("ts").to_pylist() == [
        datetime(1970, 1, 1, microsecond=1, tzinfo=UTC),
        datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    ]
    assert batch.column("ts_event_ns").to_pylist() == [1_999, -1]


def test_nan_is_null_and_key_columns_are_repeated() -> None:
    text = TextPiece.of(np.array([b"XNAS", b""]))
    batch = build_batch(
        _REF,
        {"price": np.array([math.nan, 2.5]), "venue": text},
        ["symbol", "price", "venue", "day", "feed"],
        2,
    )

    assert batch.to_pydict() == {
        "symbol": ["BRK.B"] * 2,
        "price": [None, 2.5],
        "venue": ["XNAS", ""],
        "day": [date(2026, 3, 9)] * 2,
        "feed": ["sim"] * 2,
    }
    batch.validate(full=True)


def test_no_columns_still_count_rows() -> None:
    assert build_batch(_REF, {}, [], 3).num_rows == 3
    assert isinstance(build_batch(_REF, {}, [], 3), pa.RecordBatch)
