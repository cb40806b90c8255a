"""Sessions of US equities: usual days, early closes, holidays, changes of the clocks."""

from __future__ import annotations

import subprocess
import sys
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pytest

from ticktrail.reference import ROUND_THE_CLOCK, SESSION_NAMES, US_EQUITIES, session_codes, sessions


def new_york(*texts: str) -> npt.NDArray[np.int64]:
    zone = ZoneInfo("America/New_York")
    return np.array(
        [round(datetime.fromisoformat(t).replace(tzinfo=zone).timestamp() * 1e3) * 1_000_000 for t in texts],
        dtype=np.int64,
    )


@pytest.mark.parametrize(
    ("instant", "session"),
    [
        ("2013-10-07T03:59:59.999", "closed"),
        ("2013-10-07T04:00", "pre"),
        ("2013-10-07T09:29:59.999", "pre"),
        ("2013-10-07T09:30", "regular"),
        ("2013-10-07T15:59:59.999", "regular"),
        ("2013-10-07T16:00", "post"),
        ("2013-10-07T19:59:59.999", "post"),
        ("2013-10-07T20:00", "closed"),
        ("2013-10-05T12:00", "closed"),  # Saturday
        ("2024-07-04T12:00", "closed"),  # Independence Day
        ("2024-12-25T10:00", "closed"),
        ("2025-01-09T12:00", "closed"),  # day of mourning for President Carter
        ("2024-11-29T12:59:59.999", "regular"),  # the day after Thanksgiving closes at 13:00
        ("2024-11-29T13:00", "post"),
        ("2024-11-29T16:59:59.999", "post"),
        ("2024-11-29T17:00", "closed"),
        ("2024-03-08T09:30", "regular"),  # the Friday before and the Monday after the clocks change
        ("2024-03-11T09:29", "pre"),
        ("2024-03-11T09:30", "regular"),
        ("2024-11-04T09:30", "regular"),
        ("2024-11-04T04:00", "pre"),
        ("2024-11-04T03:59", "closed"),
        ("1971-03-01T12:00", "regular"),
    ],
)
def test_session_of_an_instant(instant: str, session: str) -> None:
    assert sessions(new_york(instant), US_EQUITIES).tolist() == [session.encode()]


def test_whole_columns_mix_days_and_need_no_order() -> None:
    instants = new_york("2013-10-08T09:31", "2013-10-06T09:31", "2013-10-07T17:00", "2013-10-07T05:00")
    assert sessions(instants, US_EQUITIES).tolist() == [b"regular", b"closed", b"post", b"pre"]
    assert [SESSION_NAMES[code] for code in session_codes(instants, US_EQUITIES)] == [
        "regular",
        "closed",
        "post",
        "pre",
    ]


def test_venues_without_a_calendar_never_close() -> None:
    instants = new_york("2013-10-05T03:00", "2024-12-25T23:59")
    assert sessions(instants, ROUND_THE_CLOCK).tolist() == [b"regular"] * 2


@pytest.mark.parametrize("ts_ns", [-(2**62), -1, 2**62, 4_200_000_000_000_000_000])
def test_absurd_times_are_closed(ts_ns: int) -> None:
    assert sessions(np.array([ts_ns]), US_EQUITIES).tolist() == [b"closed"]


def test_no_instants() -> None:
    assert len(sessions(np.empty(0, dtype=np.int64), US_EQUITIES)) == 0


def test_the_calendar_is_imported_only_when_it_is_needed_and_without_warnings() -> None:
    program = (
        "import sys, numpy as np\n"
        "from ticktrail.reference import US_EQUITIES, sessions\n"
        "assert 'pandas' not in sys.modules\n"
        "sessions(np.array([0]), US_EQUITIES)\n"
        "assert 'pandas' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)
