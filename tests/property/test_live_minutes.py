"""The page's minutes and days, against plain Python over the same trades."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ticktrail.dashboard.board import Board
from ticktrail.dashboard.minutes import KEPT
from ticktrail.model import Bar, Columns, Flag, Trade

MINUTE_NS = 60_000_000_000
# 2026-01-05 14:30 UTC, New York's trading date 20458.
FIRST_NS = 1_767_623_400_000_000_000
DAY = 20_458
SYMBOLS = ("A", "B", "C")


@st.composite
def tapes(draw: st.DrawFn) -> list[Trade]:
    """Trades of some symbols over up to three hours, in the order in which they come: nearly that of time."""
    minutes = draw(st.lists(st.integers(0, 180), min_size=1, max_size=60))
    return [
        Trade(
            feed="sim",
            symbol=draw(st.sampled_from(SYMBOLS)),
            day=DAY,
            ts_ns=FIRST_NS + minute * MINUTE_NS + number,
            event_id=number,
            ts_event_ns=0,
            ts_recv_ns=0,
            price=draw(st.integers(1, 1_000)) / 4,
            size=float(draw(st.integers(1, 500))),
            flags=draw(st.integers(0, 7)),
        )
        for number, minute in enumerate(sorted(minutes))
    ]


def candle(trades: list[Trade]) -> dict[str, Any]:
    """Sum up one trade after the other, by the rules of the tapes."""
    last = [each.price for each in trades if each.flags & Flag.UPDATES_LAST]
    extremes = [each.price for each in trades if each.flags & Flag.UPDATES_HIGH_LOW]
    counted = [each for each in trades if each.flags & Flag.UPDATES_VOLUME]
    return {
        "open": last[0] if last else math.nan,
        "close": last[-1] if last else math.nan,
        "high": max(extremes, default=math.nan),
        "low": min(extremes, default=math.nan),
        "volume": sum(each.size for each in counted),
        "amount": sum(each.size * each.price for each in counted),
        "trades": len(counted),
    }


def same(found: Any, expected: dict[str, Any]) -> bool:
    return all(
        (math.isnan(value) and math.isnan(found[name])) or math.isclose(found[name], value, rel_tol=1e-12)
        for name, value in expected.items()
    )


def fed(board: Board, trades: list[Trade], cuts: list[int]) -> None:
    edges = [0, *sorted(cut % (len(trades) + 1) for cut in cuts), len(trades)]
    for start, end in pairwise(edges):
        if start < end:
            board.take_trades(Columns.from_records(Trade, trades[start:end]))


@given(tapes(), st.lists(st.integers(0, 100), max_size=5))
def test_the_day_is_the_sum_of_its_trades(trades: list[Trade], cuts: list[int]) -> None:
    board = Board()
    fed(board, trades, cuts)
    for symbol in {each.symbol for each in trades}:
        code = board.code("sim", symbol)
        assert code is not None
        (found,) = board.minutes.today(np.array([code]))
        assert same(found, candle([each for each in trades if each.symbol == symbol]))


@given(tapes(), st.lists(st.integers(0, 100), max_size=5), st.integers(0, 180))
def test_a_final_bar_takes_the_place_of_its_trades(trades: list[Trade], cuts: list[int], minute: int) -> None:
    """A bar that was corrected: as if the minute's trades had been others."""
    board = Board()
    fed(board, trades, cuts)
    open_ns = FIRST_NS + minute * MINUTE_NS
    bar = Bar(
        feed="sim",
        symbol="A",
        interval="1m",
        day=DAY,
        ts_open_ns=open_ns,
        ts_close_ns=open_ns + MINUTE_NS,
        open=10.0,
        high=20.0,
        low=5.0,
        close=15.0,
        volume=7.0,
        vwap=11.0,
        trades=3,
        session="regular",
        revision=2,
    )
    of_symbol = [each for each in trades if each.symbol == "A"]
    newest = max(each.ts_ns for each in trades) // MINUTE_NS
    board.take_bars(Columns.from_records(Bar, [bar]))
    code = board.code("sim", "A")
    assert code is not None
    if open_ns // MINUTE_NS <= newest - KEPT:
        assert board.stale == {code}
        return
    (found,) = board.minutes.today(np.array([code]))
    others = [each for each in of_symbol if each.ts_ns // MINUTE_NS != open_ns // MINUTE_NS]
    before = [each for each in others if each.ts_ns < open_ns]
    after = [each for each in others if each.ts_ns > open_ns]
    first, last, rest = candle(before), candle(after), candle(others)
    assert found["volume"] == rest["volume"] + 7
    assert found["trades"] == rest["trades"] + 3
    assert math.isclose(found["amount"], rest["amount"] + 77)
    assert found["high"] == np.fmax(rest["high"], 20.0)
    assert found["low"] == np.fmin(rest["low"], 5.0)
    assert found["open"] == (10.0 if math.isnan(first["open"]) else first["open"])
    assert found["close"] == (15.0 if math.isnan(last["close"]) else last["close"])
    # Trades that are read again after a restart change nothing any more.
    again = [each for each in of_symbol if each.ts_ns // MINUTE_NS == open_ns // MINUTE_NS]
    if again:
        board.take_trades(Columns.from_records(Trade, again))
        assert board.minutes.today(np.array([code]))[0] == found


@given(tapes())
def test_a_new_day_begins_with_nothing(trades: list[Trade]) -> None:
    board = Board()
    fed(board, trades, [])
    last = {each.symbol: each.price for each in trades if each.flags & Flag.UPDATES_LAST}
    tomorrow = [
        Trade(
            feed="sim",
            symbol=symbol,
            day=DAY + 1,
            ts_ns=FIRST_NS + 86_400_000_000_000,
            event_id=1,
            ts_event_ns=0,
            ts_recv_ns=0,
            price=1.0,
            size=1.0,
            flags=7,
        )
        for symbol in sorted({each.symbol for each in trades})
    ]
    board.take_trades(Columns.from_records(Trade, tomorrow))
    rows = {row["symbol"]: row for row in board.rows(np.arange(len(board)))}
    for symbol, row in rows.items():
        assert (row["volume"], row["trades"], row["open"], row["last"]) == (1.0, 1, 1.0, 1.0)
        if symbol in last:
            assert row["change_base"] == "close"
            assert row["change"] == 1.0 - last[symbol]
