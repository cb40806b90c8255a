"""What a rebuild finds, and how its bars are numbered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from ticktrail.bars.archive import Span, StoredTrades
from ticktrail.bars.candles import Times
from ticktrail.bars.engine import ALL_CLOSED_NS
from ticktrail.bars.rebuild import Job, Rebuilder, Rebuilt, revisions
from ticktrail.bars.rows import packed_trades
from ticktrail.bars.window import bars_of, is_emptied
from ticktrail.model import Bar, Columns, Correction, Flag, Trade
from ticktrail.reference import US_EQUITIES

S = 10**9
MINUTE = 60 * S
# 2013-10-07 09:30 in New York.
OPEN = 1_381_152_600 * S
DAY = 15_985
ALL = int(Flag.UPDATES_LAST | Flag.UPDATES_HIGH_LOW | Flag.UPDATES_VOLUME)
INTERVALS = ("1s", "1m", "5m", "1h", "1d")


def trade(at_s: float, number: int = 0, price: float = 10.0) -> Trade:
    ts_ns = OPEN + int(at_s * S)
    return Trade(
        feed="f",
        symbol="A",
        day=DAY,
        ts_ns=ts_ns,
        event_id=number,
        ts_event_ns=ts_ns,
        ts_recv_ns=ts_ns,
        price=price,
        size=1.0,
        flags=ALL,
    )


class Store:
    """An archive that has what a test gives it."""

    def __init__(self, trades: Sequence[Trade], bars: Columns[Bar]) -> None:
        self.rows = Columns.from_records(Trade, trades)
        self.stored = bars

    def trades(self, feed: str, symbol: str, day: int, spans: Sequence[Span]) -> StoredTrades:
        assert (feed, symbol, day) == ("f", "A", DAY)
        ts_ns = self.rows["ts_ns"]
        inside = np.any([(ts_ns >= first) & (ts_ns < end) for first, end in spans], axis=0)
        found = self.rows.take(inside)
        return StoredTrades(packed_trades(symbol, found.data), found["venue"], found["trade_id"])

    def find(self, feed: str, symbol: str, day: int, event_ids: Times, near_ns: Times) -> Times:
        raise NotImplementedError

    def corrections(self, feed: str, symbol: str, day: int) -> Columns[Correction]:
        return Columns.from_records(Correction, [])

    def corrected_symbols(self, feed: str, day: int) -> Sequence[str]:
        raise NotImplementedError

    def bars(self, feed: str, symbol: str, date: int, spans: Mapping[str, Span]) -> Columns[Bar]:
        assert spans.keys() == set(INTERVALS)
        firsts = np.array([spans[each.decode()][0] for each in self.stored["interval"].tolist()])
        ends = np.array([spans[each.decode()][1] for each in self.stored["interval"].tolist()])
        return self.stored.take((self.stored["ts_open_ns"] >= firsts) & (self.stored["ts_open_ns"] < ends))


def bars(*trades: Trade) -> Columns[Bar]:
    rows = Columns.from_records(Trade, trades)
    return Columns.concat([bars_of(rows, interval) for interval in INTERVALS])


def rebuild(store: Store, *minutes: int, closed_s: float | None = None) -> Rebuilt:
    closed_ns = ALL_CLOSED_NS if closed_s is None else OPEN + int(closed_s * S)
    minutes_ns = np.array([OPEN + minute * MINUTE for minute in minutes])
    complete_ns = np.full(len(minutes), closed_ns)
    job = Job(
        feed="f",
        symbol="A",
        days=(DAY,),
        date=DAY,
        minutes_ns=minutes_ns,
        complete_ns=complete_ns,
        closed_ns=closed_ns,
    )
    return Rebuilder(store, INTERVALS, lambda _: US_EQUITIES).rebuild(job)


def told(found: Columns[Bar]) -> set[tuple[str, float, float, int]]:
    """Say interval, opening in seconds, volume and revision."""
    return {(b.interval, (b.ts_open_ns - OPEN) / S, b.volume, b.revision) for b in found.to_records()}


ON_TIME = (trade(1, 1), trade(62, 2), trade(700, 3))


def test_what_is_as_it_should_be_is_left_alone() -> None:
    found = rebuild(Store(ON_TIME, bars(*ON_TIME)), 0, 1, 11)
    assert len(found.revised) == 0
    assert found.compared == len(bars(*ON_TIME))
    assert len(found.minutes) == 3


def test_a_late_trade_revises_every_window_that_holds_it_and_no_other() -> None:
    found = rebuild(Store([*ON_TIME, trade(1.5, 9)], bars(*ON_TIME)), 0)
    assert told(found.revised) == {
        ("1s", 1, 2.0, 1),
        ("1m", 0, 2.0, 1),
        ("5m", 0, 3.0, 1),
        ("1h", -1_800, 4.0, 1),
        ("1d", -34_200, 4.0, 1),
    }
    assert told(found.stored) == {
        ("1s", 1, 1.0, 0),
        ("1m", 0, 1.0, 0),
        ("5m", 0, 2.0, 0),
        ("1h", -1_800, 3.0, 0),
        ("1d", -34_200, 3.0, 0),
    }


def test_only_what_is_closed_is_judged() -> None:
    store = Store([*ON_TIME, trade(1.5, 9)], bars(*ON_TIME))
    assert told(rebuild(store, 0, closed_s=59).revised) == {("1s", 1, 2.0, 1)}
    assert {row[0] for row in told(rebuild(store, 0, closed_s=60).revised)} == {"1s", "1m"}
    assert {row[0] for row in told(rebuild(store, 0, closed_s=300).revised)} == {"1s", "1m", "5m"}
    assert told(rebuild(store, 0, closed_s=1).revised) == set()


def test_a_window_that_lost_its_trades_keeps_a_bar_without_any() -> None:
    found = rebuild(Store(ON_TIME[1:], bars(*ON_TIME)), 0)
    emptied = found.revised.take(is_emptied(found.revised))
    assert told(emptied) == {("1s", 1, 0.0, 1), ("1m", 0, 0.0, 1)}
    assert np.isnan(emptied["vwap"]).all()
    assert told(found.revised.take(~is_emptied(found.revised))) == {
        ("5m", 0, 1.0, 1),
        ("1h", -1_800, 2.0, 1),
        ("1d", -34_200, 2.0, 1),
    }


def test_an_emptied_window_is_written_once_and_may_fill_again() -> None:
    first = rebuild(Store([], bars(trade(1, 1))), 0)
    assert len(first.revised) == 5
    assert is_emptied(first.revised).all()
    assert len(rebuild(Store([], first.revised), 0).revised) == 0
    again = rebuild(Store([trade(1, 1)], first.revised), 0)
    assert {row[3] for row in told(again.revised)} == {2}


def test_a_longer_bar_counts_the_revisions_of_its_minutes() -> None:
    stored = bars(*ON_TIME)
    revised = stored["interval"] == b"1m"
    stored = stored.replace(revision=np.where(revised, 4, 0))
    found = rebuild(Store([*ON_TIME, trade(1.5, 9)], stored), 0)
    by_interval = {bar.interval: bar.revision for bar in found.revised.to_records()}
    assert by_interval == {"1s": 1, "1m": 5, "5m": 5 + 4, "1h": 5 + 4 + 4, "1d": 5 + 4 + 4}


@pytest.mark.parametrize(("volume", "is_same"), [(1.0 + 1e-13, True), (1.0 + 1e-11, False)])
def test_sums_may_differ_in_the_last_digits(volume: float, is_same: bool) -> None:
    (stored,) = bars_of(Columns.from_records(Trade, ON_TIME[:1]), "1m").to_records()
    built: dict[str, Any] = {"volume": np.array([volume])}
    one = Columns.from_records(Bar, [stored])
    revised, _ = revisions(one, one.replace(**built))
    assert (len(revised) == 0) is is_same
