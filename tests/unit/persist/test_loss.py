"""What Kafka deleted before it was stored, and the warning long before."""

from __future__ import annotations

import pytest
import structlog

from ticktrail.bus import Partition
from ticktrail.errors import RecordsLost
from ticktrail.persist.loss import LagWatch, gap_of
from ticktrail.testing import FakeClock

HERE, THERE = Partition("t", 0), Partition("t", 1)
HOUR_S = 3_600


def loss(first: int, end: int) -> RecordsLost:
    return RecordsLost(what="lost", topic="t", partition=3, first=first, end=end)


def test_a_gap_reaches_from_the_last_stored_record_to_now() -> None:
    gap = gap_of(loss(10, 25), "86400001", 90_000 * 10**9)
    assert (gap.feed, gap.channel, gap.day) == ("*", "t/3", 1)
    assert (gap.from_ns, gap.to_ns) == (86_400_001 * 10**6, 90_000 * 10**9)
    assert (gap.cause, gap.state, gap.missing) == ("retention", "permanent", 15)


def test_of_a_truncated_log_nobody_knows_how_much_is_missing() -> None:
    gap = gap_of(loss(25, 10), "", 1)
    assert (gap.cause, gap.missing, gap.from_ns) == ("truncation", -1, 0)


def test_the_age_is_that_of_the_partition_furthest_behind() -> None:
    clock = FakeClock()
    watch = LagWatch(168, clock)
    watch.take(HERE, clock.now_ns() // 10**6 - 5_000)
    watch.take(THERE, clock.now_ns() // 10**6 - 9_000)
    assert watch.age_s({HERE: 1, THERE: 1}) == pytest.approx(9)
    assert watch.age_s({HERE: 1, THERE: 0}) == pytest.approx(5)
    assert watch.age_s({HERE: 1}) == pytest.approx(5)
    assert watch.age_s({HERE: 0}) == 0
    assert watch.age_s({HERE: 1, THERE: 1}) == pytest.approx(5), "the other was given up meanwhile"


def test_past_half_of_the_retention_it_warns_now_and_then() -> None:
    clock = FakeClock()
    watch = LagWatch(10, clock)
    watch.take(HERE, clock.now_ns() // 10**6)
    with structlog.testing.capture_logs() as logs:
        clock.advance(4.9 * HOUR_S)
        watch.age_s({HERE: 1})
        assert not logs
        for _ in range(30):
            clock.advance(60)
            watch.age_s({HERE: 1})
    assert [each["event"] for each in logs] == ["persist.behind"] * 3
    assert "Kafka deletes it after 10" in logs[0]["detail"]
