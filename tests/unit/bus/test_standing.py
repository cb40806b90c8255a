"""A member that reads no more, though it should."""

from __future__ import annotations

import pytest

from ticktrail.bus.standing import Standing

S = 1_000_000_000
ONE, OTHER = ("trades", 0), ("trades", 1)


def member(now_ns: int = 0) -> Standing:
    made = Standing(now_ns)
    made.assigned([ONE, OTHER], now_ns)
    return made


def test_what_moves_is_not_asked_for() -> None:
    standing = member()
    standing.moved([ONE], 9 * S)
    assert standing.quiet(9 * S) == []
    assert standing.quiet(10 * S) == [OTHER]
    assert standing.quiet(19 * S) == [ONE, OTHER]


def test_stalled_is_who_stands_at_one_place_twice_with_values_behind_it() -> None:
    standing = member()
    assert not standing.is_stalled(ONE, 5, 9)
    assert standing.is_stalled(ONE, 5, 12)


@pytest.mark.parametrize(
    "looks",
    [
        [(5, 5), (5, 5), (5, 5)],  # nothing to read
        [(5, 9), (9, 9), (9, 12)],  # it has caught up in between
        [(5, 9), (6, 9), (7, 9)],  # slow, but it moves
    ],
)
def test_not_stalled(looks: list[tuple[int, int]]) -> None:
    standing = member()
    assert not any(standing.is_stalled(ONE, position, end) for position, end in looks)


def test_a_value_in_between_begins_the_count_anew() -> None:
    standing = member()
    assert not standing.is_stalled(ONE, 5, 9)
    standing.moved([ONE], 3 * S)
    assert not standing.is_stalled(ONE, 5, 9)


def test_a_pause_is_no_stall() -> None:
    standing = member()
    standing.excuse(100 * S)
    assert standing.quiet(109 * S) == []
    assert standing.quiet(110 * S) == [ONE, OTHER]


def test_without_partitions_it_joins_anew_ever_less_often() -> None:
    standing = Standing(0)
    waits_s = []
    now_ns = 0
    for _ in range(7):
        begun_ns = now_ns
        while not standing.is_alone(now_ns):
            now_ns += S
        waits_s.append((now_ns - begun_ns) // S)
        standing = standing.rejoined(now_ns)
    assert waits_s == [30, 60, 120, 240, 480, 600, 600]
    standing.assigned([ONE], now_ns)
    standing.revoked([ONE], now_ns)
    assert not standing.is_alone(now_ns + 29 * S)
    assert standing.is_alone(now_ns + 30 * S)


def test_with_a_partition_it_is_not_alone() -> None:
    standing = member()
    assert not standing.is_alone(10_000 * S)
    standing.revoked([ONE], 0)
    assert not standing.is_alone(10_000 * S)
    assert standing.quiet(10_000 * S) == [OTHER]
