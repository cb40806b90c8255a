"""What corrections do to trades. The property tests compare with an independent computation."""

from __future__ import annotations

from typing import Any

import numpy as np

from ticktrail.bars.archive import StoredTrades
from ticktrail.bars.corrections import Corrections
from ticktrail.bars.rows import packed_trades
from ticktrail.model import Columns, Correction

NAN = float("nan")


def word(number: int, trade_id: str, action: str = "correct", **others: Any) -> Correction:
    values: dict[str, Any] = {
        "original_event_id": int(trade_id) if trade_id.isdigit() else -1,
        "price": 50.0,
        "size": 5.0,
        "flags": 7,
        "venue": "XNAS",
        "corrected_trade_id": f"C{number}" if action == "correct" else "",
        **others,
    }
    return Correction(
        feed="f",
        symbol="A",
        day=1,
        ts_ns=number,
        event_id=number,
        ts_event_ns=number,
        ts_recv_ns=number,
        original_price=NAN,
        original_size=NAN,
        action=action,
        trade_id=trade_id,
        **values,
    )


def trades(count: int = 3) -> StoredTrades:
    numbers = np.arange(count)
    columns = {
        "ts_ns": numbers * 10,
        "event_id": numbers,
        "price": 10.0 + numbers,
        "size": np.full(count, 1.0),
        "flags": np.full(count, 7),
    }
    return StoredTrades(packed_trades("A", columns), np.full(count, b"XNAS"), numbers.astype("S"))


def prices(*words: Correction) -> dict[int, float]:
    rows = Corrections(Columns.from_records(Correction, words)).applied_to(trades())
    return dict(zip(rows["event_id"].tolist(), rows["price"].tolist(), strict=True))


def test_a_correction_replaces_and_a_cancel_removes() -> None:
    given = trades()
    words = Columns.from_records(
        Correction, [word(1, "1", flags=3), word(2, "2", "cancel"), word(3, "0", "error")]
    )
    (row,) = Corrections(words).applied_to(given)
    assert row[["ts_ns", "event_id", "price", "size", "flags"]].item() == (10, 1, 50.0, 5.0, 3)
    assert given.rows["price"].tolist() == [10.0, 11.0, 12.0], "what was read is left as it is"


def test_what_a_correction_does_not_repeat_stays() -> None:
    assert prices(word(1, "1", price=NAN)) == {0: 10.0, 1: 11.0, 2: 12.0}
    rows = Corrections(Columns.from_records(Correction, [word(1, "1", size=NAN)])).applied_to(trades())
    assert rows["size"].tolist() == [1.0, 1.0, 1.0]


def test_the_last_word_stands_whatever_the_order_of_arrival() -> None:
    words = [word(1, "1", price=20.0), word(3, "1", price=30.0), word(2, "1", "cancel")]
    for order in (words, words[::-1], words[1:] + words[:1]):
        assert prices(*order) == {0: 10.0, 1: 30.0, 2: 12.0}


def test_a_corrected_trade_is_known_by_its_new_id() -> None:
    assert 1 not in prices(word(1, "1"), word(2, "C1", "cancel"))
    assert prices(word(1, "1"), word(2, "C1", price=60.0), word(3, "C2", price=70.0))[1] == 70.0
    # And by its first one still; names may even go round in a circle.
    assert prices(word(1, "1"), word(2, "C1", corrected_trade_id="1"), word(3, "1", price=9.0))[1] == 9.0


def test_venue_and_ids_must_all_be_the_trades() -> None:
    assert prices(word(1, "1", venue="XNYS"), word(2, "7"), word(3, "1", original_event_id=2)) == prices()


def test_the_trades_that_corrections_speak_of() -> None:
    words = [word(1, "1"), word(2, "C1"), word(3, "2", "cancel")]
    found = Corrections(Columns.from_records(Correction, words))
    ids, times = found.originals(np.array([2, 3, 9]), np.array([2, 3, 9]))
    assert (ids.tolist(), times.tolist()) == ([1, 2], [2, 3])
    assert found.originals(np.array([9]), np.array([9]))[0].tolist() == []
