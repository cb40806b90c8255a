"""Content hashes against an independent SplitMix64 in plain Python integers.

The ids are stored for ever, so the golden values below must never change: a change would make every
replay a second copy of what is stored.
"""

from __future__ import annotations

import struct

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ticktrail.model.identity import event_ids_from_content, event_ids_from_numbers, floor_ts_ns

MASK = (1 << 64) - 1
GOLDEN = 0x9E3779B97F4A7C15

INT64 = st.integers(-(2**63), 2**63 - 1)
FLOAT = st.floats(allow_nan=False)
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30).map(str.encode)
ROW = st.tuples(INT64, TEXT, FLOAT, TEXT)
ROWS = st.lists(ROW, min_size=1, max_size=8)

Row = tuple[int, bytes, float, bytes]


def mix(value: int) -> int:
    """One output of SplitMix64 (Steele, Lea, Flood 2014, figure 16)."""
    value = (value + GOLDEN) & MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & MASK
    return value ^ (value >> 31)


def reference(row: Row) -> int:
    """Hash one row as the docstring of `event_ids_from_content` says."""
    state = 0
    for value in row:
        if isinstance(value, bytes):
            words = [int.from_bytes(value[at : at + 8], "little") for at in range(0, len(value), 8)]
        elif isinstance(value, float):
            words = [int.from_bytes(struct.pack("<d", value + 0.0), "little")]
        else:
            words = [value & MASK]
        for word in words:
            state = mix(state ^ word)
        state = (state + GOLDEN) & MASK
    return mix(state) & (2**63 - 1)


def hashed(rows: list[Row], width: int = 0) -> list[int]:
    """Hash rows as columns; text columns are at least `width` bytes wide."""
    columns = []
    for index, values in enumerate(zip(*rows, strict=True)):
        if index in (1, 3):
            widest = max(width, 1, *(len(value) for value in values))
            columns.append(np.array(values, dtype=f"S{widest}"))
        else:
            columns.append(np.array(values, dtype=np.int64 if index == 0 else np.float64))
    return [int(event_id) for event_id in event_ids_from_content(columns)]


def test_mixer_is_splitmix64() -> None:
    # Published first outputs for the seed 1234567 (the state grows by GOLDEN at each step).
    outputs = [mix((1_234_567 + step * GOLDEN) & MASK) for step in range(3)]
    assert outputs == [6457827717110365317, 3203168211198807973, 9817491932198370423]


def test_ids_never_change() -> None:
    rows = [(1, b"AAPL", 187.25, b"@,I"), (-1, b"", -0.0, b"a text of more than eight bytes")]
    assert hashed(rows) == [reference(row) for row in rows]
    assert hashed(rows) == GOLDEN_IDS


GOLDEN_IDS = [6550176394145669295, 2499083733231960221]


@given(ROWS)
def test_ids_are_those_of_the_reference(rows: list[Row]) -> None:
    assert hashed(rows) == [reference(row) for row in rows]


@given(ROWS, st.integers(1, 64))
def test_batch_and_width_leave_no_trace(rows: list[Row], width: int) -> None:
    alone = [hashed([row])[0] for row in rows]
    assert hashed(rows, width) == alone


@given(ROWS)
def test_ids_sort_as_signed_64_bit(rows: list[Row]) -> None:
    assert all(0 <= event_id < 2**63 for event_id in hashed(rows))


@given(st.lists(ROW, min_size=2, max_size=8, unique_by=lambda row: (row[0], row[1], row[2] + 0.0, row[3])))
def test_different_content_has_different_ids(rows: list[Row]) -> None:
    assert len(set(hashed(rows))) == len(rows)


@given(st.lists(st.tuples(INT64, st.integers(0, 255)), min_size=1, max_size=20))
def test_numeric_ids(pairs: list[tuple[int, int]]) -> None:
    ids, codes = zip(*pairs, strict=True)
    made = event_ids_from_numbers(np.array(ids, dtype=np.int64), np.array(codes, dtype=np.uint8))
    for number, code, event_id in zip(ids, codes, made.tolist(), strict=True):
        assert event_id >= 0
        if 0 <= number < 2**55:
            assert event_id == number * 256 + code


@given(st.lists(INT64, min_size=1), st.sampled_from([1, 1_000, 1_000_000, 1_000_000_000]))
def test_floor_is_pythons(times_ns: list[int], resolution_ns: int) -> None:
    # Not below what 64 bits hold: no venue's time is within a second of the year 1677.
    times_ns = [max(ts_ns, -(2**63) + 10**9) for ts_ns in times_ns]
    floored = floor_ts_ns(np.array(times_ns), resolution_ns).tolist()
    assert floored == [ts_ns // resolution_ns * resolution_ns for ts_ns in times_ns]
