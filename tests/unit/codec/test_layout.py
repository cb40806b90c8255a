"""The wire format itself: it is read by other programs and by later versions, so it is pinned here."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto

import ticktrail
from ticktrail.codec import encode_record, ticktrail_pb2
from ticktrail.codec.layout import layout_of
from ticktrail.model import KIND_OF, Kind, Record, Trade, column_dtypes

SOURCE = Path(ticktrail.__file__).parent
PROTO_TYPES = {
    "<i8": FieldDescriptorProto.TYPE_SFIXED64,
    "<i4": FieldDescriptorProto.TYPE_SFIXED32,
    "<f8": FieldDescriptorProto.TYPE_DOUBLE,
    "|b1": FieldDescriptorProto.TYPE_FIXED32,
    "|S0": FieldDescriptorProto.TYPE_STRING,
}


def described() -> FileDescriptorProto:
    return FileDescriptorProto.FromString(ticktrail_pb2.DESCRIPTOR.serialized_pb)


def test_the_generated_modules_are_those_of_the_proto_file(tmp_path: Path) -> None:
    proto = "ticktrail/codec/ticktrail.proto"
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{SOURCE.parent}"]
    subprocess.run([*command, f"--python_out={tmp_path}", f"--pyi_out={tmp_path}", proto], check=True)
    for name in ("ticktrail_pb2.py", "ticktrail_pb2.pyi"):
        generated = (tmp_path / "ticktrail" / "codec" / name).read_text()
        assert generated == (SOURCE / "codec" / name).read_text(), "run `make proto`"


@pytest.mark.parametrize("record", KIND_OF)
def test_the_message_has_the_fields_of_the_record(record: type[Record]) -> None:
    (message,) = [each for each in described().message_type if each.name == record.__name__]
    kind, *fields = message.field
    assert (kind.name, kind.number, kind.type) == ("kind", 1, FieldDescriptorProto.TYPE_FIXED32)
    expected = {name: PROTO_TYPES[dtype.str] for name, dtype in column_dtypes(record).items()}
    assert {field.name: field.type for field in fields} == expected


@pytest.mark.parametrize("record", KIND_OF)
def test_numbers_come_first_and_every_field_is_optional(record: type[Record]) -> None:
    (message,) = [each for each in described().message_type if each.name == record.__name__]
    assert all(field.proto3_optional for field in message.field)
    texts = [field.number for field in message.field if field.type == field.TYPE_STRING]
    numbers = [field.number for field in message.field if field.type != field.TYPE_STRING]
    assert numbers == list(range(1, len(numbers) + 1))
    assert max(numbers) < 16
    assert texts == list(range(16, 16 + len(texts)))


def test_kinds_are_never_renumbered() -> None:
    assert {kind.name: int(kind) for kind in Kind} == {
        "TRADE": 1,
        "QUOTE": 2,
        "BAR": 3,
        "STATUS": 4,
        "CORRECTION": 5,
        "GAP": 6,
        "HEARTBEAT": 7,
        "ALERT": 8,
    }


def test_a_trade_on_the_wire() -> None:
    """Written out by hand from the Protobuf encoding: tag (number << 3 | wire type), then the value."""
    trade = Trade(
        feed="sim",
        symbol="BRK.B",
        day=20_000,
        ts_ns=1_700_000_000_000_000_000,
        event_id=-2,
        ts_event_ns=1_700_000_000_000_000_001,
        ts_recv_ns=1_700_000_000_000_000_002,
        price=412.125,
        size=100.0,
        sequence=7,
        flags=5,
        venue="XNYS",
        tape="A",
        side="N",
        conditions="",
        trade_id="t-1",
    )
    numbers = [
        b"\x0d" + struct.pack("<I", 1),
        b"\x15" + struct.pack("<i", 20_000),
        b"\x19" + struct.pack("<q", 1_700_000_000_000_000_000),
        b"\x21" + struct.pack("<q", -2),
        b"\x29" + struct.pack("<q", 1_700_000_000_000_000_001),
        b"\x31" + struct.pack("<q", 1_700_000_000_000_000_002),
        b"\x39" + struct.pack("<d", 412.125),
        b"\x41" + struct.pack("<d", 100.0),
        b"\x49" + struct.pack("<q", 7),
        b"\x55" + struct.pack("<i", 5),
    ]
    texts = [
        b"\x82\x01\x03sim",
        b"\x8a\x01\x05BRK.B",
        b"\x92\x01\x04XNYS",
        b"\x9a\x01\x01A",
        b"\xa2\x01\x01N",
        b"\xaa\x01\x00",
        b"\xb2\x01\x03t-1",
    ]
    assert encode_record(trade) == b"".join(numbers + texts)


@pytest.mark.parametrize("kind", Kind)
def test_numbers_lie_as_numpy_reads_them(kind: Kind) -> None:
    layout = layout_of(kind)
    offset = 0
    for name in layout.tags:
        dtype, at = layout.prefix.fields[name][:2]  # type: ignore[index]
        assert at == offset + 1
        offset = at + dtype.itemsize
    assert layout.prefix.itemsize == offset
