"""Which trades are known to have been corrected before they came."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from ticktrail.bars.archive import Archive
from ticktrail.bars.awaited import Awaited
from ticktrail.model import Columns, Correction, Trade


def trades(symbol: str, ids: Sequence[int], day: int = 1, feed: str = "f") -> Columns[Trade]:
    zeros = np.zeros(len(ids), dtype=np.int64)
    fields: dict[str, Any] = dict.fromkeys(("ts_ns", "ts_event_ns", "ts_recv_ns", "price", "size"), zeros)
    return Columns(Trade, {**fields, "feed": feed, "symbol": symbol, "day": day, "event_id": np.array(ids)})


def corrections(symbol: str, ids: Sequence[int], day: int = 1) -> Columns[Correction]:
    zeros = np.zeros(len(ids), dtype=np.int64)
    names = ("ts_ns", "event_id", "ts_event_ns", "ts_recv_ns")
    floats = ("original_price", "original_size", "price", "size")
    fields: dict[str, Any] = dict.fromkeys((*names, *floats), zeros)
    own = {"feed": "f", "symbol": symbol, "day": day, "original_event_id": np.array(ids)}
    return Columns(Correction, {**fields, **own})


class Stored:
    """The corrections of some symbols, counting how it is asked."""

    def __init__(self, **ids: Sequence[int]) -> None:
        self.ids = ids
        self.asked: list[tuple[str, int]] = []

    def corrected_symbols(self, feed: str, day: int) -> Sequence[str]:
        self.asked.append((feed, day))
        return sorted(self.ids) if (feed, day) == ("f", 1) else []

    def corrections(self, feed: str, symbol: str, day: int) -> Columns[Correction]:
        assert (feed, day) == ("f", 1)
        return corrections(symbol, self.ids[symbol])


def awaited(stored: Stored, *, ours: Sequence[str] = ("A", "B")) -> Awaited:
    return Awaited(cast("Archive", stored), lambda _, symbol: symbol in ours)


def test_trades_are_told_by_symbol_id_and_day() -> None:
    known = awaited(Stored())
    known.add(corrections("A", [5, 7]))
    assert known.among(trades("A", [4, 5, 6, 7])).tolist() == [False, True, False, True]
    assert not known.among(trades("B", [5, 7])).any()
    assert not known.among(trades("A", [5, 7], day=2)).any()
    assert not known.among(trades("A", [5, 7], feed="g")).any()


def test_several_days_in_one_poll() -> None:
    known = awaited(Stored())
    known.add(Columns.concat([corrections("A", [5]), corrections("A", [6], day=2)]))
    both = Columns.concat([trades("A", [5, 6]), trades("A", [5, 6], day=2)])
    assert known.among(both).tolist() == [True, False, False, True]


def test_what_is_stored_is_read_once_per_day_and_only_what_is_ours() -> None:
    stored = Stored(A=[5], C=[6])
    known = awaited(stored)
    assert known.among(trades("A", [5])).tolist() == [True]
    assert not known.among(trades("C", [6])).any()
    known.add(corrections("A", [9]))
    assert known.among(trades("A", [5, 9])).all()
    assert stored.asked == [("f", 1)]


def test_few_days_are_kept_and_the_others_read_again() -> None:
    stored = Stored(A=[5])
    known = awaited(stored)
    known.among(trades("A", [5]))
    known.add(corrections("A", [6], day=50))
    for day in range(100, 130):
        known.among(trades("A", [1], day=day))
    known.forget([("f", 50)])
    asked = len(stored.asked)
    assert known.among(trades("A", [6], day=50)).all()
    assert len(stored.asked) == asked, "a correction that may not be stored yet must not be forgotten"
    assert known.among(trades("A", [5])).all()
    assert stored.asked[-1] == ("f", 1)


def test_false_hits_are_rare() -> None:
    known = awaited(Stored())
    known.add(corrections("A", list(range(5_000))))
    others = known.among(trades("A", list(range(10**6, 10**6 + 100_000))))
    assert np.count_nonzero(others) < 150
