"""Columns: equal lengths, known names, and the same rows as the records they stand for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ticktrail.model import Columns, Gap, Heartbeat, Trade

BASE: dict[str, Any] = {
    "feed": "sim",
    "day": 20_458,
    "ts_ns": np.array([10, 20, 30]),
    "event_id": np.array([1, 2, 3]),
    "ts_event_ns": np.array([11, 21, 31]),
    "ts_recv_ns": np.array([12, 22, 32]),
    "price": np.array([1.5, 2.5, 3.5]),
    "size": 100.0,
}
SYMBOLS = np.array([b"A", b"BRK.B", b"\xc3\x9cBER"])


def trades(**columns: Any) -> Columns[Trade]:
    return Columns(Trade, {"symbol": SYMBOLS, **BASE, **columns})


def test_scalars_are_repeated_and_defaults_filled_in() -> None:
    columns = trades(flags=5)
    assert len(columns) == 3
    assert columns["feed"].tolist() == [b"sim"] * 3
    assert columns["size"].tolist() == [100.0] * 3
    assert columns["flags"].tolist() == [5] * 3
    assert columns["side"].tolist() == [b"N"] * 3
    assert columns["sequence"].tolist() == [-1] * 3


def test_columns_have_the_types_of_their_fields() -> None:
    columns = trades(price=np.array([1, 2, 3]), day=np.array([1, 2, 3], dtype=np.int64))
    assert columns["price"].dtype == np.float64
    assert columns["day"].dtype == np.int32


def test_to_records_gives_one_record_per_row() -> None:
    records = trades().to_records()
    assert [record.symbol for record in records] == ["A", "BRK.B", "ÜBER"]
    assert records[1] == Trade(
        feed="sim",
        symbol="BRK.B",
        day=20_458,
        ts_ns=20,
        event_id=2,
        ts_event_ns=21,
        ts_recv_ns=22,
        price=2.5,
        size=100.0,
    )
    assert type(records[0].ts_ns) is int  # not a NumPy scalar, which JSON and the drivers refuse


def test_from_records_undoes_to_records() -> None:
    records = trades().to_records()
    assert Columns.from_records(Trade, records).to_records() == records


def test_no_records_are_no_rows() -> None:
    assert len(Columns.from_records(Trade, [])) == 0
    assert Columns.from_records(Trade, []).to_records() == []


def test_only_scalars_are_one_row() -> None:
    assert len(Columns(Heartbeat, {"feed": "sim", "ts_recv_ns": 5})) == 1


@pytest.mark.parametrize(
    ("rows", "expected"),
    [(slice(1, 3), [2, 3]), (np.array([True, False, True]), [1, 3]), (np.array([2, 0]), [3, 1])],
)
def test_take(rows: Any, expected: list[int]) -> None:
    assert trades().take(rows)["event_id"].tolist() == expected


def test_replace_leaves_the_original_alone() -> None:
    original = trades()
    assert original.replace(price=np.array([9.0, 9.0, 9.0]))["price"].tolist() == [9.0] * 3
    assert original["price"].tolist() == [1.5, 2.5, 3.5]


def test_concat_keeps_the_longest_text() -> None:
    short = Columns(Trade, {"symbol": "A", **BASE})
    joined = Columns.concat([short, trades()])
    assert joined["symbol"].tolist() == [b"A", b"A", b"A", *SYMBOLS.tolist()]
    assert len(joined) == 6


def test_concat_of_one_is_itself() -> None:
    only = trades()
    assert Columns.concat([only]) is only


def test_a_misspelt_column_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no fields.*prize"):
        trades(prize=1.0)


@pytest.mark.parametrize("name", ["symbol", "price", "day"])
def test_a_missing_column_is_named(name: str) -> None:
    data = {"symbol": SYMBOLS, **BASE}
    del data[name]
    with pytest.raises(ValueError, match=f"needs the field {name}"):
        Columns(Trade, data)


def test_a_required_column_behind_an_optional_one_is_required_too() -> None:
    # `Gap.cause` stands behind `Gap.missing`, which has a default.
    data = {"feed": "sim", "channel": "*", "day": 1, "from_ns": 1, "to_ns": 2, "ts_recv_ns": 3}
    with pytest.raises(ValueError, match="needs the field cause"):
        Columns(Gap, data)
    assert Columns(Gap, {**data, "cause": "silence"})["missing"].tolist() == [-1]


def test_lengths_must_agree() -> None:
    with pytest.raises(ValueError, match=r"price has 2 rows, others 3"):
        trades(price=np.array([1.0, 2.0]))


def test_text_must_be_bytes() -> None:
    # A column of str objects would be 50 times slower in every later step.
    with pytest.raises(ValueError, match="symbol must be bytes"):
        trades(symbol=np.array(["A", "B", "C"]))


def test_text_that_is_no_utf8_is_told_when_it_is_read() -> None:
    with pytest.raises(UnicodeDecodeError):
        trades(symbol=np.array([b"\xff", b"A", b"B"])).to_records()
