"""How rows are ordered, cut into requests, and accounted for; the requests themselves: `test_frames`."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ticktrail.errors import Overloaded, TicktrailError
from ticktrail.store import BARS, TRADES, writer
from ticktrail.store.frames import BATCH_ROWS_MAX

# Sizes of the rows of each partition; some rows alone exceed the limit.
partitions = st.lists(
    st.lists(st.sampled_from([1, 10, 99, 100, 101, 500]), min_size=1, max_size=12), min_size=1, max_size=12
)


def cut(sizes: list[list[int]], limit: int) -> tuple[list[Any], list[int], list[int]]:
    """Cut rows of these sizes; give the batches, and the partition and size of each row."""
    flat = [size for rows in sizes for size in rows]
    owner = [number for number, rows in enumerate(sizes) for _ in rows]
    offsets = np.concatenate([[0], np.cumsum(flat)]).astype(np.int64)
    starts = np.cumsum([0, *map(len, sizes[:-1])]).astype(np.int64)
    return list(writer._cut(offsets, starts, limit)), owner, flat


@given(partitions, st.sampled_from([1, 100, 250, 10_000]))
def test_every_row_is_in_one_batch_in_order(sizes: list[list[int]], limit: int) -> None:
    batches, owner, _ = cut(sizes, limit)
    assert [row for batch in batches for row in range(batch.first, batch.last)] == list(range(len(owner)))
    assert all(batch.first < batch.last for batch in batches)


@given(partitions, st.sampled_from([1, 100, 250, 10_000]))
def test_batches_over_several_partitions_stay_below_the_limit(sizes: list[list[int]], limit: int) -> None:
    batches, owner, flat = cut(sizes, limit)
    for batch in batches:
        if len(set(owner[batch.first : batch.last])) > 1:
            assert sum(flat[batch.first : batch.last]) <= limit


@given(partitions)
def test_partitions_that_fit_are_not_torn(sizes: list[list[int]]) -> None:
    batches, owner, _ = cut(sizes, 250)
    for number, rows in enumerate(sizes):
        if sum(rows) <= 250:
            assert sum(number in owner[batch.first : batch.last] for batch in batches) == 1


def test_neighbours_share_a_batch_while_there_is_room() -> None:
    batches, _, _ = cut([[100], [100], [50], [1]], 250)
    assert [tuple(batch) for batch in batches] == [(0, 3), (3, 4)]


def test_a_large_partition_is_cut_by_bytes_and_by_rows() -> None:
    row_bytes = 60_000
    batches, _, flat = cut([[row_bytes] * 40], 100)
    sizes = [sum(flat[batch.first : batch.last]) for batch in batches]
    assert max(sizes) <= 256 * 1024
    assert len(sizes) == 40 / (256 * 1024 // row_bytes)
    batches, _, _ = cut([[1] * 200_000], 100)
    assert max(batch.last - batch.first for batch in batches) == BATCH_ROWS_MAX


def test_a_row_above_every_limit_goes_alone() -> None:
    batches, _, _ = cut([[1, 10**6, 1]], 100)
    assert [tuple(batch) for batch in batches] == [(0, 1), (1, 2), (2, 3)]


key_rows = st.lists(
    st.tuples(
        st.sampled_from([b"sim", b"lean"]),
        st.sampled_from([b"A", b"B", b"BRK.B"]),
        st.integers(0, 2),
        st.sampled_from([0, 1430]),
    ),
    min_size=1,
    max_size=30,
)


@given(key_rows)
def test_rows_of_a_partition_stand_together_in_their_order(rows: list[tuple[Any, ...]]) -> None:
    columns = {
        name: np.array(column) for name, column in zip(TRADES.partition, zip(*rows, strict=True), strict=True)
    }
    order, starts = writer._by_partition(TRADES, columns)
    assert sorted(order.tolist()) == list(range(len(rows)))
    ends = [*starts.tolist()[1:], len(rows)]
    groups = [order.tolist()[start:end] for start, end in zip(starts.tolist(), ends, strict=True)]
    found = {rows[group[0]]: group for group in groups}
    assert len(found) == len(groups)
    assert found == {row: [i for i, each in enumerate(rows) if each == row] for row in set(rows)}


def test_bars_are_told_apart_by_interval() -> None:
    columns = {
        "feed": np.array([b"sim"] * 3),
        "symbol": np.array([b"A"] * 3),
        "interval": np.array([b"1m", b"1s", b"1m"]),
        "bucket": np.array([1, 1, 1]),
    }
    order, starts = writer._by_partition(BARS, columns)
    assert (order.tolist(), starts.tolist()) == ([0, 2, 1], [0, 2])


ERROR = Overloaded(what="busy", service="Cassandra")


@given(st.permutations(range(5)), st.sets(st.integers(0, 4)), st.lists(st.integers(0, 4), max_size=4))
def test_one_report_when_the_last_answer_has_come(
    order: list[int], failing: set[int], again: list[int]
) -> None:
    reports: list[TicktrailError | None] = []
    outcome = writer._Outcome(5, reports.append)
    for count, number in enumerate(order):
        assert not reports
        assert outcome.answered(number, ERROR if number in failing else None)
        for earlier in again:
            if earlier in order[: count + 1]:
                assert not outcome.answered(earlier, None), "the driver may answer twice; only one counts"
    assert reports == [ERROR if failing else None]
