"""Trades that venues corrected or took back afterwards: on the tape, and in the last price."""

from __future__ import annotations

import math
from itertools import permutations
from typing import Any

import pytest

from ticktrail.codec import Decoded, DecodedKind
from ticktrail.dashboard.hub import Hub
from ticktrail.model import Columns, Correction, Record, Trade

FIRST_NS = 1_767_623_400_000_000_000
NAN = float("nan")


def trade(number: int, price: float, flags: int = 7) -> Trade:
    return Trade(
        feed="sim",
        symbol="A",
        day=20_458,
        ts_ns=FIRST_NS + number,
        event_id=number,
        ts_event_ns=FIRST_NS + number,
        ts_recv_ns=FIRST_NS + number,
        price=price,
        size=100.0,
        trade_id=str(number),
        flags=flags,
    )


def correction(number: int, of: int, action: str, price: float = NAN, **more: Any) -> Correction:
    values = {
        "trade_id": str(of),
        "original_event_id": of,
        "original_price": NAN,
        "original_size": NAN,
        "size": NAN if math.isnan(price) else 50.0,
        "flags": 7,
    }
    return Correction(
        feed="sim",
        symbol="A",
        day=20_458,
        ts_ns=FIRST_NS + number,
        event_id=number,
        ts_event_ns=FIRST_NS + number,
        ts_recv_ns=FIRST_NS + number,
        action=action,
        price=price,
        **{**values, **more},
    )


def take(hub: Hub, *records: Record) -> None:
    kinds: dict[type[Record], DecodedKind] = {}
    for kind in {type(record) for record in records}:
        same = [record for record in records if type(record) is kind]
        columns: Any = Columns.from_records(kind, same)
        kinds[kind] = DecodedKind(columns, None)  # type: ignore[arg-type]
    hub.take(Decoded(kinds, [], 0))


def last(hub: Hub) -> Any:
    code = hub.board.code("sim", "A")
    assert code is not None
    (row,) = [row for row in hub.board.rows(hub.board.changed_since(None, 0)) if row["symbol"] == "A"]
    return row["last"]


def shown(hub: Hub) -> list[Any]:
    code = hub.board.code("sim", "A")
    assert code is not None
    return [(row["price"], row.get("amended")) for row in hub.trades_of(code, -1, 100)[0]]


def test_a_corrected_price_becomes_the_last_one() -> None:
    hub = Hub()
    take(hub, trade(1, 10.0), trade(2, 99.0))
    take(hub, correction(3, 2, "correct", 9.9))
    assert last(hub) == 9.9
    assert shown(hub) == [(10.0, None), (99.0, {"action": "correct", "price": 9.9, "size": 50.0})]


@pytest.mark.parametrize("action", ["cancel", "error"])
def test_without_the_last_trade_the_one_before_is_the_last(action: str) -> None:
    hub = Hub()
    take(hub, trade(1, 10.0), trade(2, 10.5, flags=4), trade(3, 99.0))
    take(hub, correction(4, 3, action))
    assert last(hub) == 10.0  # the second one may not set a last price
    assert shown(hub)[-1] == (99.0, {"action": action, "price": None, "size": None})


def test_an_older_trade_changes_nothing_of_the_last_price() -> None:
    hub = Hub()
    take(hub, trade(1, 10.0), trade(2, 11.0))
    take(hub, correction(3, 1, "cancel"))
    assert last(hub) == 11.0


def test_nothing_is_known_once_all_is_taken_back() -> None:
    hub = Hub()
    take(hub, trade(1, 10.0))
    take(hub, correction(2, 1, "cancel"))
    assert last(hub) is None
    take(hub, trade(3, 12.0))
    assert last(hub) == 12.0


def test_any_order_of_arrival_gives_the_same() -> None:
    records = [
        trade(1, 10.0),
        trade(2, 99.0),
        correction(3, 2, "correct", 98.0, corrected_trade_id="2b"),
        # By the id that the first one gave to it.
        correction(4, 77, "correct", 9.5, trade_id="2b"),
    ]
    for order in permutations(records):
        if order.index(records[3]) < order.index(records[2]):
            continue  # a name that is not known yet means nothing
        hub = Hub()
        for record in order:
            take(hub, record)
        assert last(hub) == 9.5
        first, second = sorted(shown(hub))
        assert first == (10.0, None)
        assert second == (99.0, {"action": "correct", "price": 9.5, "size": 50.0})


def test_the_stream_tells_only_what_is_new() -> None:
    hub = Hub()
    take(hub, trade(1, 10.0), trade(2, 11.0))
    take(hub, correction(3, 1, "cancel"))
    serial = hub.amended.serial
    take(hub, correction(4, 2, "correct", 11.5), correction(3, 1, "cancel"))
    assert hub.amended.after(0, serial) == [
        {"event_id": "2", "action": "correct", "price": 11.5, "size": 50.0}
    ]
    assert len(hub.amended.after(0, 0)) == 2
    assert hub.amended.after(1, 0) == []
