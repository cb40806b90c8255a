"""What the latency benchmark makes of what it has seen."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from benchmarks.latency import Seen, Sent, interval_s, targets
from benchmarks.latency_probe import partition_of
from benchmarks.percentiles import Summary


def _sent(ts_event_ns: list[int], sent_ns: list[int]) -> Sent:
    return Sent(np.array(ts_event_ns), np.array(sent_ns), np.zeros(len(sent_ns), np.bool_))


def test_trades_are_matched_by_their_own_time() -> None:
    sent = _sent([10, 20, 20, 30], [15, 25, 25, 35])
    # Seen in another order; 40 was sent outside of the measured time, 5 before it.
    sent_ns, latencies_ns = sent.latencies(
        Seen(np.array([30, 20, 40, 5, 20]), np.array([99, 40, 50, 51, 45]))
    )
    assert sent_ns.tolist() == [35, 25, 25]
    assert latencies_ns.tolist() == [64, 15, 20]


def test_nothing_sent_matches_nothing() -> None:
    sent_ns, latencies_ns = _sent([], []).latencies(Seen(np.array([1]), np.array([2])))
    assert len(sent_ns) == len(latencies_ns) == 0


def test_the_measured_time_begins_at_its_bound_and_ends_before_it() -> None:
    sent = _sent([1, 2, 3, 4], [10, 20, 30, 40]).between(20, 40)
    assert sent.ts_event_ns.tolist() == [2, 3]


@pytest.mark.parametrize(("seconds", "expected"), [(1, 1), (15, 1), (60, 1), (61, 2), (600, 10), (3_600, 60)])
def test_intervals_are_whole_seconds_and_few(seconds: int, expected: int) -> None:
    assert interval_s(seconds) == expected


def _results(read_back: Summary, acknowledged: Summary, kafka: Summary) -> dict[str, Summary]:
    return {"cassandra_read_back": read_back, "cassandra_acknowledged": acknowledged, "kafka": kafka}


def test_targets_are_held_against_the_worse_figure() -> None:
    results = _results({"p50_ms": 20, "p99_ms": 201}, {"p50_ms": 49, "p99_ms": 90}, {"p99_ms": 29.9})
    told = targets(results, is_complete=True)
    assert told["cassandra_p50_ms"] == {"below": 50, "measured": 49, "is_met": True}
    assert told["cassandra_p99_ms"] == {"below": 200, "measured": 201, "is_met": False}
    assert told["kafka_p99_ms"]["is_met"]


def test_no_target_is_met_while_trades_are_missing() -> None:
    results = _results({"p50_ms": 1, "p99_ms": 1}, {"p50_ms": 1, "p99_ms": 1}, {"p99_ms": 1})
    assert not any(told["is_met"] for told in targets(results, is_complete=False).values())


def test_a_figure_that_is_missing_meets_nothing() -> None:
    results = _results({"p50_ms": 1, "p99_ms": 1}, {"p50_ms": None, "p99_ms": None}, {"p99_ms": None})
    assert not any(told["is_met"] for told in targets(results, is_complete=True).values())


@pytest.mark.parametrize(
    ("ts_s", "partition"),
    [
        (1_795_424_400, (date(2026, 11, 23), 900)),  # 2026-11-23 09:00:00 UTC, 04:00 in New York
        (1_795_424_400 + 899, (date(2026, 11, 23), 900)),
        (1_795_424_400 + 900, (date(2026, 11, 23), 915)),
        (1_795_424_400 - 5 * 3_600, (date(2026, 11, 22), 400)),  # 04:00 UTC is 23:00 of the day before
        (1_795_424_400 - 4 * 3_600, (date(2026, 11, 23), 500)),  # and 05:00 UTC is midnight
    ],
)
def test_partitions_are_named_as_the_table_has_them(ts_s: int, partition: tuple[date, int]) -> None:
    assert partition_of(ts_s * 10**9 + 1) == partition
