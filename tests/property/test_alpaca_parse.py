"""The Alpaca parser against a slow one written another way, in both encodings, and under mutation."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ticktrail.feeds import Frame, Parsed
from ticktrail.feeds.alpaca.parse import AlpacaParser
from ticktrail.model import Flag
from ticktrail.model.conditions import sale_condition_flags
from ticktrail.model.venues import CODES, MIC_OF_LETTER
from ticktrail.testing.feed_contract import assert_sound, records_of

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NEW_YORK = ZoneInfo("America/New_York")
END_S = int(datetime(2200, 1, 1, tzinfo=UTC).timestamp())
RECV_NS = 1_767_623_400_000_000_000

JSON = AlpacaParser("alpaca", "json")
MSGPACK = AlpacaParser("alpaca", "msgpack")

times = st.one_of(
    st.integers(0, END_S * 10**9 - 1),
    st.integers(RECV_NS, RECV_NS + 10**9),
    st.integers(0, END_S - 1).map(lambda seconds: seconds * 10**9),
)
symbols = st.one_of(
    st.sampled_from(["AAPL", "BRK.B", "Ü"]),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=20),
)
prices = st.one_of(
    st.integers(1, 10**8).map(lambda cents: cents / 100),
    st.integers(1, 10**9).map(lambda units: units / 10**4),
    st.floats(1e-6, 1e9),
)
sizes = st.one_of(st.integers(0, 10**7), st.floats(0, 1e12))
ids = st.one_of(st.integers(0, 2**55 - 1), st.integers(0, 1000))
letters = st.sampled_from([*MIC_OF_LETTER, "", "?"])
conditions = st.lists(st.sampled_from(["@", " ", "F", "T", "I", "7", "M", "9", "?"]), max_size=4)
tapes = st.sampled_from(["A", "B", "C", "O", ""])


def message(kind: str, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"T": st.just(kind), "S": symbols, **fields, "t": times})


trades = message("t", i=ids, x=letters, p=prices, s=sizes, c=conditions, z=tapes)
quotes = message(
    "q",
    bx=letters,
    bp=st.just(0.0) | prices,
    bs=sizes,
    ax=letters,
    ap=prices,
    c=conditions,
    z=tapes,
    **{"as": sizes},
)
corrections = message(
    "c",
    x=letters,
    oi=ids,
    op=prices,
    os=sizes,
    oc=conditions,
    ci=ids,
    cp=prices,
    cs=sizes,
    cc=conditions,
    z=tapes,
)
cancels = message("x", i=ids, x=letters, p=prices, s=sizes, a=st.sampled_from(["C", "E"]), z=tapes)
lulds = message("l", u=prices, d=prices, i=st.sampled_from(["A", "B"]), z=tapes)
statuses = message(
    "s",
    sc=st.sampled_from(["H", "T", "2", "3", "Q", "E"]),
    sm=st.text(max_size=40),
    rc=st.sampled_from(["", "T12", "LUDP", "M"]),
    rm=st.text(max_size=300),
    z=tapes,
)
bars = message("b", o=prices, h=prices, l=prices, c=prices, v=sizes, n=st.integers(0, 10**6), vw=prices)
sound_messages = st.one_of(trades, quotes, corrections, cancels, lulds, statuses)
batches = st.lists(st.lists(sound_messages, max_size=6), max_size=4)


def as_json(messages: list[dict[str, Any]]) -> bytes:
    return json.dumps([m | {"t": rfc3339(m["t"])} if "t" in m else m for m in messages]).encode()


def as_msgpack(messages: list[dict[str, Any]]) -> bytes:
    return msgspec.msgpack.encode([m | {"t": timestamp(m["t"])} if "t" in m else m for m in messages])


def rfc3339(ts_ns: int) -> str:
    text = (EPOCH + timedelta(seconds=ts_ns // 10**9)).strftime("%Y-%m-%dT%H:%M:%S")
    decimals = f"{ts_ns % 10**9:09}".rstrip("0")
    return f"{text}.{decimals}Z" if decimals else f"{text}Z"


def timestamp(ts_ns: int) -> msgspec.msgpack.Ext:
    seconds, nanoseconds = divmod(ts_ns, 10**9)
    if nanoseconds == 0 and seconds < 2**32:
        return msgspec.msgpack.Ext(-1, seconds.to_bytes(4, "big"))
    return msgspec.msgpack.Ext(-1, (nanoseconds << 34 | seconds).to_bytes(8, "big"))


def parse(parser: AlpacaParser, payloads: list[bytes]) -> Parsed:
    parsed = parser.parse([Frame(RECV_NS + index, payload) for index, payload in enumerate(payloads)])
    assert_sound(parsed)
    return parsed


def local_day(ts_ns: int) -> int:
    local = (EPOCH + timedelta(seconds=ts_ns // 10**9)).astimezone(NEW_YORK)
    return (local.date() - date(1970, 1, 1)).days


def digits(value: float) -> int:
    return next(count for count in range(1, 18) if float(f"{value:.{count - 1}e}") == value)


@given(st.lists(st.lists(trades, max_size=6), max_size=4))
def test_trades_are_what_a_plain_reading_gives(batch: list[list[dict[str, Any]]]) -> None:
    parsed = parse(JSON, [as_json(messages) for messages in batch])
    rows = [row for rows in records_of(parsed).values() for row in rows]
    expected = [(index, m) for index, messages in enumerate(batch) for m in messages]
    assert len(rows) == len(expected)
    for row, (index, m) in zip(rows, expected, strict=True):
        mic = MIC_OF_LETTER.get(m["x"], "")
        rounded = Flag.ROUNDED if max(digits(m["p"]), digits(float(m["s"]))) > 15 else 0
        assert (row.symbol, row.price, row.size) == (m["S"], m["p"], float(m["s"]))
        assert row.ts_event_ns == row.ts_ns == m["t"]
        assert row.ts_recv_ns == RECV_NS + index
        assert row.day == local_day(m["t"])
        assert (row.venue, row.tape, row.conditions) == (mic, m["z"], ",".join(m["c"]))
        assert (row.trade_id, row.event_id) == (str(m["i"]), m["i"] << 8 | CODES[mic])
        assert row.flags == sale_condition_flags(m["z"], row.conditions) | rounded


@given(st.lists(st.lists(quotes, max_size=6), max_size=4))
def test_quotes_are_what_a_plain_reading_gives(batch: list[list[dict[str, Any]]]) -> None:
    parsed = parse(JSON, [as_json(messages) for messages in batch])
    rows = [row for rows in records_of(parsed).values() for row in rows]
    expected = [m for messages in batch for m in messages]
    assert len(rows) == len(expected)
    content_of: dict[int, tuple[Any, ...]] = {}
    for row, m in zip(rows, expected, strict=True):
        unit = 1 if row.day >= (date(2025, 11, 3) - date(1970, 1, 1)).days else 100
        assert (row.bid_price, row.bid_size) == (m["bp"], m["bs"] * float(unit))
        assert (row.ask_price, row.ask_size) == (m["ap"], m["as"] * float(unit))
        assert (row.bid_venue, row.ask_venue) == (
            MIC_OF_LETTER.get(m["bx"], ""),
            MIC_OF_LETTER.get(m["ax"], ""),
        )
        content: tuple[Any, ...] = (
            row.bid_price,
            row.bid_size,
            row.ask_price,
            row.ask_size,
            row.bid_venue,
            row.ask_venue,
        )
        content += (row.tape, row.conditions)
        assert content_of.setdefault(row.event_id, content) == content


@given(batches)
def test_both_encodings_give_the_same(batch: list[list[dict[str, Any]]]) -> None:
    from_json = parse(JSON, [as_json(messages) for messages in batch])
    from_msgpack = parse(MSGPACK, [as_msgpack(messages) for messages in batch])
    assert records_of(from_json) == records_of(from_msgpack)
    assert from_json.unknown == from_msgpack.unknown
    assert not from_json.rejected
    assert not from_msgpack.rejected
    assert sum(map(len, from_json.columns)) == sum(map(len, batch))


@given(batches)
def test_order_is_kept_within_each_record_type(batch: list[list[dict[str, Any]]]) -> None:
    record_of = {
        "t": "Trade",
        "q": "Quote",
        "c": "Correction",
        "x": "Correction",
        "l": "Status",
        "s": "Status",
    }
    expected: dict[str, list[tuple[str, int]]] = {}
    for messages in batch:
        for m in messages:
            expected.setdefault(record_of[m["T"]], []).append((m["S"], m["t"]))
    parsed = records_of(parse(JSON, [as_json(messages) for messages in batch]))
    got = {kind.__name__: [(row.symbol, row.ts_event_ns) for row in rows] for kind, rows in parsed.items()}
    assert got == expected


nonsense = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=5),
    st.text(min_size=128, max_size=140),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=2),
    st.sampled_from([-1.0, 1e30, "a\0", "2026-13-01T00:00:00Z", "1969-12-31T23:59:59Z"]),
)


@st.composite
def damaged_messages(draw: st.DrawFn) -> Any:
    m = draw(sound_messages)
    m = m | {"t": rfc3339(m["t"])}
    match draw(st.sampled_from(["replace", "remove", "add", "kind", "whole", "keep"])):
        case "replace":
            m[draw(st.sampled_from(sorted(m)))] = draw(nonsense)
        case "remove":
            del m[draw(st.sampled_from(sorted(m)))]
        case "add":
            m[draw(st.text(max_size=20))] = draw(nonsense)
        case "kind":
            m["T"] = draw(st.sampled_from(["i", "n", "zz", "success", "error", "subscription"]))
        case "whole":
            return draw(nonsense)
    return m


@given(st.lists(damaged_messages(), max_size=6))
@example([{"T": "t", "S": "A", "i": 1, "p": 1, "s": 1, "t": "2026-01-05T00:00:00Z", "pks": 1}])
def test_every_message_of_a_frame_is_accounted_for(messages: list[Any]) -> None:
    parsed = parse(JSON, [json.dumps(messages).encode()])
    rows = sum(map(len, parsed.columns))
    strangers = sum(count for label, count in parsed.unknown.items() if label.startswith("message:"))
    control = sum(1 for m in messages if isinstance(m, dict) and m.get("T") in ("success", "subscription"))
    accounted = rows + len(parsed.rejected) + strangers + len(parsed.notices)
    # Control messages leave no trace when sound, and are rejected when not.
    assert len(messages) - control <= accounted <= len(messages)


@given(st.lists(sound_messages, min_size=1, max_size=4), st.data())
@settings(max_examples=150)
def test_no_mutation_of_a_frame_raises_or_goes_unnoticed(
    messages: list[dict[str, Any]], data: st.DataObject
) -> None:
    is_json = data.draw(st.booleans())
    parser, payload = (JSON, as_json(messages)) if is_json else (MSGPACK, as_msgpack(messages))
    cut = payload[: data.draw(st.integers(0, len(payload) - 1))]
    parsed = parse(parser, [cut])
    assert [rejected.payload for rejected in parsed.rejected] == [cut]
    changed = bytearray(payload)
    for _ in range(data.draw(st.integers(1, 3))):
        changed[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    parsed = parse(parser, [bytes(changed), payload])
    assert sum(map(len, parsed.columns)) >= len(messages)


@given(st.binary(max_size=200))
def test_no_bytes_raise(payload: bytes) -> None:
    for parser in (JSON, MSGPACK):
        parsed = parse(parser, [payload])
        assert not parsed.columns or payload


@given(st.lists(bars, min_size=1, max_size=3), st.sampled_from("bud"))
@settings(max_examples=30)
def test_bars_keep_their_numbers(messages: list[dict[str, Any]], kind: str) -> None:
    sent = [m | {"T": kind} for m in messages]
    (rows,) = records_of(parse(JSON, [as_json(sent)])).values()
    for row, m in zip(rows, sent, strict=True):
        assert (row.open, row.high, row.low, row.close) == (m["o"], m["h"], m["l"], m["c"])
        assert (row.volume, row.trades, row.vwap) == (m["v"], m["n"], m["vw"] if m["v"] else None)
        assert row.interval == ("1d" if kind == "d" else "1m")
        assert (row.revision, row.is_final) == (int(kind == "u"), kind != "d")
        assert row.ts_close_ns > row.ts_open_ns == m["t"]
