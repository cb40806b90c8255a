"""Bars of a set of trades, by hand."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import pytest
from bars_oracle import bars_from, difference, keyed

from ticktrail.bars import bars_of
from ticktrail.model import Bar, Columns, Flag, Trade
from ticktrail.reference import ROUND_THE_CLOCK

ALL = int(Flag.UPDATES_LAST | Flag.UPDATES_HIGH_LOW | Flag.UPDATES_VOLUME)
VOLUME = int(Flag.UPDATES_VOLUME)


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 10**9


def trade(ts_ns: int, event_id: int, price: float, size: float = 100.0, **others: Any) -> Trade:
    values: dict[str, Any] = {"feed": "sim", "symbol": "AAPL", "flags": ALL, **others}
    return Trade(
        day=0,
        ts_ns=ts_ns,
        event_id=event_id,
        ts_event_ns=ts_ns,
        ts_recv_ns=ts_ns,
        price=price,
        size=size,
        **values,
    )


def bars(trades: list[Trade], interval: str = "1m", **market: Any) -> list[Bar]:
    return bars_of(Columns.from_records(Trade, trades), interval, **market).to_records()


OPEN = at("2024-11-29T14:30")


def test_one_minute() -> None:
    trades = [
        trade(OPEN + 5, 0, 10.0, 100),
        trade(OPEN + 5, 1, 12.0, 200),
        trade(OPEN + 3, 7, 11.0, 300),
        trade(OPEN + 59_999_999_999, 0, 9.0, 400),
        trade(OPEN + 60_000_000_000, 0, 99.0, 1),
    ]
    first, second = bars(trades)
    assert first == Bar(
        feed="sim",
        symbol="AAPL",
        interval="1m",
        day=20_056,
        ts_open_ns=OPEN,
        ts_close_ns=OPEN + 60 * 10**9,
        open=11.0,
        high=12.0,
        low=9.0,
        close=9.0,
        volume=1_000.0,
        vwap=(1_000 + 2_400 + 3_300 + 3_600) / 1_000,
        trades=4,
        session="regular",
    )
    assert (second.ts_open_ns, second.close) == (OPEN + 60 * 10**9, 99.0)


def test_repeated_trades_count_once_and_the_last_stands() -> None:
    (bar,) = bars([trade(OPEN, 1, 10.0), trade(OPEN, 1, 10.0), trade(OPEN, 1, 11.0, 50)])
    assert (bar.open, bar.volume, bar.trades) == (11.0, 50.0, 1)


def test_one_id_of_two_symbols_or_feeds_or_times_is_not_one_trade() -> None:
    trades = [
        trade(OPEN, 1, 10.0),
        trade(OPEN, 1, 10.0, symbol="MSFT"),
        trade(OPEN, 1, 10.0, feed="other"),
        trade(OPEN + 1, 1, 10.0),
    ]
    assert [(bar.feed, bar.symbol, bar.trades) for bar in bars(trades)] == [
        ("other", "AAPL", 1),
        ("sim", "AAPL", 2),
        ("sim", "MSFT", 1),
    ]


def test_conditions_decide_what_a_trade_may_set() -> None:
    trades = [
        trade(OPEN, 0, 50.0, flags=VOLUME),
        trade(OPEN, 1, 10.0),
        trade(OPEN, 2, 5.0, flags=int(Flag.UPDATES_HIGH_LOW)),
        trade(OPEN, 3, 11.0, flags=int(Flag.UPDATES_LAST)),
        trade(OPEN, 4, 60.0, flags=VOLUME),
    ]
    (bar,) = bars(trades)
    assert (bar.open, bar.high, bar.low, bar.close) == (10.0, 10.0, 5.0, 11.0)
    assert (bar.volume, bar.trades, bar.vwap) == (300.0, 3, 40.0)


def test_only_odd_lots_make_volume_without_prices() -> None:
    (bar,) = bars([trade(OPEN, 0, 50.0, 3, flags=VOLUME)], "1h")
    assert all(map(math.isnan, (bar.open, bar.high, bar.low, bar.close)))
    assert (bar.volume, bar.vwap, bar.trades) == (3.0, 50.0, 1)


def test_no_volume_has_no_vwap() -> None:
    (bar,) = bars([trade(OPEN, 0, 50.0, 0.0)])
    assert (bar.open, bar.volume, bar.trades) == (50.0, 0.0, 1)
    assert math.isnan(bar.vwap)


def test_trades_that_may_update_nothing_make_no_bar() -> None:
    assert bars([trade(OPEN, 0, 50.0, flags=int(Flag.SUSPICIOUS))]) == []
    assert bars([]) == []


@pytest.mark.parametrize("interval", ["1s", "1m", "5m", "1h", "1d"])
def test_bars_carry_that_they_come_from_snapshots(interval: str) -> None:
    trades = [trade(OPEN, 0, 50.0), trade(OPEN, 1, 50.0, flags=ALL | Flag.SNAPSHOT | Flag.ROUNDED)]
    (bar,) = bars(trades, interval)
    assert bar.flags == Flag.SNAPSHOT


def test_a_day_is_the_markets_and_has_25_hours_when_clocks_go_back() -> None:
    trades = [trade(at("2024-11-03T04:00"), 0, 1.0), trade(at("2024-11-04T04:59:59"), 1, 2.0)]
    (bar,) = bars(trades, "1d")
    assert (bar.session, bar.day, bar.close) == ("day", 20_030, 2.0)
    assert (bar.ts_open_ns, bar.ts_close_ns) == (at("2024-11-03T04:00"), at("2024-11-04T05:00"))
    assert [b.day for b in bars(trades, "1d", market=ROUND_THE_CLOCK)] == [20_030, 20_031]


def test_sessions_are_those_of_the_opening() -> None:
    hours = ["2024-11-29T12:00", "2024-11-29T14:59", "2024-11-29T18:30", "2024-11-28T15:00"]
    found = [bars([trade(at(hour), 0, 1.0)], "1m")[0].session for hour in hours]
    assert found == ["pre", "regular", "post", "closed"]
    assert bars([trade(at("2024-11-29T14:59"), 0, 1.0)], "1h")[0].session == "pre"


@pytest.mark.parametrize("price", [1e308, float("inf"), float("nan")])
def test_absurd_prices_do_not_stop_the_others(price: float) -> None:
    trades = [trade(OPEN, 0, price, 1e10), trade(OPEN, 0, 10.0, symbol="MSFT")]
    found = {bar.symbol: bar for bar in bars(trades, "1d")}
    assert found["MSFT"].vwap == 10.0


@pytest.mark.parametrize(
    "symbols", [["A", "B"], ["A", "O:SPY251219C00650000"], ["É" * 8, "É" * 9, "A" * 127]]
)
@pytest.mark.parametrize("interval", ["1s", "1d"])
def test_symbols_of_any_length(symbols: list[str], interval: str) -> None:
    trades = [
        trade(OPEN + n * 10**9 // 3, n % 5, 10.0 + n, symbol=symbols[n % len(symbols)]) for n in range(40)
    ]
    found = dict(keyed(bars_of(Columns.from_records(Trade, trades), interval)))
    assert difference(found, bars_from(trades, interval)) == ""
