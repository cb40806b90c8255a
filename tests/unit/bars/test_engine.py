"""When bars close, what is late, and what a restart needs. The property tests mix all of it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import pytest

from ticktrail.bars import AHEAD_NS_MAX, BarBuilder, Step
from ticktrail.config.settings import BarsSettings
from ticktrail.errors import CodecError
from ticktrail.model import Bar, Columns, Flag, Heartbeat, Trade
from ticktrail.reference import ROUND_THE_CLOCK

S = 10**9
# 2013-10-07 09:30 in New York, the opening of an hour of UTC less half.
OPEN = 1_381_152_600 * S
DAY = 15_985
ALL = int(Flag.UPDATES_LAST | Flag.UPDATES_HIGH_LOW | Flag.UPDATES_VOLUME)


def trade(ts_ns: int, event_id: int = 0, **others: Any) -> Trade:
    values: dict[str, Any] = {
        "feed": "sim",
        "symbol": "AAPL",
        "price": 10.0,
        "size": 1.0,
        "flags": ALL,
        "ts_recv_ns": ts_ns,
        **others,
    }
    return Trade(day=DAY, ts_ns=ts_ns, event_id=event_id, ts_event_ns=ts_ns, **values)


def beat(ts_recv_ns: int, feed: str = "sim") -> Heartbeat:
    return Heartbeat(feed=feed, ts_recv_ns=ts_recv_ns)


class Log:
    """A partition that is read as it is written."""

    def __init__(self, builder: BarBuilder | None = None, start: int = 0, **settings: Any) -> None:
        self.builder = builder or BarBuilder(BarsSettings(**settings))
        self.end = start

    def read(self, *records: Trade | Heartbeat) -> Step:
        trades = [(self.end + n, r) for n, r in enumerate(records) if isinstance(r, Trade)]
        beats = [(self.end + n, r) for n, r in enumerate(records) if isinstance(r, Heartbeat)]
        self.end += len(records)
        return self.builder.read(
            Columns.from_records(Trade, [r for _, r in trades]),
            np.array([offset for offset, _ in trades], dtype=np.int64),
            heartbeats=Columns.from_records(Heartbeat, [r for _, r in beats]),
            heartbeat_offsets=np.array([offset for offset, _ in beats], dtype=np.int64),
        )

    def bars(self, *records: Trade | Heartbeat) -> list[tuple[str, int, float]]:
        """Give interval, seconds since the opening, and volume of the bars that records close."""
        found = self.read(*records).bars.to_records()
        return [(bar.interval, (bar.ts_open_ns - OPEN) // S, bar.volume) for bar in found]


class History:
    """A store that has these minutes and counts how it is asked."""

    def __init__(self, *bars: Bar) -> None:
        self.bars = bars
        self.asked: list[Any] = []

    def symbols(self, feed: str, day: int) -> Collection[str]:
        self.asked.append((feed, day))
        return {bar.symbol for bar in self.bars}

    def minutes(self, keys: Sequence[tuple[str, str, int]]) -> Columns[Bar]:
        self.asked.append(list(keys))
        return Columns.from_records(Bar, [b for b in self.bars if (b.feed, b.symbol, b.day) in keys])


def minute(at_s: int, symbol: str = "AAPL", volume: float = 100.0, **others: Any) -> Bar:
    values: dict[str, Any] = {"interval": "1m", "open": 5.0, "high": 6.0, "low": 4.0, "close": 5.5, **others}
    return Bar(
        feed="sim",
        symbol=symbol,
        day=DAY,
        ts_open_ns=OPEN + at_s * S,
        ts_close_ns=OPEN + (at_s + 60) * S,
        volume=volume,
        vwap=5.0,
        trades=2,
        session="regular",
        **values,
    )


def test_heartbeats_close_the_bars_of_quiet_symbols_at_the_end_and_the_allowance() -> None:
    log = Log()
    assert log.bars(trade(OPEN + S // 2)) == []
    assert log.bars(beat(OPEN + 2 * S - 1)) == []
    assert log.bars(beat(OPEN + 2 * S)) == [("1s", 0, 1.0)]
    assert log.bars(beat(OPEN + 61 * S - 1)) == []
    assert log.bars(beat(OPEN + 61 * S)) == [("1m", 0, 1.0)]
    assert log.bars(beat(OPEN + 301 * S)) == [("5m", 0, 1.0)]
    assert log.bars(beat(OPEN + 1_800 * S)) == []
    assert log.bars(beat(OPEN + 1_801 * S)) == [("1h", -1_800, 1.0)]
    midnight = OPEN + 14 * 3_600 * S + 1_800 * S
    assert log.bars(beat(midnight)) == []
    assert log.bars(beat(midnight + S)) == [("1d", -9.5 * 3_600, 1.0)]
    assert log.bars(beat(midnight + 10 * S)) == []


def test_one_heartbeat_may_close_everything_and_intervals_without_trades_make_no_bars() -> None:
    log = Log(lateness_ms=0)
    closed = log.bars(trade(OPEN), trade(OPEN + 90 * S), trade(OPEN + 700 * S), beat(OPEN + 86_400 * S))
    assert closed == [
        ("1s", 0, 1.0),
        ("1s", 90, 1.0),
        ("1s", 700, 1.0),
        ("1m", 0, 1.0),
        ("1m", 60, 1.0),
        ("1m", 660, 1.0),
        ("5m", 0, 2.0),
        ("5m", 600, 1.0),
        ("1h", -1_800, 3.0),
        ("1d", -34_200, 3.0),
    ]


def test_only_the_intervals_that_are_wanted_are_given_out() -> None:
    log = Log(intervals=("5m", "1d"))
    assert [interval for interval, _, _ in log.bars(trade(OPEN), beat(OPEN + 86_400 * S))] == ["5m", "1d"]


def test_feeds_do_not_close_each_others_bars() -> None:
    log = Log()
    log.read(trade(OPEN), trade(OPEN, feed="other"))
    closed = log.read(trade(OPEN + 100 * S, feed="other"), beat(OPEN + 100 * S, "other")).bars
    assert set(closed["feed"].tolist()) == {b"other"}
    assert len(closed) == 2


def test_what_is_late_is_handed_out_and_still_in_its_minute_where_that_is_open() -> None:
    log = Log()
    log.read(trade(OPEN + S, 1), trade(OPEN + 10 * S, 2))
    step = log.read(
        trade(OPEN + S, 3, ts_recv_ns=OPEN + 10 * S), trade(OPEN - S, 4, ts_recv_ns=OPEN + 10 * S)
    )
    assert step.late["event_id"].tolist() == [3, 4]
    assert step.is_late_for_minute.tolist() == [False, True]
    closed = log.bars(beat(OPEN + 61 * S))
    assert ("1m", 0, 3.0) in closed
    assert all(start >= 0 for _, start, _ in closed)
    counts = log.builder.counts
    assert (counts.trades, counts.late_for_second, counts.late_for_minute) == (4, 1, 1)


def test_a_late_trade_that_was_there_already_changes_nothing() -> None:
    log = Log()
    log.read(trade(OPEN, 1), trade(OPEN + 10 * S, 2), trade(OPEN, 1, ts_recv_ns=OPEN + 10 * S))
    assert ("1m", 0, 2.0) in log.bars(beat(OPEN + 61 * S))
    assert log.builder.counts.repeated == 1


def test_of_one_identity_the_later_arrival_stands_also_when_it_is_late() -> None:
    log = Log(intervals=("1m",))
    log.read(trade(OPEN, 1), trade(OPEN + 10 * S, 2), trade(OPEN, 1, price=20.0, ts_recv_ns=OPEN + 10 * S))
    (bar,) = log.read(beat(OPEN + 61 * S)).bars.to_records()
    assert (bar.open, bar.high, bar.close, bar.trades) == (20.0, 20.0, 10.0, 2)


def test_trades_from_the_future_are_handed_out_and_hold_nothing_open() -> None:
    log = Log()
    step = log.read(trade(OPEN + AHEAD_NS_MAX + 1, 5, ts_recv_ns=OPEN), trade(OPEN, 6))
    assert step.ahead["event_id"].tolist() == [5]
    log.read(beat(OPEN + 61 * S))
    assert log.builder.commit_offset() == 3
    assert log.builder.counts.ahead == 1


def test_the_offset_to_commit_is_that_of_the_earliest_open_trade() -> None:
    log = Log()
    assert log.builder.commit_offset() is None
    log.read(beat(OPEN), trade(OPEN), trade(OPEN + 59 * S), trade(OPEN + 60 * S))
    assert log.builder.commit_offset() == 1
    log.read(beat(OPEN + 61 * S))
    assert log.builder.commit_offset() == 3
    log.read(beat(OPEN + 121 * S))
    assert log.builder.commit_offset() == 6
    nothing = Columns.from_records(Trade, [])
    log.builder.read(nothing, np.empty(0, dtype=np.int64), next_offset=9)
    assert log.builder.commit_offset() == 9


def test_forming_minutes_are_not_final_and_may_be_asked_of_some_symbols() -> None:
    log = Log()
    assert len(log.builder.forming()) == 0
    log.read(trade(OPEN, 1), trade(OPEN + 5 * S, 2, price=12.0), trade(OPEN + 5 * S, 3, symbol="BRK.B"))
    log.read(trade(OPEN + S, 4, ts_recv_ns=OPEN + 5 * S, price=1.0))
    (bar,) = log.builder.forming(["AAPL", "NONE"]).to_records()
    assert (bar.interval, bar.is_final, bar.trades) == ("1m", False, 3)
    assert (bar.open, bar.low, bar.close) == (10.0, 1.0, 12.0)
    assert set(log.builder.forming()["symbol"].tolist()) == {b"AAPL", b"BRK.B"}
    assert len(log.builder.forming([])) == 0
    assert ("1m", 0, 3.0) in log.bars(beat(OPEN + 61 * S))


def test_files_may_be_imported_day_by_day_in_any_order_and_again() -> None:
    log = Log()
    for day in (3, 1, 2):
        closed = log.bars(trade(OPEN + day * 86_400 * S), beat(OPEN + (day + 1) * 86_400 * S))
        assert [interval for interval, _, _ in closed] == ["1s", "1m", "5m", "1h", "1d"]
    again = log.read(trade(OPEN + 86_400 * S))
    assert len(again.bars) == 0
    assert again.is_late_for_minute.tolist() == [True]


def test_a_trade_of_a_later_day_closes_the_day_before() -> None:
    log = Log()
    log.read(trade(OPEN))
    closed = log.bars(trade(OPEN + 86_400 * S))
    assert [(interval, start) for interval, start, _ in closed][-1] == ("1d", -34_200)
    assert log.read(trade(OPEN + S)).is_late_for_minute.tolist() == [True]


def test_the_state_stays_small_however_many_days_were_imported() -> None:
    log = Log()
    for day in range(600):
        log.read(trade(OPEN + day * 86_400 * S), beat(OPEN + (day + 1) * 86_400 * S))
    state = log.builder.state()
    assert len(state) < 2_500
    restored = Log(BarBuilder(BarsSettings()), log.end)
    restored.builder.restore(state)
    for day in (0, 300, 599):
        assert restored.read(trade(OPEN + day * 86_400 * S)).is_late_for_minute.tolist() == [True]
    assert len(restored.read(trade(OPEN + 600 * 86_400 * S)).late) == 0


def test_days_left_open_are_ended_when_there_are_too_many() -> None:
    log = Log()
    bars = [bar for day in range(100, 0, -1) for bar in log.bars(trade(OPEN + day * 86_400 * S))]
    assert [start // 86_400 for interval, start, _ in bars if interval == "1d"] == list(range(99, 39, -1))
    assert len(log.builder.state()) < 2_500


def test_round_the_clock_days_are_those_of_utc() -> None:
    builder = BarBuilder(BarsSettings(intervals=("1d",)), lambda feed: ROUND_THE_CLOCK)
    (bar,) = Log(builder).read(trade(OPEN), beat(OPEN + 86_400 * S)).bars.to_records()
    assert (bar.ts_open_ns, bar.ts_close_ns) == (DAY * 86_400 * S, (DAY + 1) * 86_400 * S)


def test_a_window_read_again_in_part_is_not_given_out_again() -> None:
    log = Log()
    log.read(
        trade(OPEN + 50 * S, 1), trade(OPEN + 61 * S, 2), trade(OPEN + 51 * S, 3, ts_recv_ns=OPEN + 60 * S)
    )
    assert log.builder.commit_offset() == 1
    state = log.builder.state()
    restored = Log(BarBuilder(BarsSettings()), 1)
    restored.builder.restore(state)
    step = restored.read(trade(OPEN + 61 * S, 2), trade(OPEN + 51 * S, 3, ts_recv_ns=OPEN + 60 * S))
    assert len(step.bars) == len(step.late) == 0
    assert restored.builder.counts.reread == 1
    closed = restored.bars(beat(OPEN + 121 * S))
    assert closed == [("1s", 61, 1.0), ("1m", 60, 1.0)]


def test_a_longer_allowance_after_a_restart_does_not_open_what_was_closed() -> None:
    log = Log()
    log.read(trade(OPEN + 58 * S, 1), trade(OPEN + 61 * S, 2))
    restored = Log(BarBuilder(BarsSettings(lateness_ms=60_000)), 1)
    restored.builder.restore(log.builder.state())
    step = restored.read(trade(OPEN + 61 * S, 2), trade(OPEN + 59 * S, 3, ts_recv_ns=OPEN + 61 * S))
    assert step.is_late_for_minute.tolist() == [True]


def test_a_restored_builder_reads_the_minutes_it_lacks_once() -> None:
    log = Log()
    log.read(trade(OPEN + 125 * S, 1), trade(OPEN + 181 * S, 2))
    history = History(
        minute(0),
        minute(60, volume=50.0, open=7.0),
        minute(60, interval="5m"),
        minute(0, "QUIET"),
        minute(120, volume=1e9, is_final=False),
        minute(180, volume=1e9),
    )
    builder = BarBuilder(BarsSettings(intervals=("5m",)), history=history)
    builder.restore(log.builder.state())
    restored = Log(builder, 1)
    restored.read(trade(OPEN + 181 * S, 2))
    assert history.asked == []
    restored.read(beat(OPEN + 241 * S))
    assert history.asked == [("sim", DAY), [("sim", "AAPL", DAY), ("sim", "QUIET", DAY)]]
    found = {bar.symbol: bar for bar in restored.read(beat(OPEN + 301 * S)).bars.to_records()}
    assert (found["AAPL"].open, found["AAPL"].volume, found["AAPL"].trades) == (5.0, 151.0, 5)
    assert found["QUIET"].volume == 100.0
    restored.read(trade(OPEN + 310 * S, 9, symbol="NEW"), beat(OPEN + 400 * S))
    assert history.asked[2:] == [[("sim", "NEW", DAY)]]


def test_seeded_minutes_replace_those_with_their_opening() -> None:
    log = Log(intervals=("5m",))
    log.read(trade(OPEN), beat(OPEN + 121 * S))
    bars = [minute(0, volume=3.0), minute(60, volume=4.0), minute(120), minute(0, "X", is_final=False)]
    log.builder.seed(Columns.from_records(Bar, bars))
    assert log.bars(beat(OPEN + 301 * S)) == [("5m", 0, 7.0)]


def test_offsets_that_fall_are_refused() -> None:
    trades = Columns.from_records(Trade, [trade(OPEN), trade(OPEN, 1)])
    with pytest.raises(ValueError, match="must rise"):
        BarBuilder(BarsSettings()).read(trades, np.array([2, 1]))


@pytest.mark.parametrize(
    "state", ["", "{", "[]", '{"v":2,"next":1}', '{"v":1,"next":1,"new":1}', '{"next":"x"}']
)
def test_a_state_of_something_else_is_refused(state: str) -> None:
    with pytest.raises(CodecError, match=r"bars\.group"):
        BarBuilder(BarsSettings()).restore(state)
