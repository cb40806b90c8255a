"""When windows can be rebuilt, and what holds the commit meanwhile."""

from __future__ import annotations

from ticktrail.bars.dirty import DirtyWindows, Pending, Window
from ticktrail.bars.ladder import NEVER_NS

S = 10**9
MINUTE = 60 * S
HOLDS_NOTHING = 1 << 60


def window(minute: int, symbol: str = "A", date: int = 0) -> Window:
    return Window("f", symbol, 0, date, minute * MINUTE)


def test_a_late_trade_waits_for_persist_only() -> None:
    dirty = DirtyWindows()
    dirty.add(window(0), 5, 8, NEVER_NS, is_whole=False)
    assert dirty.hold() == 5
    dirty.settle(lambda _: 90 * S, 8)
    assert dirty.ready(7) == {}
    assert dirty.ready(8) == {window(0): 90 * S}
    assert dirty.done(window(0)) == 5
    assert not dirty
    assert dirty.hold() > HOLDS_NOTHING


def test_many_reasons_are_one_rebuild_once_the_last_is_stored() -> None:
    dirty = DirtyWindows()
    dirty.add(window(0), 5, 8, NEVER_NS, is_whole=False)
    dirty.settle(lambda _: 90 * S, 8)
    dirty.add(window(0), 8, 12, NEVER_NS, is_whole=False)
    dirty.settle(lambda _: 90 * S, 12)
    assert dirty.ready(11) == {}
    assert list(dirty.ready(12)) == [window(0)]
    assert dirty.hold() == 5


def test_what_came_before_a_window_closed_must_be_stored_up_to_its_close() -> None:
    dirty = DirtyWindows()
    dirty.add(window(0), 5, 8, 60 * S, is_whole=True)
    dirty.settle(lambda _: 59 * S, 20)
    assert (len(dirty), dirty.waiting) == (0, 1)
    dirty.settle(lambda _: 61 * S, 30)
    assert (len(dirty), dirty.waiting) == (1, 0)
    assert dirty.ready(29) == {}
    assert dirty.ready(30) == {window(0): 61 * S}


def test_a_window_whose_minute_is_open_is_rebuilt_again_when_it_closes() -> None:
    dirty = DirtyWindows()
    dirty.add(window(0), 5, 8, 3 * S, is_whole=True)
    dirty.settle(lambda _: 10 * S, 8)
    assert list(dirty.ready(8)) == [window(0)]
    dirty.done(window(0))
    assert dirty.hold() == 5, "a restart must know of it still"
    dirty.settle(lambda _: 59 * S, 20)
    assert dirty.ready(1_000) == {}
    dirty.settle(lambda _: 60 * S, 25)
    assert list(dirty.ready(25)) == [window(0)]
    assert dirty.done(window(0)) == 5
    assert not dirty


def test_dates_that_have_not_begun_are_told_once_everything_is_read() -> None:
    dirty = DirtyWindows()
    dirty.add(window(0), 5, 8, 3 * S, is_whole=True)
    assert dirty.settle(lambda _: None, 7) == []
    assert dirty.settle(lambda _: None, 8) == [window(0)]


def test_trades_ahead_hold_nothing_and_are_written_down() -> None:
    dirty = DirtyWindows()
    assert dirty.add_ahead(window(100), 8)
    assert dirty.add_ahead(window(100), 9)
    assert dirty.add_ahead(window(101, "B"), 9)
    assert dirty.hold() > HOLDS_NOTHING
    assert dirty.ahead() == {"f": {"A": [(0, 0, 100)], "B": [(0, 0, 101)]}}
    restored = DirtyWindows()
    restored.restore(dirty.ahead(), 20)
    assert restored.ahead() == dirty.ahead()
    restored.settle(lambda _: 101 * MINUTE, 20)
    assert list(restored.ready(20)) == [window(100)]
    restored.done(window(100))
    assert restored.ahead() == {"f": {"B": [(0, 0, 101)]}}


def test_room_for_trades_ahead_is_bounded() -> None:
    dirty = DirtyWindows()
    taken = [dirty.add_ahead(window(minute), 1) for minute in range(100)]
    assert taken == [True] * sum(taken) + [False] * (100 - sum(taken))
    assert 40 <= sum(taken) <= 60
    dirty.settle(lambda _: 200 * MINUTE, 1)
    for each in dirty.ready(1):
        dirty.done(each)
    assert dirty.add_ahead(window(7), 1)


def test_corrections_not_looked_up_hold_the_commit() -> None:
    dirty = DirtyWindows()
    dirty.pending.append(Pending(3, 5, "f", "A", 0, 1, 1))
    assert dirty.hold() == 3
    assert len(dirty) == 1
    assert dirty
