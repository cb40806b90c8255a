"""Event ids: the rules one by one. What must hold for all input is in tests/property/test_identity.py."""

from __future__ import annotations

import numpy as np
import pytest

from ticktrail.model.identity import (
    NUMERIC_ID_MAX,
    event_ids_from_content,
    event_ids_from_numbers,
    floor_ts_ns,
)

XNAS, ARCX = 14, 13


def from_numbers(*pairs: tuple[int, int]) -> list[int]:
    ids, codes = zip(*pairs, strict=True)
    made = event_ids_from_numbers(np.array(ids, dtype=np.int64), np.array(codes, dtype=np.uint8))
    return [int(event_id) for event_id in made]


def test_a_number_stands_above_its_venues_code() -> None:
    assert from_numbers((0, 0), (1, XNAS), (52_983, ARCX)) == [0, 256 + XNAS, 52_983 * 256 + ARCX]


def test_vendors_repeat_ids_between_venues() -> None:
    nasdaq, arca = from_numbers((7, XNAS), (7, ARCX))
    assert nasdaq != arca


def test_numbers_keep_their_order() -> None:
    made = from_numbers(*[(number, XNAS) for number in (1, 2, 1_000, NUMERIC_ID_MAX - 1, NUMERIC_ID_MAX)])
    assert made == sorted(made)


def test_the_largest_number_that_fits_is_kept_and_the_next_is_hashed() -> None:
    kept, hashed = from_numbers((NUMERIC_ID_MAX, 255), (NUMERIC_ID_MAX + 1, 255))
    assert kept == 2**63 - 1
    (expected,) = event_ids_from_content([np.array([NUMERIC_ID_MAX + 1]), np.array([255])])
    assert hashed == expected


@pytest.mark.parametrize("number", [-1, -(2**63), 2**63 - 1])
def test_any_number_has_a_non_negative_id(number: int) -> None:
    assert from_numbers((number, XNAS))[0] >= 0


def test_no_rows_no_ids() -> None:
    for column in (np.array([], dtype=np.int64), np.array([], dtype=np.float64), np.array([], dtype="S5")):
        assert event_ids_from_content([column]).tolist() == []
    assert event_ids_from_numbers(np.array([], np.int64), np.array([], np.uint8)).tolist() == []


def test_zero_has_one_sign() -> None:
    plus, minus = event_ids_from_content([np.array([0.0, -0.0])])
    assert plus == minus


def test_numbers_hash_by_value_not_by_width() -> None:
    narrow = event_ids_from_content([np.array([1, -2, 3], dtype=np.int32)])
    wide = event_ids_from_content([np.array([1, -2, 3], dtype=np.int64)])
    assert narrow.tolist() == wide.tolist()


def test_content_cannot_move_between_columns() -> None:
    texts = [[b"ab", b"c"], [b"a", b"bc"], [b"abc", b""], [b"", b"abc"]]
    columns = [np.array(column) for column in zip(*texts, strict=True)]
    assert len(set(event_ids_from_content(columns).tolist())) == len(texts)


@pytest.mark.parametrize(
    ("ts_ns", "resolution_ns", "expected_ns"),
    [
        (1_234_567_891, 1, 1_234_567_891),
        (1_234_567_891, 1_000_000, 1_234_000_000),
        (1_234_000_000, 1_000_000, 1_234_000_000),
        (-1, 1_000_000, -1_000_000),
    ],
)
def test_floor(ts_ns: int, resolution_ns: int, expected_ns: int) -> None:
    assert floor_ts_ns(np.array([ts_ns]), resolution_ns).tolist() == [expected_ns]
