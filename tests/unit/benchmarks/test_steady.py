"""What is told of a process's memory, on series whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.steady import told

TIMES_S = np.arange(0.0, 1_800.0, 5.0)


def test_a_steady_process_is_flat_whatever_its_peaks() -> None:
    memory = np.full(len(TIMES_S), 120.0)
    memory[::7] = 180.0
    result = told(TIMES_S, memory, 300)
    assert result == {
        "first_mib": pytest.approx(memory[:36].mean(), abs=0.05),
        "last_mib": pytest.approx(memory[-36:].mean(), abs=0.05),
        "max_mib": 180.0,
        "slope_mib_per_hour": 0.0,
        "is_flat": True,
        "limit_mib": 300,
        "is_within": True,
    }


def test_a_leak_is_seen() -> None:
    memory = 100.0 + TIMES_S * (24.0 / 3_600)
    result = told(TIMES_S, memory, 105)
    assert result["slope_mib_per_hour"] == pytest.approx(24.0)
    assert (result["is_flat"], result["is_within"]) == (False, False)


def test_what_has_no_limit_is_told_without_one() -> None:
    assert "is_within" not in told(TIMES_S, np.full(len(TIMES_S), 50.0), None)
