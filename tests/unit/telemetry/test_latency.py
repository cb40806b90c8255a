"""The histogram against exact arithmetic on the observations themselves."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from ticktrail.telemetry import LatencyHistogram

DECADE_NS = 315_360_000 * 1_000_000_000


def histogram(*latencies_ns: int) -> LatencyHistogram:
    result = LatencyHistogram()
    result.observe_ns(np.array(latencies_ns, dtype=np.int64))
    return result


def test_nothing_observed() -> None:
    empty = histogram()
    assert (empty.count, empty.negative, empty.sum_ns) == (0, 0, 0.0)
    assert empty.min_ns is None
    assert math.isnan(empty.quantile_ns(0.5))


def test_count_sum_and_extremes_are_exact() -> None:
    seen = histogram(5_000, 1_000, 3_000_000_000)
    assert (seen.count, seen.sum_ns, seen.min_ns, seen.max_ns) == (3, 3_000_006_000.0, 1_000, 3_000_000_000)


def test_negative_latencies_have_a_bucket_of_their_own() -> None:
    seen = histogram(-5_000, -1, 0, 2_000)
    assert (seen.count, seen.negative, seen.min_ns) == (4, 2, -5_000)
    assert seen.sum_ns == 2_000.0
    assert seen.quantile_ns(0.5) == 0.0
    assert seen.quantile_ns(1.0) == 2_000.0


@pytest.mark.parametrize("doubling", range(32))
def test_a_boundary_belongs_to_the_bucket_above_it(doubling: int) -> None:
    edge_ns = 1_000 << doubling
    below = dict(histogram(edge_ns - 1).cumulative_seconds())
    at = dict(histogram(edge_ns).cumulative_seconds())
    bound_s = min(below, key=lambda s: abs(s - edge_ns / 1e9))
    assert math.isclose(bound_s, edge_ns / 1e9)
    assert (below[bound_s], at[bound_s]) == (1, 0)


def test_beyond_the_last_bucket_the_exact_maximum_answers() -> None:
    seen = histogram(2 * DECADE_NS)
    assert seen.quantile_ns(0.5) == 2.0 * DECADE_NS
    assert seen.cumulative_seconds()[-1][1] == 0


def test_decades_do_not_overflow_the_sum() -> None:
    n = 1_000
    seen = histogram(*[5 * DECADE_NS] * n)
    assert math.isclose(seen.sum_ns, 5.0 * DECADE_NS * n)


def test_sums_of_histograms() -> None:
    assert histogram(1_000, 5) + histogram(-7, 9_000) == histogram(1_000, 5, -7, 9_000)
    assert histogram() + histogram(5) == histogram(5)


def test_it_goes_through_json() -> None:
    seen = histogram(-7, 5, 1_000, 123_456_789, 2 * DECADE_NS)
    assert LatencyHistogram.from_dict(json.loads(json.dumps(seen.to_dict()))) == seen


def test_another_form_is_refused() -> None:
    with pytest.raises(ValueError, match="form 2"):
        LatencyHistogram.from_dict({**histogram(5).to_dict(), "form": 2})


@pytest.mark.parametrize("q", [-0.1, 1.1, math.nan])
def test_a_quantile_lies_between_0_and_1(q: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        histogram(5).quantile_ns(q)
