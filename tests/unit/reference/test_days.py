"""Trading dates of whole columns against zoneinfo, row by row, at the edges of daylight saving time."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticktrail.reference import date_of_day, day_of_date, local_midnight_ns, trading_days, utc_offsets_ns

NEW_YORK = "America/New_York"
ZONES = [
    NEW_YORK,
    "UTC",
    "Europe/London",
    "Asia/Kolkata",  # half an hour
    "Asia/Kathmandu",  # a quarter
    "Australia/Lord_Howe",  # daylight saving time of half an hour
    "America/Sao_Paulo",  # changed at midnight
    "Pacific/Apia",  # skipped 2011-12-30
]
SECOND_NS = 10**9
DAY_NS = 86_400 * SECOND_NS


def local(ts_ns: int, zone: str) -> datetime:
    """What a clock on the wall shows; to the second, which is all that dates need."""
    return datetime.fromtimestamp(ts_ns // SECOND_NS, UTC).astimezone(ZoneInfo(zone))


def expected_day(ts_ns: int, zone: str) -> int:
    return local(ts_ns, zone).date().toordinal() - date(1970, 1, 1).toordinal()


def instant_ns(*ymd_hms: int, zone: str = "UTC") -> int:
    # In integers: a float holds the nanoseconds of today only to about 200.
    moment = datetime(*ymd_hms, tzinfo=ZoneInfo(zone))  # type: ignore[misc,arg-type]
    return int(moment.timestamp()) * SECOND_NS


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize(
    "noon",
    [
        (2026, 3, 8),  # New York goes forward
        (2026, 11, 1),  # and back
        (2026, 3, 29),  # London
        (2026, 4, 5),  # Lord Howe
        (2018, 11, 4),  # Sao Paulo
        (2011, 12, 30),  # Apia
        (2024, 2, 29),
        (1969, 12, 31),
        (1999, 12, 31),
    ],
)
def test_every_minute_around_a_change(zone: str, noon: tuple[int, int, int]) -> None:
    middle_ns = instant_ns(*noon, 12)
    ts_ns = middle_ns + 60 * SECOND_NS * np.arange(-1_500, 1_500)
    # One nanosecond before each minute, too.
    ts_ns = np.concatenate([ts_ns, ts_ns - 1])
    assert trading_days(ts_ns, zone).tolist() == [expected_day(int(t), zone) for t in ts_ns]


@pytest.mark.parametrize("zone", ZONES)
def test_offsets(zone: str) -> None:
    ts_ns = instant_ns(2026, 1, 1) + 3_600 * SECOND_NS * np.arange(0, 24 * 365, 7)
    expected = [local(int(t), zone).utcoffset() or timedelta() for t in ts_ns]
    assert utc_offsets_ns(ts_ns, zone).tolist() == [int(o.total_seconds()) * SECOND_NS for o in expected]


@given(
    st.lists(st.integers(-(2**61), 2**62), max_size=20),
    st.sampled_from(ZONES),
)
def test_any_times_in_any_order(times_ns: list[int], zone: str) -> None:
    # From 1896 on: offsets of mean solar time, before zones, are no whole quarters of an hour.
    days = trading_days(np.array(times_ns, dtype=np.int64), zone).tolist()
    assert days == [expected_day(ts_ns, zone) for ts_ns in times_ns]


def test_a_session_has_one_date_though_utc_has_two() -> None:
    # Post-market in New York ends at 20:00, which is the next day in UTC.
    evening_ns = instant_ns(2026, 1, 5, 19, 59, 59, zone=NEW_YORK)
    assert trading_days(np.array([evening_ns]), NEW_YORK).tolist() == [day_of_date(date(2026, 1, 5))]
    assert trading_days(np.array([evening_ns]), "UTC").tolist() == [day_of_date(date(2026, 1, 6))]


def test_no_times_no_days() -> None:
    none = trading_days(np.array([], dtype=np.int64), NEW_YORK)
    assert (none.dtype, none.tolist()) == (np.dtype(np.int32), [])


def test_absurd_times_still_have_a_date() -> None:
    extremes = np.array([-(2**63), 2**63 - 1])
    assert len(trading_days(extremes, NEW_YORK)) == 2


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("day", [date(2026, 1, 5), date(2026, 3, 8), date(2026, 11, 1), date(2018, 11, 4)])
def test_a_date_begins_at_its_local_midnight(day: date, zone: str) -> None:
    begin_ns = local_midnight_ns(day, zone)
    number = day_of_date(day)
    assert trading_days(np.array([begin_ns - 1, begin_ns]), zone).tolist() == [number - 1, number]


def test_days_with_a_change_are_23_and_25_hours() -> None:
    def hours(day: date) -> float:
        begin_ns = local_midnight_ns(day, NEW_YORK)
        return (local_midnight_ns(day + timedelta(days=1), NEW_YORK) - begin_ns) / (3_600 * SECOND_NS)

    assert hours(date(2026, 3, 8)) == 23
    assert hours(date(2026, 11, 1)) == 25
    assert hours(date(2026, 7, 4)) == 24


@given(st.dates())
def test_numbers_of_days(day: date) -> None:
    assert day_of_date(day) == day.toordinal() - 719_163
    assert date_of_day(day_of_date(day)) == day
