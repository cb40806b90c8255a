"""What holds for every kind of record."""

from __future__ import annotations

import numpy as np
import pytest

from ticktrail.model import INTERVALS_NS, KIND_OF, RECORD_OF, Flag, Kind, Record, column_dtypes, column_names

RECORDS = list(RECORD_OF.values())


def test_every_kind_has_its_record_and_back() -> None:
    assert set(RECORD_OF) == set(Kind)
    assert {KIND_OF[record]: record for record in RECORDS} == RECORD_OF
    assert set(RECORDS) == set(Record.__subclasses__())


def test_numbers_of_kinds_are_those_on_the_wire() -> None:
    # Stored in Kafka for as long as topics live: a failure here means old messages become unreadable.
    assert {kind.name: kind.value for kind in Kind} == {
        "TRADE": 1,
        "QUOTE": 2,
        "BAR": 3,
        "STATUS": 4,
        "CORRECTION": 5,
        "GAP": 6,
        "HEARTBEAT": 7,
        "ALERT": 8,
    }


def test_bits_of_flags_are_those_that_are_stored() -> None:
    assert {flag.name: flag.value for flag in Flag} == {
        "UPDATES_LAST": 1,
        "UPDATES_HIGH_LOW": 2,
        "UPDATES_VOLUME": 4,
        "SNAPSHOT": 8,
        "NO_RECV_TIME": 16,
        "ROUNDED": 32,
        "SUSPICIOUS": 64,
        "ROUND_LOTS": 128,
    }


@pytest.mark.parametrize("record", RECORDS)
def test_columns_are_the_fields_in_their_order(record: type[Record]) -> None:
    assert tuple(column_dtypes(record)) == column_names(record) == record.__struct_fields__


@pytest.mark.parametrize("record", RECORDS)
def test_times_are_64_bit_nanoseconds_and_days_32_bit(record: type[Record]) -> None:
    for name, dtype in column_dtypes(record).items():
        if name.endswith("_ns"):
            assert dtype == np.dtype("<i8"), name
        if name == "day":
            assert dtype == np.dtype("<i4"), name


@pytest.mark.parametrize("record", RECORDS)
def test_columns_have_a_type_of_the_wire(record: type[Record]) -> None:
    assert {dtype.str for dtype in column_dtypes(record).values()} <= {"<i8", "<i4", "<f8", "|b1", "|S0"}


@pytest.mark.parametrize("record", RECORDS)
def test_every_record_knows_its_feed_and_when_it_came(record: type[Record]) -> None:
    names = column_names(record)
    assert "feed" in names
    # Bars and alerts are made, not received.
    assert {"ts_recv_ns", "ts_close_ns", "recorded_ns"} & set(names)


def test_intervals_are_what_their_names_say() -> None:
    seconds = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
    for name, length_ns in INTERVALS_NS.items():
        assert length_ns == int(name[:-1]) * seconds[name[-1]] * 10**9
