"""Which positions are committed."""

from __future__ import annotations

from ticktrail.bars.commits import Commits
from ticktrail.bus import Position

FREE = 1 << 60


def noted(*entries: tuple[int, int]) -> Commits:
    """Note positions, given as time and offset, that had been read up to ten beyond."""
    commits = Commits()
    for at_ns, offset in entries:
        commits.note(Position(offset), offset + 10, at_ns)
    return commits


def test_a_position_waits_for_its_proof() -> None:
    commits = noted((100, 1), (200, 2), (300, 3))
    assert commits.due(99, FREE) is None
    assert commits.due(250, FREE) == Position(2)
    assert commits.due(300, FREE) == Position(3)
    assert not commits.is_open


def test_the_oldest_position_tells_how_long_commits_stand_still() -> None:
    commits = noted((100, 1), (200, 2), (300, 3))
    assert commits.oldest_ns == 100
    commits.due(250, FREE)
    assert commits.oldest_ns == 300
    commits.due(300, FREE)
    assert commits.oldest_ns is None


def test_a_position_waits_for_the_rebuilds_of_what_was_read() -> None:
    commits = noted((100, 1), (200, 2))
    assert commits.due(900, 10) is None, "read up to 11, and 10 calls for a rebuild"
    assert commits.due(900, 11) == Position(1)
    assert commits.due(900, 12) == Position(2)


def test_a_rebuild_counts_once_it_is_proven() -> None:
    commits = noted((100, 1))
    commits.rebuilt(5, 700)
    assert commits.due(699, FREE) is None
    assert commits.is_open
    assert commits.due(700, FREE) == Position(1)


def test_nothing_is_committed_twice_and_failed_commits_are_tried_again() -> None:
    commits = noted((100, 1))
    assert commits.due(100, FREE) == Position(1)
    commits.note(Position(1), 11, 150)
    assert commits.due(150, FREE) == Position(1), "the broker has not taken it"
    commits.committed(Position(1))
    commits.note(Position(1), 12, 200)
    assert commits.due(200, FREE) is None
    commits.note(Position(1, "new"), 12, 300)
    assert commits.due(300, FREE) == Position(1, "new")


def test_what_waits_is_bounded_and_stays_right() -> None:
    commits = noted(*((at, at) for at in range(10_000)))
    assert commits.due(20_000, 0) is None
    due = commits.due(20_000, 5_000)
    assert due is not None
    assert due.offset + 10 <= 5_000
    last = commits.due(20_000, FREE)
    assert last is not None
    assert last.offset > 9_900
