"""Where each field of a message stands when ticktrail writes it.

Everything is derived from the ``.proto`` file's descriptors: a message of ours is a prefix of fixed length
(tag and value of each number), then texts (two tag bytes, one length byte, UTF-8).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, cast

import numpy as np
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from ticktrail.codec import ticktrail_pb2
from ticktrail.model import RECORD_OF, Kind, Record, column_dtypes

__all__ = ["KIND_DTYPE", "MessageLayout", "layout_of"]

_FIXED: dict[int, tuple[int, np.dtype[Any]]] = {
    FieldDescriptor.TYPE_SFIXED64: (1, np.dtype("<i8")),
    FieldDescriptor.TYPE_DOUBLE: (1, np.dtype("<f8")),
    FieldDescriptor.TYPE_SFIXED32: (5, np.dtype("<i4")),
    FieldDescriptor.TYPE_FIXED32: (5, np.dtype("<u4")),
}
_LENGTH_DELIMITED = 2

# The kind is field 1 of every message, so its five bytes stand at the same place in all of them.
KIND_DTYPE = np.dtype([("tag", "u1"), ("kind", "<u4")])


@dataclass(frozen=True, kw_only=True)
class MessageLayout:
    """How the messages of one kind look on the wire.

    Parameters
    ----------
    prefix
        Structured type of the numbers: fields ``tag.NAME`` and ``NAME`` in turn, unaligned.
    tags
        Expected value of each ``tag.NAME``.
    numbers
        Names of the numeric columns, without the kind.
    texts
        Names of the text columns, in their order.
    text_tags
        The two tag bytes of each text.
    """

    kind: Kind
    record: type[Record]
    message: type[Message]
    prefix: np.dtype
    tags: dict[str, int]
    numbers: tuple[str, ...]
    texts: tuple[str, ...]
    text_tags: dict[str, bytes]


@cache
def layout_of(kind: Kind) -> MessageLayout:
    """Derive the layout of a kind from its message's descriptor."""
    record = RECORD_OF[kind]
    message: type[Message] = getattr(ticktrail_pb2, record.__name__)
    prefix: list[tuple[str, np.dtype]] = []
    tags: dict[str, int] = {}
    texts: dict[str, bytes] = {}
    fields = cast("list[FieldDescriptor]", message.DESCRIPTOR.fields)
    for field in sorted(fields, key=lambda f: f.number):
        if field.type == FieldDescriptor.TYPE_STRING:
            tag = field.number << 3 | _LENGTH_DELIMITED
            texts[field.name] = bytes([tag & 0x7F | 0x80, tag >> 7])
        else:
            wire_type, dtype = _FIXED[field.type]
            tags[field.name] = field.number << 3 | wire_type
            prefix += [(f"tag.{field.name}", np.dtype("u1")), (field.name, dtype)]
    names = {*tags, *texts} - {"kind"}
    assert names == column_dtypes(record).keys(), f"ticktrail.proto and {record.__name__} differ"
    return MessageLayout(
        kind=kind,
        record=record,
        message=message,
        prefix=np.dtype(prefix),
        tags=tags,
        numbers=tuple(name for name in tags if name != "kind"),
        texts=tuple(texts),
        text_tags=texts,
    )
