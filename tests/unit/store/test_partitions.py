from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from ticktrail.reference import day_of_date, trading_days
from ticktrail.store import DayRef, bucket_end, day_span_ns, slot_spans_ns
from ticktrail.store.tables import slots_of


@pytest.mark.parametrize(
    ("dataset", "day", "end"),
    [
        ("trades", date(2026, 3, 9), date(2026, 3, 10)),
        ("bars:1s", date(2026, 3, 9), date(2026, 3, 10)),
        ("bars:1m", date(2026, 2, 1), date(2026, 3, 1)),
        ("bars:5m", date(2026, 12, 1), date(2027, 1, 1)),
        ("bars:1h", date(2024, 1, 1), date(2025, 1, 1)),
        ("bars:1d", date(2026, 1, 1), date(2027, 1, 1)),
    ],
)
def test_a_bucket_ends_where_the_next_begins(dataset: str, day: date, end: date) -> None:
    assert bucket_end(DayRef(dataset, "sim", day_of_date(day))) == day_of_date(end)


@pytest.mark.parametrize(
    "zone", ["America/New_York", "UTC", "Asia/Tokyo", "Pacific/Kiritimati", "Etc/GMT+12"]
)
@pytest.mark.parametrize("slot_minutes", [5, 15, 1440])
def test_every_time_lies_in_a_span_of_its_own_slot_and_day(zone: str, slot_minutes: int) -> None:
    # Every 7 minutes around the days on which clocks change in New York.
    for start in (datetime(2026, 3, 7, tzinfo=UTC), datetime(2026, 10, 31, tzinfo=ZoneInfo("UTC"))):
        ts_ns = int(start.timestamp()) * 10**9 + np.arange(600, dtype=np.int64) * 7 * 60 * 10**9
        days = trading_days(ts_ns, zone)
        slots = slots_of(ts_ns, slot_minutes)
        for ns, day, slot in zip(ts_ns.tolist(), days.tolist(), slots.tolist(), strict=True):
            ref = DayRef("trades", "sim", day)
            first, end = day_span_ns(ref)
            assert first <= ns < end
            assert any(low <= ns < high for low, high in slot_spans_ns(ref, slot, slot_minutes))
