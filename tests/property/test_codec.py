"""The columnar codec against the general one, on everything that may stand in a topic."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Any
from unittest import mock

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ticktrail.codec import (
    DecodedRecord,
    columnar,
    decode,
    decode_columns,
    decode_record,
    encode_columns,
    encode_record,
)
from ticktrail.codec.layout import layout_of
from ticktrail.errors import CodecError
from ticktrail.model import KIND_OF, TEXT_BYTES_MAX, Columns, Heartbeat, Record, Trade, column_dtypes

RECORDS = list(KIND_OF)

# Short texts keep the examples readable; the long ones are those at the limit.
texts = st.one_of(
    st.sampled_from(["", "A", "BRK.B", "Ünï", "価格", "🐟", "x" * TEXT_BYTES_MAX, "é" * 63, "\x7f", " "]),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=31),
)
floats = st.one_of(st.sampled_from([0.0, -0.0, float("nan"), float("inf"), 1.1, 5e-324]), st.floats())


def integers(bits: int) -> st.SearchStrategy[int]:
    least, greatest = -(1 << bits - 1), (1 << bits - 1) - 1
    return st.one_of(st.sampled_from([0, -1, least, greatest]), st.integers(least, greatest))


VALUES = {"S": texts, "f8": floats, "b1": st.booleans(), "i4": integers(32), "i8": integers(64)}


def records_of(record: type[Record]) -> st.SearchStrategy[Any]:
    fields = {
        name: VALUES["S" if dtype.kind == "S" else dtype.str[1:]]
        for name, dtype in column_dtypes(record).items()
    }
    return st.builds(record, **fields)


records: st.SearchStrategy[Any] = st.sampled_from(RECORDS).flatmap(records_of)
same_kind = st.sampled_from(RECORDS).flatmap(lambda record: st.lists(records_of(record), min_size=1))


def bits(record: Record) -> tuple[Any, ...]:
    """Make a record comparable: NaN equals NaN, and -0.0 does not equal 0.0."""
    values = msgspec.structs.astuple(record)
    return (
        type(record),
        *(struct.pack("<d", value) if isinstance(value, float) else (type(value), value) for value in values),
    )


def general(value: bytes) -> DecodedRecord | str:
    """Decode by the general path: the record, or the reason against it."""
    try:
        return decode_record(value)
    except CodecError as error:
        return error.reason


def assert_agree(values: Sequence[bytes]) -> None:
    """Assert that decoding together is decoding one by one, and that every value is accounted for."""
    expected = [general(value) for value in values]
    decoded = decode_columns(values)
    found: dict[int, Any] = {index: error.reason for index, error in decoded.rejected}
    for record, (columns, rows) in decoded.kinds.items():
        assert columns.record is record
        assert (rows[1:] > rows[:-1]).all()
        for index, each in zip(rows.tolist(), columns.to_records(), strict=True):
            assert index not in found
            found[index] = bits(each)
    wanted = [bits(each.record) if isinstance(each, DecodedRecord) else each for each in expected]
    assert [found[index] for index in sorted(found)] == wanted
    known = (each for each in expected if isinstance(each, DecodedRecord))
    assert decoded.unknown_fields == sum(each.unknown_fields for each in known)


# --- what ticktrail writes ---------------------------------------------------------------------------


@given(same_kind)
def test_both_encoders_write_the_same_bytes(same: list[Record]) -> None:
    columns = Columns.from_records(type(same[0]), same)
    assert encode_columns(columns) == [encode_record(record) for record in same]


@given(st.lists(records))
def test_what_is_written_is_read(several: list[Record]) -> None:
    values = [encode_record(record) for record in several]
    assert [bits(decode(value)) for value in values] == [bits(record) for record in several]
    assert_agree(values)
    assert not decode_columns(values).rejected


ascii_texts = st.text(st.characters(min_codepoint=1, max_codepoint=127), max_size=TEXT_BYTES_MAX)


plain_beats = st.builds(Heartbeat, feed=ascii_texts, ts_recv_ns=integers(64), since_ns=integers(64))


@given(st.lists(plain_beats, min_size=1))
def test_plain_values_take_the_fast_path(beats: list[Heartbeat]) -> None:
    values = encode_columns(Columns.from_records(Heartbeat, beats))
    with mock.patch.object(columnar, "decode_record", side_effect=AssertionError):
        assert decode_columns(values).kinds[Heartbeat].columns.to_records() == beats


@given(st.lists(plain_beats, min_size=1), st.data())
def test_heartbeats_of_before_still_decode(beats: list[Heartbeat], data: st.DataObject) -> None:
    """Those in the log from before `since_ns` lack it, and may stand between new ones."""
    is_old = [data.draw(st.booleans()) for _ in beats]
    values = [
        joined([field for field in split(encode_record(each)) if field[0] != 3])
        if old
        else encode_record(each)
        for each, old in zip(beats, is_old, strict=True)
    ]
    expected = [
        msgspec.structs.replace(each, since_ns=0) if old else each
        for each, old in zip(beats, is_old, strict=True)
    ]
    assert [decode(value) for value in values] == expected
    assert_agree(values)


@given(st.text(max_size=140), st.sampled_from(["feed", "trade_id"]))
@example("x" * 128, "feed")
@example("x" * 127, "feed")
@example("é" * 64, "trade_id")
@example("a\0b", "trade_id")
def test_texts_that_do_not_fit_are_refused_and_all_others_written(text: str, name: str) -> None:
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        return  # lone surrogates exist in Python only
    trade = msgspec.structs.replace(TRADE, **{name: text})
    expected = "text_has_nul" if "\0" in text else "text_too_long" if size > TEXT_BYTES_MAX else bits(trade)
    found: Any
    try:
        found = bits(decode(encode_record(trade)))
    except CodecError as error:
        found = error.reason
    assert found == expected


TRADE = Trade(
    feed="f", symbol="S", day=1, ts_ns=2, event_id=3, ts_event_ns=4, ts_recv_ns=5, price=6.5, size=7.0
)


def test_a_long_column_of_short_texts_is_no_long_text() -> None:
    columns = Columns.from_records(Trade, [TRADE])
    wide = columns.replace(symbol=columns["symbol"].astype(f"S{TEXT_BYTES_MAX + 1}"))
    assert encode_columns(wide) == encode_columns(columns)


def test_a_long_text_in_columns_is_refused() -> None:
    columns = Columns.from_records(Trade, [TRADE, TRADE])
    with pytest.raises(CodecError) as caught:
        encode_columns(columns.replace(symbol=b"x" * (TEXT_BYTES_MAX + 1)))
    assert caught.value.reason == "text_too_long"


@pytest.mark.parametrize("record", RECORDS)
def test_no_rows(record: type[Record]) -> None:
    assert encode_columns(Columns.from_records(record, [])) == []
    assert decode_columns([]) == ({}, [], 0)


# --- what others may write ---------------------------------------------------------------------------

VARINT, FIXED64, DELIMITED, FIXED32 = 0, 1, 2, 5
Field = tuple[int, int, bytes]


def varint(number: int) -> bytes:
    groups = []
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*groups, number])


def joined(fields: Sequence[Field]) -> bytes:
    return b"".join(
        varint(number << 3 | wire_type)
        + (varint(len(payload)) + payload if wire_type == DELIMITED else payload)
        for number, wire_type, payload in fields
    )


def split(value: bytes) -> Iterator[Field]:
    """Take one of our own encodings apart, in plain Python: tags of one or two bytes, lengths of one."""
    at = 0
    while at < len(value):
        tag = value[at] if value[at] < 0x80 else value[at] & 0x7F | value[at + 1] << 7
        at += 1 if value[at] < 0x80 else 2
        number, wire_type = tag >> 3, tag & 7
        size = {FIXED64: 8, FIXED32: 4}.get(wire_type)
        if size is None:
            size, at = value[at], at + 1
        yield number, wire_type, value[at : at + size]
        at += size


@given(records)
def test_the_parts_of_a_value_are_its_fields(record: Record) -> None:
    value = encode_record(record)
    assert joined(list(split(value))) == value
    assert [number for number, _, _ in split(value)] == sorted(
        field.number for field in layout_fields(type(record))
    )


def layout_fields(record: type[Record]) -> Any:
    return layout_of(KIND_OF[record]).message.DESCRIPTOR.fields


unknown_fields = st.one_of(
    st.tuples(st.integers(60, 5000), st.just(DELIMITED), st.binary(max_size=20)),
    st.tuples(st.integers(60, 5000), st.just(FIXED64), st.binary(min_size=8, max_size=8)),
    st.tuples(st.integers(60, 5000), st.just(FIXED32), st.binary(min_size=4, max_size=4)),
    st.tuples(st.integers(60, 5000), st.just(VARINT), st.integers(0, 2**64 - 1).map(varint)),
)


@given(st.lists(records, min_size=1, max_size=8), st.data())
def test_the_order_of_fields_does_not_matter(several: list[Record], data: st.DataObject) -> None:
    values = [joined(data.draw(st.permutations(list(split(encode_record(each)))))) for each in several]
    assert_agree(values)
    assert [bits(decode(value)) for value in values] == [bits(each) for each in several]


@given(st.lists(records, min_size=1, max_size=8), st.data())
def test_fields_that_nobody_knows_are_skipped_and_counted(several: list[Record], data: st.DataObject) -> None:
    added = [data.draw(st.lists(unknown_fields, max_size=3)) for _ in several]
    values = [encode_record(each) + joined(more) for each, more in zip(several, added, strict=True)]
    assert_agree(values)
    assert decode_columns(values).unknown_fields == sum(map(len, added))
    assert [bits(decode(value)) for value in values] == [bits(each) for each in several]


@given(st.lists(records, min_size=1, max_size=8), st.data())
def test_missing_fields_have_their_default_or_are_missed(several: list[Record], data: st.DataObject) -> None:
    values = []
    for each in several:
        fields = list(split(encode_record(each)))
        left_out = data.draw(st.sets(st.sampled_from([number for number, _, _ in fields]), max_size=3))
        values.append(joined([field for field in fields if field[0] not in left_out]))
        assert general(values[-1]) == general_without(each, left_out)
    assert_agree(values)


def general_without(record: Record, left_out: set[int]) -> DecodedRecord | str:
    """Say what is left of a record, from its own defaults."""
    names = {field.name for field in layout_fields(type(record)) if field.number in left_out}
    if "kind" in names:
        return "unknown_kind"
    kept = {name: value for name, value in msgspec.structs.asdict(record).items() if name not in names}
    try:
        return ComparableRecord(type(record)(**kept), 0)
    except TypeError:
        return "missing_field"


class ComparableRecord(DecodedRecord):
    """Equal where all bits are."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DecodedRecord) and (bits(self[0]), self[1]) == (bits(other[0]), other[1])

    __hash__ = DecodedRecord.__hash__


@given(st.lists(records, min_size=2, max_size=6))
def test_values_behind_one_another_are_one_value(several: list[Record]) -> None:
    """Protobuf joins messages that follow one another: the last of each field counts."""
    assert_agree([b"".join(encode_record(each) for each in several), encode_record(several[0])])


def mutated(value: bytes, data: st.DataObject) -> bytes:
    how = data.draw(st.sampled_from(["keep", "flip", "cut", "insert", "drop", "repeat"]))
    if how == "keep" or not value:
        return value
    at = data.draw(st.integers(0, len(value) - 1))
    if how == "flip":
        return value[:at] + bytes([value[at] ^ data.draw(st.integers(1, 255))]) + value[at + 1 :]
    if how == "insert":
        return value[:at] + data.draw(st.binary(min_size=1, max_size=9)) + value[at:]
    end = data.draw(st.integers(at, min(at + 12, len(value))))
    return {"cut": value[:at], "drop": value[:at] + value[end:], "repeat": value[:end] + value[at:]}[how]


@given(st.lists(records, min_size=1, max_size=8), st.data())
def test_damaged_values_never_confuse_the_others(several: list[Record], data: st.DataObject) -> None:
    assert_agree([mutated(encode_record(each), data) for each in several])


headed = st.builds(
    lambda kind, rest: b"\x0d" + struct.pack("<I", kind) + rest, st.integers(0, 9), st.binary(max_size=80)
)


@given(st.lists(st.one_of(st.binary(max_size=12), headed), max_size=12))
@example([b""])
@example([b"", b"\x0d\x01\0\0\0", b"\x0d"])
def test_any_bytes_are_a_record_or_refused(values: list[bytes]) -> None:
    assert_agree(values)
    for value in values:
        if isinstance(general(value), str):
            with pytest.raises(CodecError):
                decode(value)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", "unknown_kind"),
        (b"\x0d\x63\0\0\0", "unknown_kind"),
        (b"junk", "not_protobuf"),
        (encode_record(TRADE)[:-1], "not_protobuf"),
        (encode_record(TRADE).replace(b"\x01S", b"\x01\xff"), "not_protobuf"),
        (encode_record(TRADE).replace(b"\x01S", b"\x01\0"), "text_has_nul"),
        (encode_record(TRADE).replace(b"\x01S", b"\x80\x01" + b"S" * 128), "text_too_long"),
        (b"\x0d\x01\0\0\0", "missing_field"),
    ],
)
def test_reasons(value: bytes, reason: str) -> None:
    assert general(value) == reason
    assert [error.reason for _, error in decode_columns([value]).rejected] == [reason]
    assert_agree([encode_record(TRADE), value, encode_record(TRADE)])
