from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticktrail.feeds.text import cut_text, distinct_codes, fits_column, text_column
from ticktrail.model import TEXT_BYTES_MAX

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=140)


@given(st.lists(texts, max_size=10))
def test_what_fits_comes_back_from_the_column(values: list[str]) -> None:
    fitting = [value for value in values if fits_column(value)]
    assert fitting == [v for v in values if "\0" not in v and len(v.encode()) <= TEXT_BYTES_MAX]
    assert [text.decode() for text in text_column(fitting).tolist()] == fitting


def test_columns_are_as_wide_as_their_longest_value() -> None:
    assert text_column(["a", "bcd", ""]).dtype == "S3"
    assert text_column(["é"]).dtype == "S2"
    assert len(text_column([])) == 0


@pytest.mark.parametrize("value", ["\0", "a\0", "x" * 128, "é" * 64, "\ud800"])
def test_what_no_column_can_hold(value: str) -> None:
    assert not fits_column(value)


@given(texts)
def test_a_cut_text_fits_and_is_the_beginning(value: str) -> None:
    cut = cut_text(value)
    assert fits_column(cut)
    assert value.replace("\0", " ").startswith(cut)
    assert cut == value or "\0" in value or len(cut.encode()) > TEXT_BYTES_MAX - 4


@given(st.lists(st.integers(0, 5)))
def test_codes_spread_the_distinct_keys_back(rows: list[int]) -> None:
    keys, codes = distinct_codes(iter(rows))
    assert [keys[code] for code in codes.tolist()] == rows
    assert keys == list(dict.fromkeys(rows))
