"""Percentiles of a run and of its intervals, against sorted lists."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks.percentiles import histogram_over_time, histogram_summary, over_time, summary
from ticktrail.telemetry import LatencyHistogram

QUANTILES = {"p50_ms": 0.5, "p90_ms": 0.9, "p99_ms": 0.99, "p99_9_ms": 0.999, "max_ms": 1.0}
NOTHING = {"count": 0, **dict.fromkeys(QUANTILES)}


def _ranked_ms(latencies_ns: list[int], q: float) -> float:
    return sorted(latencies_ns)[math.ceil(q * len(latencies_ns)) - 1] / 1e6


@pytest.mark.parametrize("count", [1, 2, 10, 1_000, 1_234])
def test_a_percentile_is_an_observation_of_its_rank(count: int) -> None:
    latencies_ns = np.random.default_rng(count).integers(0, 10**9, count)
    told = summary(latencies_ns)
    assert told.pop("count") == count
    assert told == {name: round(_ranked_ms(latencies_ns.tolist(), q), 2) for name, q in QUANTILES.items()}


def test_nothing_has_no_percentiles() -> None:
    assert summary(np.empty(0, np.int64)) == NOTHING
    assert histogram_summary(LatencyHistogram()) == NOTHING


def test_a_histogram_tells_the_same_within_its_buckets() -> None:
    latencies_ns = np.random.default_rng(1).integers(10**6, 10**8, 5_000)
    histogram = LatencyHistogram()
    histogram.observe_ns(latencies_ns)
    told = histogram_summary(histogram)
    assert told["count"] == 5_000
    for name, q in QUANTILES.items():
        assert told[name] == pytest.approx(_ranked_ms(latencies_ns.tolist(), q), rel=0.033)


def test_intervals_hold_what_began_in_them() -> None:
    # Out of order, one at a bound, one before and one behind all intervals.
    at_ns = np.array([25, 3, 12, 10, 99, 1, 5])
    latencies_ns = np.array([7, 3, 4, 2, 50, 60, 1]) * 10**6
    told = over_time(at_ns, latencies_ns, [2, 10, 20, 22, 30])
    assert told == {"p50_ms": [1, 2, None, 7], "p99_ms": [3, 4, None, 7]}


def test_intervals_of_a_histogram_are_what_came_between_its_states() -> None:
    histogram, states = LatencyHistogram(), [LatencyHistogram()]
    for latency_ms in (10, None, 1_000):
        if latency_ms is not None:
            histogram.observe_ns(np.full(100, latency_ms * 10**6))
        states.append(histogram + LatencyHistogram())
    (first, nothing, last) = histogram_over_time(states)["p99_ms"]
    assert first == pytest.approx(10, rel=0.033)
    assert nothing is None
    assert last == pytest.approx(1_000, rel=0.033)
