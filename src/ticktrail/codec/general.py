"""One record at a time, through the Protobuf library: any valid encoding, no assumption about layout."""

from __future__ import annotations

from typing import Any, NamedTuple

from google.protobuf.message import DecodeError, Message
from google.protobuf.unknown_fields import UnknownFieldSet

from ticktrail.codec.layout import layout_of
from ticktrail.codec.ticktrail_pb2 import Heartbeat
from ticktrail.errors import CodecError
from ticktrail.model import KIND_OF, TEXT_BYTES_MAX, Kind, Record

__all__ = ["DecodedRecord", "decode_record", "encode_record"]

_KINDS = frozenset(int(kind) for kind in Kind)


class DecodedRecord(NamedTuple):
    """A record, and how many fields its message had that this version does not know."""

    record: Record
    unknown_fields: int


def encode_record(record: Record) -> bytes:
    """Encode one record.

    Raises
    ------
    CodecError
        If a text has more than `TEXT_BYTES_MAX` bytes or holds NUL, or a number does not fit its field.
    """
    kind = KIND_OF[type(record)]
    layout = layout_of(kind)
    values: dict[str, Any] = {"kind": int(kind)}
    for name in layout.numbers:
        value = getattr(record, name)
        values[name] = int(value) if isinstance(value, bool) else value
    for name in layout.texts:
        values[name] = _checked_text(name, getattr(record, name))
    try:
        return layout.message(**values).SerializeToString(deterministic=True)
    except (ValueError, TypeError) as error:
        raise CodecError(
            what=f"Cannot encode a {kind.name.lower()}", why=str(error), reason="bad_number"
        ) from error


def decode_record(value: bytes) -> DecodedRecord:
    """Decode one value.

    Raises
    ------
    CodecError
        With the reasons ``not_protobuf``, ``unknown_kind``, ``missing_field``, ``text_too_long``,
        ``text_has_nul``.
    """
    kind = _kind_of(value)
    layout = layout_of(kind)
    message = layout.message()
    _merge(message, value)
    values: dict[str, Any] = {}
    for name in (*layout.numbers, *layout.texts):
        if message.HasField(name):
            values[name] = getattr(message, name)
    for name in layout.texts:
        if name in values:
            _checked_text(name, values[name])
    if "is_final" in values:
        values["is_final"] = values["is_final"] != 0
    try:
        record = layout.record(**values)
    except TypeError as error:
        raise CodecError(
            what=f"Cannot decode a {kind.name.lower()}", why=str(error), reason="missing_field"
        ) from error
    return DecodedRecord(record, len(UnknownFieldSet(message)))


def _kind_of(value: bytes) -> Kind:
    # Any message will do: the kind is field 1 of all, and fields of others are skipped as unknown.
    probe = Heartbeat()
    _merge(probe, value)
    if not probe.HasField("kind") or probe.kind not in _KINDS:
        raise CodecError(
            what="Cannot decode a Kafka value",
            why=f"kind {probe.kind} is none that this version knows",
            next_step="A newer ticktrail, or another program, may be writing to this topic.",
            reason="unknown_kind",
        )
    return Kind(probe.kind)


def _merge(message: Message, value: bytes) -> None:
    try:
        message.MergeFromString(value)
    except DecodeError as error:
        raise CodecError(
            what="Cannot decode a Kafka value",
            why=f"these {len(value)} bytes are no valid Protobuf message ({error})",
            next_step="Another program may be writing to this topic.",
            reason="not_protobuf",
        ) from error


def _checked_text(name: str, text: str) -> str:
    if "\0" in text:
        raise CodecError(what=f"The text {name} holds a NUL character", reason="text_has_nul")
    if len(text.encode()) > TEXT_BYTES_MAX:
        raise CodecError(
            what=f"The text {name} is too long", why=f"over {TEXT_BYTES_MAX} bytes", reason="text_too_long"
        )
    return text
