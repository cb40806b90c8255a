"""Quantiles, merging and buckets of latencies, against NumPy on the full data."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from hypothesis import example, given
from hypothesis import strategies as st

from ticktrail.telemetry import LatencyHistogram

# Log-uniform, so that every doubling is met: 1 ns to two hours, and the negatives of clock skew.
LATENCY_NS = st.one_of(
    st.builds(lambda exponent, part: int(2**exponent * (1 + part)), st.integers(0, 42), st.floats(0, 1)),
    st.integers(-(10**9), -1),
)
ABOVE_NS = 2**32 * 1_000  # 71 minutes: no buckets beyond
LATENCIES_NS = st.lists(LATENCY_NS, min_size=1, max_size=200).map(lambda v: np.array(v, dtype=np.int64))


def histogram(latencies_ns: npt.NDArray[np.int64]) -> LatencyHistogram:
    result = LatencyHistogram()
    result.observe_ns(latencies_ns)
    return result


@example(np.array([2**42, 2**43]), 0.0)
@given(LATENCIES_NS, st.integers(0, 64).map(lambda n: n / 64))
def test_a_quantile_is_within_five_percent(latencies_ns: npt.NDArray[np.int64], q: float) -> None:
    exact_ns = float(np.quantile(latencies_ns, q, method="inverted_cdf"))
    answer_ns = histogram(latencies_ns).quantile_ns(q)
    if exact_ns < 0:
        assert answer_ns == 0.0
    elif exact_ns >= ABOVE_NS:
        assert answer_ns == latencies_ns.max()
    else:
        assert abs(answer_ns - exact_ns) <= max(0.05 * exact_ns, 500)


@given(LATENCIES_NS, st.integers(0, 200))
def test_batches_do_not_matter(latencies_ns: npt.NDArray[np.int64], cut: int) -> None:
    whole = histogram(latencies_ns)
    merged = histogram(latencies_ns[:cut]) + histogram(latencies_ns[cut:])
    assert merged.count == whole.count == len(latencies_ns)
    assert merged.negative == int((latencies_ns < 0).sum())
    assert (merged.min_ns, merged.max_ns) == (whole.min_ns, whole.max_ns)
    assert merged.cumulative_seconds() == whole.cumulative_seconds()
    assert np.isclose(merged.sum_ns, whole.sum_ns, rtol=1e-12)


@example(np.array([2**42, 2**43]), 0, 0.0)
@given(LATENCIES_NS, st.integers(0, 200), st.integers(0, 64).map(lambda n: n / 64))
def test_what_came_since_is_told_from_what_was_before(
    latencies_ns: npt.NDArray[np.int64], cut: int, q: float
) -> None:
    since = histogram(latencies_ns) - histogram(latencies_ns[:cut])
    later = latencies_ns[cut:]
    assert (since.count, since.negative) == (len(later), int((later < 0).sum()))
    assert since.cumulative_seconds() == histogram(later).cumulative_seconds()
    if len(later):
        exact_ns = max(0.0, float(np.quantile(later, q, method="inverted_cdf")))
        answer_ns = since.quantile_ns(q)
        is_above = exact_ns >= ABOVE_NS
        assert answer_ns >= exact_ns if is_above else abs(answer_ns - exact_ns) <= max(0.05 * exact_ns, 500)
    else:
        assert np.isnan(since.quantile_ns(q))


@given(LATENCIES_NS)
def test_exported_buckets_are_exact(latencies_ns: npt.NDArray[np.int64]) -> None:
    for doubling, (_, below) in enumerate(histogram(latencies_ns).cumulative_seconds()):
        edge_ns = 1_000 << doubling
        assert below == int(((latencies_ns >= 0) & (latencies_ns < edge_ns)).sum())
