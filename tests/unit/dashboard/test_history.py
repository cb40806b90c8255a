"""Bars before an instant: the newest ones, each read once, however few there are."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from hypothesis import given
from hypothesis import strategies as st

from ticktrail.dashboard.answers import BAR_COLUMNS
from ticktrail.dashboard.history import bars_before

MINUTE_NS = 60 * 1_000_000_000
NOW_NS = int(datetime(2024, 3, 1, tzinfo=UTC).timestamp()) * 1_000_000_000


class Bars:
    """In the place of an engine: bars at some minutes before now, and how many rows were read."""

    def __init__(self, minutes_ago: set[int]) -> None:
        opens_us = [(NOW_NS - minute * MINUTE_NS) // 1_000 for minute in sorted(minutes_ago, reverse=True)]
        times = pa.array(opens_us, pa.timestamp("us", tz="UTC"))
        others = {name: pa.array([1.0] * len(opens_us), pa.float64()) for name in BAR_COLUMNS[2:]}
        self._rows = pa.table({"ts": times, "ts_close": times, **others})
        self.taken = 0

    def read(self, _table: str, *, start: datetime, end: datetime, columns: list[str], **_: Any) -> Any:
        ts = self._rows["ts"]
        is_within = pc.and_(pc.greater_equal(ts, pa.scalar(start)), pc.less(ts, pa.scalar(end)))
        found = self._rows.filter(is_within).select(columns)
        self.taken += len(found)
        return found


@given(st.sets(st.integers(0, 5_000_000), max_size=60), st.integers(1, 80))
def test_they_are_the_newest_ones_and_each_is_read_once(minutes_ago: set[int], count: int) -> None:
    bars: Any = Bars(minutes_ago)

    found = bars_before(bars, "f", "A", "1m", NOW_NS, count)

    newest = sorted(minute for minute in minutes_ago if minute > 0)[:count]
    assert found["ts_open_ns"].to_pylist() == [NOW_NS - minute * MINUTE_NS for minute in reversed(newest)]
    assert bars.taken <= len(minutes_ago)
