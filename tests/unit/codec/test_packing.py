"""Rows of unequal length built and read without loops, against plain loops."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ticktrail.codec.packing import TextPiece, gather_text, pack_rows, text_lengths

# Bytes inside a text are anything but NUL, which NumPy uses as padding.
words = st.binary(max_size=9).map(lambda word: word.replace(b"\0", b"."))


def column(values: list[bytes], width: int = 0) -> np.ndarray:
    return np.array(values, dtype=f"S{width}" if width else "S")


def numbers(values: list[int]) -> np.ndarray:
    return np.array(values, dtype=">i4").view(np.uint8).reshape(len(values), 4)


@given(st.lists(st.tuples(st.integers(-(2**31), 2**31 - 1), words, words), min_size=1), st.integers(0, 20))
def test_rows_are_their_pieces_joined(rows: list[tuple[int, bytes, bytes]], extra_width: int) -> None:
    firsts, lefts, rights = (list(each) for each in zip(*rows, strict=True))
    wide = column(lefts, max(1, *map(len, lefts)) + extra_width)
    packed = pack_rows([numbers(firsts), TextPiece.of(wide), TextPiece.of(column(rights))])
    expected = [first.to_bytes(4, "big", signed=True) + left + right for first, left, right in rows]
    assert packed.rows() == expected
    assert packed.data.tobytes() == b"".join(expected)
    assert packed.offsets.tolist() == [len(b"".join(expected[:count])) for count in range(len(rows) + 1)]


def test_texts_of_full_width_need_no_mask() -> None:
    packed = pack_rows([TextPiece.of(column([b"ab", b"cd"])), numbers([1, 2])])
    assert packed.rows() == [b"ab\0\0\0\1", b"cd\0\0\0\2"]


def test_every_second_row_of_a_column_is_a_column() -> None:
    assert pack_rows([TextPiece.of(column([b"a", b"no", b"bcd", b"no"])[::2])]).rows() == [b"a", b"bcd"]


def test_no_rows() -> None:
    packed = pack_rows([numbers([]), TextPiece.of(column([]))])
    assert packed.rows() == []
    assert packed.offsets.tolist() == [0]


@given(st.binary(min_size=1, max_size=60).map(lambda data: data.replace(b"\0", b".")), st.data())
def test_gathered_texts_are_slices(data: bytes, draw: st.DataObject) -> None:
    ends = st.tuples(st.integers(0, len(data)), st.integers(0, len(data))).map(sorted)
    spans = draw.draw(st.lists(ends))
    starts = np.array([start for start, _ in spans], dtype=np.int64)
    lengths = np.array([end - start for start, end in spans], dtype=np.int64)
    gathered = gather_text(np.frombuffer(data, dtype=np.uint8), starts, lengths)
    assert gathered.tolist() == [data[start:end] for start, end in spans]


def test_nothing_gathered_from_nothing() -> None:
    nothing = np.empty(0, dtype=np.int64)
    assert gather_text(np.empty(0, dtype=np.uint8), nothing, nothing).tolist() == []


@given(st.lists(words))
def test_lengths_count_bytes(values: list[bytes]) -> None:
    assert text_lengths(column(values, 12)).tolist() == [len(value) for value in values]
