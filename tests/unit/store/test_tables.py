"""The keys of the tables, against the calendar of Python's datetime."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticktrail.model import Bar, Columns, Trade
from ticktrail.store.tables import BARS, TRADES, bucket_days, dataset_of, misfit_of, slots_of

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
WIDTHS_MINUTES = [5, 15, 60, 1440]

TRADE = Trade(
    feed="sim",
    symbol="AAPL",
    day=20_000,
    ts_ns=1_728_000_000_000_000_000,
    event_id=7,
    ts_event_ns=1_728_000_000_000_000_000,
    ts_recv_ns=1_728_000_000_000_000_000,
    price=1.0,
    size=1.0,
)
BAR = Bar(
    feed="sim",
    symbol="AAPL",
    interval="1m",
    day=20_000,
    ts_open_ns=0,
    ts_close_ns=60_000_000_000,
    open=1.0,
    high=1.0,
    low=1.0,
    close=1.0,
    volume=1.0,
    vwap=1.0,
    trades=1,
    session="regular",
)


@given(st.integers(-(2**63), 2**63 - 1), st.sampled_from(WIDTHS_MINUTES))
def test_a_slot_is_named_by_its_start(ts_ns: int, width: int) -> None:
    instant = EPOCH + timedelta(microseconds=ts_ns // 1_000)
    minute = (instant.hour * 60 + instant.minute) // width * width
    (slot,) = slots_of(np.array([ts_ns]), width).tolist()
    assert slot == int(f"{minute // 60:02d}{minute % 60:02d}")


def test_slots_leave_the_times_alone() -> None:
    ts_ns = np.array([1, 2, 3])
    slots_of(ts_ns, 15)
    assert ts_ns.tolist() == [1, 2, 3]


@given(st.dates(), st.sampled_from(["1s", "1m", "5m", "1h", "1d"]))
def test_a_bucket_is_dated_by_its_first_day(day: date, interval: str) -> None:
    first = {"s": day, "m": day.replace(day=1), "h": day.replace(month=1, day=1)}
    expected = first["h" if interval in {"1h", "1d"} else interval[-1]]
    (bucket,) = bucket_days(interval, np.array([(day - EPOCH.date()).days], dtype=np.int32)).tolist()
    assert EPOCH.date() + timedelta(days=bucket) == expected


def test_bars_of_several_intervals_have_each_its_own_bucket() -> None:
    day = (date(2026, 3, 17) - EPOCH.date()).days
    intervals = ["1d", "1s", "1m", "1d"]
    columns = Columns.from_records(
        Bar, [msgspec.structs.replace(BAR, interval=each, day=day) for each in intervals]
    )
    buckets = BARS.keys(columns, 1440)["bucket"].tolist()
    firsts = [date(2026, 1, 1), date(2026, 3, 17), date(2026, 3, 1), date(2026, 1, 1)]
    assert [EPOCH.date() + timedelta(days=each) for each in buckets] == firsts


def test_datasets_tell_intervals_apart() -> None:
    assert [dataset_of(TRADES), dataset_of(BARS, "1m")] == ["trades", "bars:1m"]


@pytest.mark.parametrize(
    ("day", "fits"),
    [(date.min, True), (date(1969, 12, 31), True), (date.max, True)],
)
def test_every_date_of_python_fits(day: date, fits: bool) -> None:
    trade = msgspec.structs.replace(TRADE, day=(day - EPOCH.date()).days)
    assert (misfit_of(Columns.from_records(Trade, [TRADE, trade])) == "") is fits


@pytest.mark.parametrize("day", [-(2**31), -719_163, 2_932_897, 2**31 - 1])
def test_days_without_a_date_do_not(day: int) -> None:
    columns = Columns.from_records(Trade, [TRADE, msgspec.structs.replace(TRADE, day=day), TRADE])
    assert "day" in misfit_of(columns)


@pytest.mark.parametrize("interval", ["7m", "", "1M", "ü"])
def test_bars_of_unknown_length_do_not(interval: str) -> None:
    columns: Columns[Any] = Columns.from_records(Bar, [BAR, msgspec.structs.replace(BAR, interval=interval)])
    assert "unknown interval" in misfit_of(columns)
