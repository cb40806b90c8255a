from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticktrail.feeds.decimals import rounded_rows


@given(st.integers(1, 10**15 - 1), st.integers(-8, 12))
def test_fifteen_digits_are_never_flagged(digits: int, point: int) -> None:
    value = float(Decimal(digits).scaleb(-point))
    assert rounded_rows(np.array([value])).tolist() == [False]


@given(st.lists(st.floats(0, 1e12), max_size=20))
def test_exactly_the_floats_that_need_more_digits_are_flagged(values: list[float]) -> None:
    survives = [float(f"{value:.14e}") == value for value in values]
    assert rounded_rows(np.array(values, dtype=np.float64)).tolist() == [not ok for ok in survives]


@pytest.mark.parametrize(
    ("text", "flagged"),
    [
        ("187.15", False),
        ("0", False),
        ("389.06263900000003", True),
        ("0.1234567890123456", True),
        ("5e-324", False),
    ],
)
def test_texts_of_venues(text: str, flagged: bool) -> None:
    assert rounded_rows(np.array([float(text)])).tolist() == [flagged]
