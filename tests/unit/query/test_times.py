from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest

from ticktrail.errors import UsageError
from ticktrail.query.times import Moment, from_start, until_end

_NEW_YORK = ZoneInfo("America/New_York")
_TICKS = pa.table(
    {
        "n": [0, 1, 2],
        "ts": pa.array(
            [
                datetime(2026, 3, 9, 13, 29, 59, 999_999, tzinfo=UTC),
                datetime(2026, 3, 9, 13, 30, tzinfo=UTC),
                datetime(2026, 3, 10, 13, 30, tzinfo=UTC),
            ],
            pa.timestamp("us", tz="UTC"),
        ),
        "day": [date(2026, 3, 9), date(2026, 3, 9), date(2026, 3, 10)],
    }
)


def _passing(condition: Any) -> list[int]:
    numbers: list[int] = _TICKS.filter(condition).column("n").to_pylist()
    return numbers


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2026, 3, 9, 13, 30, tzinfo=UTC),
        datetime(2026, 3, 9, 9, 30, tzinfo=_NEW_YORK),
        datetime(2026, 3, 9, 19, 0, tzinfo=timezone(timedelta(hours=5, minutes=30))),
        "2026-03-09T13:30:00Z",
        "2026-03-09T09:30:00-04:00",
        "2026-03-09 09:30-04:00",
    ],
)
def test_an_instant_is_inside_as_start_and_outside_as_end(moment: Moment) -> None:
    assert _passing(from_start(moment)) == [1, 2]
    assert _passing(until_end(moment)) == [0]


@pytest.mark.parametrize("day", [date(2026, 3, 9), "2026-03-09"])
def test_a_date_is_a_trading_date_and_inside_on_both_ends(day: Moment) -> None:
    assert _passing(from_start(day)) == [0, 1, 2]
    assert _passing(until_end(day)) == [0, 1]


@pytest.mark.parametrize("moment", [datetime(2026, 3, 9, 13, 30), "2026-03-09T13:30:00"])  # noqa: DTZ001
def test_a_time_without_a_zone_is_refused(moment: Moment) -> None:
    with pytest.raises(UsageError) as caught:
        from_start(moment)

    assert "has no time zone" in caught.value.what
    assert "2026-03-09" in caught.value.what


@pytest.mark.parametrize("moment", ["yesterday", "2026-13-01", "", 1_395_671_400, None])
def test_what_is_no_time_is_refused(moment: Any) -> None:
    with pytest.raises(UsageError) as caught:
        until_end(moment)

    assert caught.value.what.startswith("end=")
