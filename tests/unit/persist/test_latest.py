"""The newest record of each symbol, against a dictionary."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ticktrail.model import Columns, Flag, Quote, Trade
from ticktrail.persist.latest import newest_per_symbol

keys = st.lists(
    st.tuples(
        st.sampled_from(["sim", "lean"]),
        st.sampled_from(["A", "B", "BRK.B"]),
        st.integers(-3, 3),
        st.integers(0, 3),
        st.booleans(),
    ),
    max_size=25,
)


@given(keys)
def test_the_highest_time_and_id_wins(rows: list[tuple[str, str, int, int, bool]]) -> None:
    trades = [
        Trade(
            feed=feed,
            symbol=symbol,
            day=1,
            ts_ns=ts_ns,
            event_id=event_id,
            ts_event_ns=ts_ns,
            ts_recv_ns=0,
            price=1.0,
            size=1.0,
            flags=int(Flag.UPDATES_LAST | Flag.UPDATES_VOLUME if counts else Flag.UPDATES_VOLUME),
        )
        for feed, symbol, ts_ns, event_id, counts in rows
    ]
    newest: dict[tuple[str, str], Trade] = {}
    for trade in trades:
        key = (trade.feed, trade.symbol)
        if trade.flags & Flag.UPDATES_LAST:
            before = newest.get(key)
            if before is None or (trade.ts_ns, trade.event_id) >= (before.ts_ns, before.event_id):
                newest[key] = trade
    columns = Columns.from_records(Trade, trades)
    known_ns = np.full(len(trades), 10)
    found = columns.take(newest_per_symbol(columns, known_ns)).to_records()
    assert {(each.feed, each.symbol): each for each in found} == newest
    assert len(found) == len(newest)


def quote_of(ts_ns: int, event_id: int) -> Quote:
    sizes = dict.fromkeys(("bid_price", "bid_size", "ask_price", "ask_size"), 0.0)
    times = dict.fromkeys(("ts_ns", "ts_event_ns", "ts_recv_ns"), ts_ns)
    return Quote(feed="f", symbol="A", day=1, event_id=event_id, flags=0, **sizes, **times)  # type: ignore[arg-type]


def test_every_quote_counts() -> None:
    columns = Columns.from_records(Quote, [quote_of(1, 1)])
    assert newest_per_symbol(columns, np.array([2])).tolist() == [0]


def test_a_time_in_the_future_counts_as_when_it_was_known() -> None:
    columns = Columns.from_records(Quote, [quote_of(10**18, 1), quote_of(30, 2), quote_of(25, 3)])
    assert newest_per_symbol(columns, np.array([20, 30, 40])).tolist() == [1]
