from __future__ import annotations

import json
from datetime import date
from typing import Any

import msgspec
import numpy as np
import pytest

from ticktrail.errors import FeedDisconnected, FeedRejected
from ticktrail.feeds import Frame, Parsed
from ticktrail.feeds.alpaca.parse import AlpacaParser
from ticktrail.feeds.unknown import LABELS_MAX
from ticktrail.model import Bar, Correction, Flag, Quote, Status, Trade
from ticktrail.model.venues import CODES

RECV_NS = 1_767_623_401_000_000_000
TRADE = {"T": "t", "S": "AAPL", "i": 5, "x": "Q", "p": 187.15, "s": 100, "c": ["@"], "z": "C"}
TRADE |= {"t": "2026-01-05T14:30:00.5Z"}
QUOTE = {"T": "q", "S": "AAPL", "bx": "Q", "bp": 187.1, "bs": 2, "ax": "K", "ap": 187.2, "as": 3}
QUOTE |= {"c": ["R"], "z": "C", "t": "2026-01-05T14:30:00Z"}
BAR = {"T": "b", "S": "SPY", "o": 388.985, "h": 389.13, "l": 388.975, "c": 389.12, "v": 49378, "n": 461}
BAR |= {"vw": 389.062639, "t": "2021-02-22T19:15:00Z"}


def parse(*messages: Any, unit: int = 0) -> Parsed:
    return AlpacaParser("alpaca", "json", unit).parse([Frame(RECV_NS, json.dumps(list(messages)).encode())])


def only(parsed: Parsed) -> Any:
    assert not parsed.rejected
    (columns,) = parsed.columns
    (record,) = columns.to_records()
    return record


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"p": -0.01}, "bad_price"),
        ({"p": 0}, "bad_price"),
        ({"p": 1e9 + 1}, "bad_price"),
        ({"p": "187.15"}, "bad_price"),
        ({"p": None}, "bad_price"),
        ({"s": -1}, "bad_size"),
        ({"s": 1e13}, "bad_size"),
        ({"i": -1}, "bad_id"),
        ({"i": 2**63}, "bad_id"),
        ({"i": 1.5}, "bad_id"),
        ({"S": ""}, "bad_text"),
        ({"S": "A" * 128}, "bad_text"),
        ({"S": "é" * 64}, "bad_text"),
        ({"S": "A\0"}, "bad_text"),
        ({"z": "\0"}, "bad_text"),
        ({"c": ["@\0"]}, "bad_text"),
        ({"c": ["éééééééé"] * 14}, "bad_text"),
        ({"x": "too long to be one"}, "bad_field"),
        ({"c": "@"}, "bad_field"),
        ({"c": ["@"] * 15}, "bad_field"),
        ({"t": "1969-12-31T23:59:59.999999999Z"}, "bad_time"),
        ({"t": "2200-01-01T00:00:00Z"}, "bad_time"),
        ({"t": "2026-02-30T00:00:00Z"}, "bad_time"),
        ({"t": "yesterday"}, "bad_time"),
        ({"t": 1_767_623_400}, "bad_time"),
        ({"T": 5}, "bad_field"),
    ],
)
def test_a_bad_message_alone_is_rejected(change: dict[str, Any], reason: str) -> None:
    parsed = parse(TRADE, TRADE | change, TRADE | {"i": 6})
    (columns,) = parsed.columns
    assert columns["trade_id"].tolist() == [b"5", b"6"]
    (rejected,) = parsed.rejected
    assert rejected.reason == reason
    # The offending message itself, not its neighbours: numbers may come back as 100.0 for 100.
    assert json.loads(rejected.payload) == TRADE | change


@pytest.mark.parametrize("field", ["S", "i", "p", "s", "t", "T"])
def test_a_missing_field_is_rejected(field: str) -> None:
    parsed = parse({name: value for name, value in TRADE.items() if name != field})
    assert not parsed.columns
    assert [rejected.reason for rejected in parsed.rejected] == [
        "bad_field" if field == "T" else "missing_field"
    ]


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "not_json"),
        (b"not json", "not_json"),
        (b'[{"T":"t"', "not_json"),
        (b'{"T":"t"}', "not_array"),
        (b"5", "not_array"),
        (b"[" * 100_000, "not_json"),
    ],
)
def test_a_frame_that_is_no_array_is_rejected_whole(payload: bytes, reason: str) -> None:
    parsed = AlpacaParser("alpaca", "json").parse([Frame(RECV_NS, payload)])
    assert [(rejected.payload, rejected.reason) for rejected in parsed.rejected] == [(payload, reason)]


def test_bytes_that_are_no_utf8_cost_only_their_message() -> None:
    bad = json.dumps(TRADE).encode().replace(b"AAPL", b"AA\xff\xfe")
    frame = b"[" + json.dumps(TRADE).encode() + b"," + bad + b"]"
    parsed = AlpacaParser("alpaca", "json").parse([Frame(RECV_NS, frame)])
    assert sum(map(len, parsed.columns)) == 1
    assert [(rejected.payload, rejected.reason) for rejected in parsed.rejected] == [(bad, "not_utf8")]


@pytest.mark.parametrize("price", [float("nan"), float("inf"), -1.0])
def test_msgpack_numbers_that_json_cannot_write_are_rejected(price: float) -> None:
    message = TRADE | {"t": msgspec.msgpack.Ext(-1, b"\x69\x5b\xca\xe8"), "p": price}
    frame = Frame(RECV_NS, msgspec.msgpack.encode([message]))
    parsed = AlpacaParser("alpaca", "msgpack").parse([frame])
    assert [rejected.reason for rejected in parsed.rejected] == ["bad_price"]


def test_a_msgpack_extension_of_another_type_is_no_time() -> None:
    message = TRADE | {"t": msgspec.msgpack.Ext(7, b"\x69\x5b\xca\xe8")}
    parsed = AlpacaParser("alpaca", "msgpack").parse([Frame(RECV_NS, msgspec.msgpack.encode([message]))])
    assert [rejected.reason for rejected in parsed.rejected] == ["bad_time"]


def test_unknown_fields_and_kinds_are_counted() -> None:
    parsed = parse(
        TRADE | {"pks": 1, "new": {"a": [1]}}, TRADE | {"pks": 2}, {"T": "i", "S": "A"}, {"T": "i"}
    )
    assert dict(parsed.unknown) == {"field:t.pks": 2, "field:t.new": 1, "message:i": 2}
    assert sum(map(len, parsed.columns)) == 2
    assert not parsed.rejected


def test_an_unknown_field_changes_no_digit() -> None:
    price = 123456789.12345679
    plain, extra = only(parse(TRADE | {"p": price})), only(parse(TRADE | {"p": price, "pks": 1}))
    assert plain == extra
    assert plain.price == price


def test_labels_of_unknown_things_are_bounded() -> None:
    kinds = [{"T": f"kind{number}"} for number in range(500)]
    parsed = parse({"T": "x" * 1000}, {"T": "\u2028"}, {"T": ""}, *kinds)
    assert parsed.unknown["message:?"] == 3 + 500 - (LABELS_MAX - 1)
    assert len(parsed.unknown) == LABELS_MAX
    assert sum(parsed.unknown.values()) == 503


def test_unknown_venues_and_conditions_are_counted_and_the_trade_is_kept() -> None:
    parsed = parse(TRADE | {"x": "!", "c": ["@", "!"]}, TRADE | {"c": ["!"]}, TRADE | {"z": "A", "c": ["G"]})
    assert dict(parsed.unknown) == {"venue:!": 1, "condition:C:!": 2, "condition:A:G": 1}
    (columns,) = parsed.columns
    assert columns["venue"].tolist() == [b"", b"XNAS", b"XNAS"]
    assert columns["event_id"].tolist() == [5 << 8, 5 << 8 | CODES["XNAS"], 5 << 8 | CODES["XNAS"]]


def test_more_digits_than_float64_keeps_are_flagged_and_counted() -> None:
    parsed = parse(TRADE | {"p": 0.1234567890123456}, TRADE | {"p": 0.123456789012345}, TRADE)
    (columns,) = parsed.columns
    assert (columns["flags"] & Flag.ROUNDED).astype(bool).tolist() == [True, False, False]
    assert dict(parsed.unknown) == {"rounded:t": 1}


def test_a_missing_receive_time_is_the_venues_and_flagged() -> None:
    frame = Frame(0, json.dumps([TRADE]).encode())
    trade = only(AlpacaParser("alpaca", "json").parse([frame]))
    assert trade.ts_recv_ns == trade.ts_event_ns
    assert trade.flags & Flag.NO_RECV_TIME


def test_null_lists_are_empty_ones() -> None:
    trade = only(parse(TRADE | {"c": None}))
    assert trade.conditions == ""


@pytest.mark.parametrize(
    ("day", "unit", "shares"),
    [("2025-11-02", 0, 200.0), ("2025-11-03", 0, 2.0), ("2025-11-02", 1, 2.0), ("2026-01-05", 100, 200.0)],
)
def test_quote_sizes_become_shares(day: str, unit: int, shares: float) -> None:
    quote = only(parse(QUOTE | {"t": f"{day}T15:00:00Z"}, unit=unit))
    assert isinstance(quote, Quote)
    assert (quote.bid_size, quote.ask_size) == (shares, shares * 1.5)


def test_equal_quotes_at_one_instant_are_one_state_whenever_received() -> None:
    parser = AlpacaParser("alpaca", "json")
    payload = json.dumps([QUOTE, QUOTE | {"bs": 5}]).encode()
    (columns,) = parser.parse([Frame(1, payload), Frame(2, payload)]).columns
    first, changed, again, changed_again = columns["event_id"].tolist()
    assert (first, changed) == (again, changed_again)
    assert first != changed


def test_a_minute_bar() -> None:
    bar = only(parse(BAR))
    assert isinstance(bar, Bar)
    assert (bar.open, bar.high, bar.low, bar.close, bar.volume) == (388.985, 389.13, 388.975, 389.12, 49378.0)
    assert (bar.trades, bar.vwap, bar.interval, bar.session) == (461, 389.062639, "1m", "regular")
    assert bar.ts_close_ns - bar.ts_open_ns == 60 * 10**9
    assert (bar.revision, bar.is_final) == (0, True)


def test_an_updated_bar_is_a_revision() -> None:
    assert only(parse(BAR | {"T": "u"})).revision == 1


def test_a_daily_bar_ends_at_the_next_midnight_of_the_venue() -> None:
    # 2021-03-14 has 23 hours in New York.
    bar = only(parse(BAR | {"T": "d", "t": "2021-03-14T05:00:00Z"}))
    assert (bar.interval, bar.session, bar.is_final) == ("1d", "day", False)
    assert bar.ts_close_ns - bar.ts_open_ns == 23 * 3_600 * 10**9


def test_bars_of_all_kinds_stay_in_their_order() -> None:
    kinds = ["b", "u", "d", "u", "b"]
    parsed = parse(*[BAR | {"T": kind, "S": f"S{row}"} for row, kind in enumerate(kinds)])
    (columns,) = parsed.columns
    assert columns["symbol"].tolist() == [b"S0", b"S1", b"S2", b"S3", b"S4"]
    assert columns["interval"].tolist() == [b"1m", b"1m", b"1d", b"1m", b"1m"]


def test_corrections_and_cancels_name_the_trade_they_mean() -> None:
    trade = only(parse(TRADE | {"i": 52983525033527, "x": "M", "z": "B"}))
    when = {"t": "2026-01-05T14:31:00Z"}
    cancel = {"T": "x", "S": "AAPL", "i": 52983525033527, "x": "M", "p": 187.15, "s": 100, "a": "E", "z": "B"}
    correct = {"T": "c", "S": "AAPL", "x": "M", "oi": 52983525033527, "op": 187.15, "os": 100, "oc": ["@"]}
    correct |= {"ci": 52983525034326, "cp": 187.16, "cs": 90, "cc": [" ", "7"], "z": "B"}
    parsed = parse(cancel | when, correct | when, cancel | when | {"a": "?"})
    (columns,) = parsed.columns
    error, correction, odd = columns.to_records()
    assert isinstance(error, Correction)
    assert error.original_event_id == correction.original_event_id == trade.event_id
    assert error.trade_id == correction.trade_id == trade.trade_id
    assert [record.action for record in (error, correction, odd)] == ["error", "correct", "cancel"]
    assert (correction.price, correction.size, correction.conditions) == (187.16, 90.0, " ,7")
    assert correction.corrected_trade_id == "52983525034326"
    assert correction.flags == Flag.UPDATES_VOLUME
    assert np.isnan([error.price, error.size]).all()
    assert (error.original_price, error.original_size) == (187.15, 100.0)
    assert dict(parsed.unknown) == {"cancel:?": 1}


@pytest.mark.parametrize(
    ("tape", "code", "reason", "action"),
    [
        ("C", "H", "T12", "halt"),
        ("C", "H", "LUDP", "pause"),
        ("C", "P", "", "pause"),
        ("C", "Q", "T3", "quote_only"),
        ("C", "T", "", "resume"),
        ("A", "2", "P", "halt"),
        ("A", "2", "M", "pause"),
        ("B", "3", "", "resume"),
        ("A", "E", "", "other"),
        ("A", "H", "", "other"),
    ],
)
def test_status_codes_are_read_by_their_tape(tape: str, code: str, reason: str, action: str) -> None:
    message = {"T": "s", "S": "AAPL", "sc": code, "sm": "Text", "rc": reason, "rm": "", "z": tape}
    status = only(parse(message | {"t": "2026-01-05T14:31:00Z"}))
    assert isinstance(status, Status)
    assert status.action == action
    assert status.reason == (reason or f"{code} Text")


def test_a_long_reason_is_cut_rather_than_the_halt_lost() -> None:
    message = {"T": "s", "S": "AAPL", "sc": "H", "rc": "T12", "rm": "é" * 200, "z": "C"}
    parsed = parse(message | {"t": "2026-01-05T14:31:00Z"})
    status = only(parsed)
    assert status.reason == "T12 " + "é" * 61
    assert dict(parsed.unknown) == {"cut:s": 1}


def test_price_bands() -> None:
    message = {"T": "l", "S": "IONM", "u": 3.24, "d": 2.65, "i": "B", "z": "C", "t": "2026-01-05T14:31:00Z"}
    status = only(parse(message))
    assert (status.action, status.reason, status.limit_up, status.limit_down) == ("bands", "B", 3.24, 2.65)


def test_errors_in_the_stream_become_notices() -> None:
    slow, plan = parse(
        TRADE, {"T": "error", "code": 407, "msg": "slow client"}, {"T": "error", "code": 409, "msg": "x"}
    ).notices
    assert isinstance(slow, FeedDisconnected)
    assert isinstance(plan, FeedRejected)
    assert (slow.code, plan.code) == (407, 409)


def test_control_messages_leave_no_trace() -> None:
    parsed = parse({"T": "success", "msg": "connected"}, {"T": "subscription", "trades": ["A"], "news": None})
    assert parsed == Parsed()


def test_the_day_is_new_yorks() -> None:
    trade = only(parse(TRADE | {"t": "2026-01-06T00:30:00Z"}))
    assert isinstance(trade, Trade)
    assert trade.day == (date(2026, 1, 5) - date(1970, 1, 1)).days
