"""Many records at once, with NumPy.

Encoding always takes this way. Decoding takes it for every value that looks as ticktrail writes it, which is
verified byte by byte (all tags, all lengths, plain ASCII texts without NUL); any other value goes to
`ticktrail.codec.general`. Both give the same records (``tests/property/test_codec.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ticktrail.codec.general import decode_record, encode_record
from ticktrail.codec.layout import KIND_DTYPE, MessageLayout, layout_of
from ticktrail.codec.packing import Bytes, PackedRows, TextPiece, gather_text, pack_rows
from ticktrail.errors import CodecError
from ticktrail.model import KIND_OF, TEXT_BYTES_MAX, Columns, Kind, Record

__all__ = ["Decoded", "DecodedKind", "decode_columns", "encode_columns"]

_KIND_TAG = 0x0D  # field 1, fixed32
_KIND_VALUES = frozenset(int(kind) for kind in Kind)

Index = npt.NDArray[np.int64]


class DecodedKind(NamedTuple):
    """The records of one kind, and which input value each came from (shape ``(n,)``, rising)."""

    columns: Columns[Any]
    rows: Index


class Decoded(NamedTuple):
    """What a batch of values held: with `rejected` it accounts for every value.

    Parameters
    ----------
    kinds
        One entry per record type that occurred.
    rejected
        Index of each value that is no record, with the reason.
    unknown_fields
        How many fields were skipped because this version does not know them.
    """

    kinds: dict[type[Record], DecodedKind]
    rejected: list[tuple[int, CodecError]]
    unknown_fields: int


def encode_columns(columns: Columns[Any]) -> list[bytes]:
    """Encode each row into one Kafka value.

    Raises
    ------
    CodecError
        If a text is longer than `TEXT_BYTES_MAX` bytes; parsers see to it that none is.
    """
    layout = layout_of(KIND_OF[columns.record])
    if not len(columns):
        return []
    if any(columns[name].dtype.itemsize > TEXT_BYTES_MAX for name in layout.texts):
        return [encode_record(record) for record in columns.to_records()]
    return _pack(layout, columns).rows()


def _pack(layout: MessageLayout, columns: Columns[Any]) -> PackedRows:
    count = len(columns)
    prefix = np.empty(count, dtype=layout.prefix)
    for name, tag in layout.tags.items():
        prefix[f"tag.{name}"] = tag
        prefix[name] = int(layout.kind) if name == "kind" else columns[name]
    pieces: list[Bytes | TextPiece] = [_as_matrix(prefix)]
    for name in layout.texts:
        text = TextPiece.of(columns[name])
        header = np.empty((count, 3), dtype=np.uint8)
        header[:, 0], header[:, 1] = layout.text_tags[name]
        header[:, 2] = text.lengths
        pieces += [header, text]
    return pack_rows(pieces)


def decode_columns(values: Sequence[bytes]) -> Decoded:
    """Decode many values of any kinds."""
    data = np.frombuffer(b"".join(values), dtype=np.uint8)
    lengths = np.fromiter(map(len, values), dtype=np.int64, count=len(values))
    ends = np.cumsum(lengths)
    starts = ends - lengths
    parts: dict[Kind, list[tuple[Columns[Any], Index]]] = {}
    taken = np.zeros(len(values), dtype=np.bool_)
    for kind, rows in _rows_by_kind(data, starts, lengths):
        columns, good = _decode_ours(layout_of(kind), data, starts[rows], ends[rows])
        if columns is not None:
            parts.setdefault(kind, []).append((columns, rows[good]))
            taken[rows[good]] = True
    rejected: list[tuple[int, CodecError]] = []
    others: dict[Kind, tuple[list[Record], list[int]]] = {}
    unknown_fields = 0
    for index in np.flatnonzero(~taken).tolist():
        try:
            record, unknown = decode_record(values[index])
        except CodecError as error:
            rejected.append((index, error))
            continue
        unknown_fields += unknown
        records, rows_of = others.setdefault(KIND_OF[type(record)], ([], []))
        records.append(record)
        rows_of.append(index)
    for kind, (records, rows_of) in others.items():
        columns = Columns.from_records(type(records[0]), records)
        parts.setdefault(kind, []).append((columns, np.array(rows_of, dtype=np.int64)))
    kinds = {layout_of(kind).record: _merge(pieces) for kind, pieces in parts.items()}
    return Decoded(kinds, rejected, unknown_fields)


def _rows_by_kind(data: Bytes, starts: Index, lengths: Index) -> list[tuple[Kind, Index]]:
    candidates = np.flatnonzero(lengths >= KIND_DTYPE.itemsize)
    if not len(candidates):
        return []
    head = _gather(data, starts[candidates], KIND_DTYPE)
    kinds = np.where(head["tag"] == _KIND_TAG, head["kind"], 0)
    return [
        (Kind(kind), candidates[kinds == kind]) for kind in np.unique(kinds).tolist() if kind in _KIND_VALUES
    ]


def _decode_ours(
    layout: MessageLayout, data: Bytes, starts: Index, ends: Index
) -> tuple[Columns[Any] | None, npt.NDArray[np.bool_]]:
    """Decode the rows that are laid out as we write them; tell which those are."""
    good = ends - starts >= layout.prefix.itemsize
    if not good.any():
        return None, good
    # Rows that are too short read the bytes of their neighbours here and are masked out by `good`.
    prefix = _gather(data, np.minimum(starts, len(data) - layout.prefix.itemsize), layout.prefix)
    for name, tag in layout.tags.items():
        good &= prefix[f"tag.{name}"] == tag
    cursor = starts + layout.prefix.itemsize
    spans: dict[str, tuple[Index, Index]] = {}
    last = len(data) - 1
    for name in layout.texts:
        first_tag, second_tag = layout.text_tags[name]
        good &= cursor + 3 <= ends
        good &= data[np.minimum(cursor, last)] == first_tag
        good &= data[np.minimum(cursor + 1, last)] == second_tag
        size = data[np.minimum(cursor + 2, last)].astype(np.int64)
        good &= size <= TEXT_BYTES_MAX
        spans[name] = (cursor + 3, size)
        cursor = cursor + 3 + size
    good &= cursor == ends
    good = _without_odd_texts(data, spans, good)
    if not good.any():
        return None, good
    chosen = slice(None) if good.all() else good
    fields: dict[str, Any] = {name: prefix[name][chosen] for name in layout.numbers}
    for name, (begin, size) in spans.items():
        fields[name] = gather_text(data, begin[chosen], size[chosen])
    return Columns(layout.record, fields), good


def _without_odd_texts(
    data: Bytes, spans: dict[str, tuple[Index, Index]], good: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    """Leave rows whose texts hold NUL or non-ASCII bytes to the general path, which validates UTF-8."""
    odd_before = np.zeros(len(data) + 1, dtype=np.int64)
    np.cumsum((data == 0) | (data > 0x7F), out=odd_before[1:])
    limit = len(data)
    for begin, size in spans.values():
        stop = np.minimum(begin + size, limit)
        good = good & (odd_before[stop] == odd_before[np.minimum(begin, limit)])
    return good


def _gather(data: Bytes, starts: Index, dtype: np.dtype) -> npt.NDArray[Any]:
    matrix = data[starts[:, None] + np.arange(dtype.itemsize)]
    rows: npt.NDArray[Any] = matrix.view(dtype).reshape(-1)
    return rows


def _as_matrix(rows: npt.NDArray[Any]) -> Bytes:
    return rows.view(np.uint8).reshape(len(rows), rows.dtype.itemsize)


def _merge(pieces: list[tuple[Columns[Any], Index]]) -> DecodedKind:
    columns = Columns.concat([piece for piece, _ in pieces])
    rows = np.concatenate([index for _, index in pieces])
    if len(pieces) > 1:
        order = np.argsort(rows, kind="stable")
        columns, rows = columns.take(order), rows[order]
    return DecodedKind(columns, rows)
