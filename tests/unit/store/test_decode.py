"""Pages are written here value by value with `struct`, and read back by the decoder under test."""

from __future__ import annotations

import math
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ticktrail.errors import SchemaMismatch
from ticktrail.store import LATEST_QUOTES, STATUS, TRADES, Table
from ticktrail.store.decode import Decoded, Page, decode_keys, decode_page, plain_array

_TRADE = {
    "ts_event_ns": 1_395_671_400_123_456_789,
    "ts_recv_ns": 1_395_671_400_223_456_789,
    "price": 187.25,
    "size": 100.0,
    "sequence": 77,
    "flags": 5,
    "venue": "XNYS",
    "tape": "A",
    "side": "N",
    "conditions": "@",
    "trade_id": "1001",
}
_FORMATS = {"ts_event_ns": "q", "ts_recv_ns": "q", "price": "d", "size": "d", "sequence": "q", "flags": "i"}


def _value(data: bytes | None) -> bytes:
    return struct.pack(">i", -1) if data is None else struct.pack(">i", len(data)) + data


def _field(name: str, value: Any) -> bytes:
    if value is None:
        return _value(None)
    return _value(value.encode() if isinstance(value, str) else struct.pack(">" + _FORMATS[name], value))


def _row(ts: int, event_id: int, tick: dict[str, Any], extra: bytes = b"") -> bytes:
    fields = b"".join(_field(name, value) for name, value in tick.items()) + extra
    return _value(struct.pack(">q", ts)) + _value(struct.pack(">q", event_id)) + _value(fields)


def _page(rows: list[bytes]) -> Page:
    return Page(b"".join(rows), len(rows))


def _lists(decoded: Decoded) -> dict[str, list[Any]]:
    columns = {name: plain_array(column).tolist() for name, column in decoded.items()}
    return {
        name: [item.decode() if isinstance(item, bytes) else item for item in column]
        for name, column in columns.items()
    }


_ALL = ("ts", "event_id", *_TRADE)


def test_rows_of_one_length_are_read_in_full() -> None:
    rows = [_row(10 + i, 20 + i, {**_TRADE, "price": 1.5 * i}) for i in range(3)]

    decoded = _lists(decode_page(_page(rows), TRADES, _ALL))

    assert decoded.pop("ts") == [10, 11, 12]
    assert decoded.pop("event_id") == [20, 21, 22]
    assert decoded.pop("price") == [0.0, 1.5, 3.0]
    assert decoded == {name: [value] * 3 for name, value in _TRADE.items() if name != "price"}


def test_only_what_is_wanted_is_returned() -> None:
    decoded = decode_page(_page([_row(1, 2, _TRADE)]), TRADES, ["size", "tape"])

    assert _lists(decoded) == {"size": [100.0], "tape": ["A"]}


def test_texts_that_swap_lengths_keep_their_places() -> None:
    # Both rows are equally long, so only the texts' own lengths tell them apart.
    rows = [
        _row(1, 1, {**_TRADE, "venue": "XNYS", "trade_id": "12"}),
        _row(2, 2, {**_TRADE, "venue": "", "trade_id": "123456"}),
    ]

    decoded = _lists(decode_page(_page(rows), TRADES, ["venue", "trade_id", "side"]))

    assert decoded == {"venue": ["XNYS", ""], "trade_id": ["12", "123456"], "side": ["N", "N"]}


def test_fields_added_to_the_type_later_have_their_defaults() -> None:
    old = {name: _TRADE[name] for name in ("ts_event_ns", "ts_recv_ns", "price")}

    decoded = _lists(decode_page(_page([_row(1, 1, old), _row(2, 2, _TRADE)]), TRADES, _ALL))

    assert decoded["price"] == [187.25, 187.25]
    assert math.isnan(decoded["size"][0])
    assert decoded["size"][1] == 100.0
    assert decoded["sequence"] == [-1, 77]
    assert decoded["venue"] == ["", "XNYS"]
    assert decoded["side"] == ["N", "N"]
    assert decoded["trade_id"] == ["", "1001"]


def test_a_page_of_only_old_rows_has_defaults() -> None:
    old = {name: _TRADE[name] for name in ("ts_event_ns", "ts_recv_ns", "price", "size")}

    decoded = _lists(decode_page(_page([_row(1, 1, old)] * 2), TRADES, ["flags", "side", "trade_id"]))

    assert decoded == {"flags": [0, 0], "side": ["N", "N"], "trade_id": ["", ""]}


def test_fields_that_this_version_does_not_know_are_passed_over() -> None:
    newer = _row(1, 1, _TRADE, extra=_value(b"whatever"))

    decoded = _lists(decode_page(_page([newer, _row(2, 2, _TRADE)]), TRADES, _ALL))

    assert decoded["trade_id"] == ["1001", "1001"]
    assert decoded["ts"] == [1, 2]


def test_null_fields_have_their_defaults() -> None:
    # What someone wrote by hand in cqlsh.
    rows = [_row(1, 1, {**_TRADE, "flags": None, "side": None, "size": None}), _row(2, 2, _TRADE)]

    decoded = _lists(decode_page(_page(rows), TRADES, ["flags", "side", "size", "trade_id"]))

    assert decoded["flags"] == [0, 5]
    assert decoded["side"] == ["N", "N"]
    assert math.isnan(decoded["size"][0])
    assert decoded["trade_id"] == ["1001", "1001"]


def test_rows_of_keys_only() -> None:
    rows = [_value(struct.pack(">q", ts)) + _value(struct.pack(">q", 7)) for ts in (1, 2)]

    assert _lists(decode_page(_page(rows), TRADES, ["ts"])) == {"ts": [1, 2]}


def test_keys_of_the_catalogue() -> None:
    rows = [_value(b"IBM") + _value(struct.pack(">h", 1430)), _value(b"A") + _value(struct.pack(">h", 0))]

    keys = decode_keys(_page(rows), "partitions", {"symbol": "text", "slot": "smallint"})

    assert _lists(keys) == {"symbol": ["IBM", "A"], "slot": [1430, 0]}


def test_rows_without_a_value_are_left_out() -> None:
    quote = b"".join(_value(struct.pack(">q", n)) for n in (5, 6)) + b"".join(
        _value(struct.pack(">d", x)) for x in (1.0, 2.0, 3.0, 4.0)
    )
    rows = [_value(b"A") + _value(quote), _value(b"BRK.B") + _value(None), _value(b"C") + _value(quote)]

    decoded = _lists(decode_page(_page(rows), LATEST_QUOTES, ["symbol", "ask_price", "bid_venue"]))

    assert decoded == {"symbol": ["A", "C"], "ask_price": [3.0, 3.0], "bid_venue": ["", ""]}


@pytest.mark.parametrize("table", [TRADES, LATEST_QUOTES])
def test_no_rows(table: Table) -> None:
    wanted = [*table.clustering, *table.fields]

    decoded = decode_page(Page(b"", 0), table, wanted)

    assert {name: len(plain_array(column)) for name, column in decoded.items()} == dict.fromkeys(wanted, 0)


@pytest.mark.parametrize(
    ("data", "rows_count"),
    [
        pytest.param(_row(1, 1, _TRADE)[:-1], 1, id="cut"),
        pytest.param(_row(1, 1, _TRADE) + b"\0", 1, id="too long"),
        pytest.param(_row(1, 1, {**_TRADE, "price": "187.25"}), 1, id="a text for a number"),
        pytest.param(
            _value(b"\0" * 8) + _value(b"\0" * 8) + _value(b"\0\0\0\x20abc"), 1, id="a field beyond"
        ),
        pytest.param(_value(b"\0" * 4) + _value(b"\0" * 12) + _value(b""), 1, id="a key of another width"),
        pytest.param(_row(1, 1, _TRADE), 2, id="fewer rows than promised"),
    ],
)
def test_what_is_no_row_of_the_table_is_refused(data: bytes, rows_count: int) -> None:
    with pytest.raises(SchemaMismatch) as caught:
        decode_page(Page(data, rows_count), TRADES, _ALL)

    assert "trades" in caught.value.what


_INT64 = st.integers(-(2**63), 2**63 - 1)
_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6)
_STATUS = st.fixed_dictionaries(
    {
        "ts_event_ns": _INT64,
        "ts_recv_ns": _INT64,
        "limit_up": st.floats(),
        "limit_down": st.floats(),
        "flags": st.integers(-(2**31), 2**31 - 1),
        "action": _TEXT,
        "reason": _TEXT,
        "tape": _TEXT,
    }
)
_DEFAULTS = {
    "ts_event_ns": 0,
    "ts_recv_ns": 0,
    "limit_up": math.nan,
    "limit_down": math.nan,
    "flags": 0,
    "action": "other",
    "reason": "",
    "tape": "",
}
_STATUS_FORMATS = {**_FORMATS, "limit_up": "d", "limit_down": "d"}


@given(
    st.lists(
        st.tuples(_INT64, _STATUS, st.integers(0, 8), st.sets(st.sampled_from([*_DEFAULTS]))), min_size=1
    ),
    st.sets(st.sampled_from(["ts", *_DEFAULTS])),
)
@settings(max_examples=150)
def test_any_rows_with_any_gaps_are_read_back(
    rows: list[tuple[int, dict[str, Any], int, set[str]]], wanted: set[str]
) -> None:
    data, expected = [], []
    for ts, fields, fields_count, nulls in rows:
        kept = [(name, fields[name]) for name in [*_DEFAULTS][:fields_count]]
        value = b"".join(
            _value(
                None
                if name in nulls
                else value.encode()
                if isinstance(value, str)
                else struct.pack(">" + _STATUS_FORMATS[name], value)
            )
            for name, value in kept
        )
        keys = _value(struct.pack(">q", ts)) + _value(struct.pack(">q", 3))
        data.append(keys if wanted <= {"ts"} else keys + _value(value))
        present = {name: value for name, value in kept if name not in nulls}
        expected.append({"ts": ts, **_DEFAULTS, **present})

    decoded = _lists(decode_page(_page(data), STATUS, wanted))

    assert decoded.keys() == wanted
    for name in wanted:
        np.testing.assert_array_equal(decoded[name], [row[name] for row in expected])
