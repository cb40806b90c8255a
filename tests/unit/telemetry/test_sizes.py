"""Sizes in powers of two, added, taken apart and kept."""

from __future__ import annotations

import json
import math

import pytest

from ticktrail.telemetry import SizeHistogram

SIZES = [0, 1, 1, 2, 3, 4, 5, 8, 9, 1_000, 1_024, 1_025, 2**20, 2**20 + 1, 2**40]


def of(sizes: list[int]) -> SizeHistogram:
    histogram = SizeHistogram()
    for size in sizes:
        histogram.observe(size)
    return histogram


def test_each_power_of_two_counts_what_is_at_most_that() -> None:
    found = of(SIZES).cumulative()
    assert found == [(2**n, sum(size <= 2**n for size in SIZES)) for n in range(21)]
    assert found[-1][1] == of(SIZES).count - 2, "two are above them all"


def test_the_mean_is_exact() -> None:
    histogram = of(SIZES)
    assert histogram.mean == pytest.approx(sum(SIZES) / len(SIZES))
    assert (histogram.count, histogram.total) == (len(SIZES), sum(SIZES))
    assert math.isnan(SizeHistogram().mean)


def test_processes_are_added_and_earlier_states_taken_away() -> None:
    assert of(SIZES) + of([7, 7]) == of([*SIZES, 7, 7])
    assert of([*SIZES, 7, 7]) - of(SIZES) == of([7, 7])


def test_it_survives_json() -> None:
    assert SizeHistogram.from_dict(json.loads(json.dumps(of(SIZES).to_dict()))) == of(SIZES)


def test_a_negative_size_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="negative"):
        SizeHistogram().observe(-1)
