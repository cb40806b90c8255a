"""Percentiles of latencies: over all of a run, and of each interval of it.

A percentile is the observation of rank ``ceil(q n)``, so that it is a latency that some trade had. Those that
come from a stage's histogram are within 3.2 % of it (`ticktrail.telemetry.LatencyHistogram`).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from ticktrail.clock import NS_PER_MS
from ticktrail.telemetry import LatencyHistogram

__all__ = ["OVER_TIME", "Summary", "histogram_over_time", "histogram_summary", "over_time", "summary"]

Summary = dict[str, float | int | None]

_QUANTILES = {"p50_ms": 0.5, "p90_ms": 0.9, "p99_ms": 0.99, "p99_9_ms": 0.999, "max_ms": 1.0}
# What is told of each interval.
OVER_TIME = ("p50_ms", "p99_ms")


def summary(latencies_ns: npt.NDArray[np.int64]) -> Summary:
    """Give count and percentiles; None where there is nothing. Shape ``(n,)``, nanoseconds."""
    if not len(latencies_ns):
        return {"count": 0, **dict.fromkeys(_QUANTILES)}
    values = np.quantile(latencies_ns, list(_QUANTILES.values()), method="inverted_cdf")
    rounded = (_ms(value) for value in values)
    return {"count": len(latencies_ns), **dict(zip(_QUANTILES, rounded, strict=True))}


def histogram_summary(histogram: LatencyHistogram) -> Summary:
    """Give the same of what a stage observed."""
    if not histogram.count:
        return {"count": 0, **dict.fromkeys(_QUANTILES)}
    return {
        "count": histogram.count,
        **{name: _ms(histogram.quantile_ns(q)) for name, q in _QUANTILES.items()},
    }


def over_time(
    at_ns: npt.NDArray[np.int64],
    latencies_ns: npt.NDArray[np.int64],
    bounds_ns: Sequence[int],
) -> dict[str, list[float | int | None]]:
    """Give percentiles of each interval.

    Parameters
    ----------
    at_ns, latencies_ns
        Shape ``(n,)``: when each observation began, in any order, and how long it took.
    bounds_ns
        Where the intervals begin, and where the last one ends.

    Returns
    -------
    Per name of `OVER_TIME` a value per interval; None where nothing was observed.
    """
    order = np.argsort(at_ns, kind="stable")
    cuts = np.searchsorted(at_ns[order], bounds_ns)
    return _columns([summary(latencies_ns[order[begin:end]]) for begin, end in pairwise(cuts)])


def histogram_over_time(states: Sequence[LatencyHistogram]) -> dict[str, list[float | int | None]]:
    """Give the same from a histogram's states at the intervals' bounds."""
    return _columns([histogram_summary(later - earlier) for earlier, later in pairwise(states)])


def _columns(summaries: Sequence[Summary]) -> dict[str, list[float | int | None]]:
    return {name: [each[name] for each in summaries] for name in OVER_TIME}


def _ms(value_ns: float) -> float:
    return round(float(value_ns) / NS_PER_MS, 2)
