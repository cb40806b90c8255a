"""The body of a CQL BATCH request, built by NumPy from columns.

The stock driver encodes value by value, which makes the client the bottleneck by far; here a whole batch of
bound rows comes out of a few array operations.

Source: "CQL BINARY PROTOCOL v5", sections 3 (notations) and 4.1.7 (BATCH), and v4 for older servers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ticktrail.codec.packing import Bytes, PackedRows, TextPiece, pack_rows
from ticktrail.model import Array, Columns, column_dtypes
from ticktrail.store.tables import Table

__all__ = ["BATCH_ROWS_MAX", "batch_body", "encode_rows"]

# The number of statements is an unsigned 16-bit integer on the wire.
BATCH_ROWS_MAX = 0xFFFF

_UNLOGGED = 1
_PREPARED = 1
_CQL_DTYPES: dict[str, np.dtype[Any]] = {
    "bigint": np.dtype(">i8"),
    "date": np.dtype(">u4"),
    "smallint": np.dtype(">i2"),
    "int": np.dtype(">i4"),
    "double": np.dtype(">f8"),
    "boolean": np.dtype("?"),
}
_CQL_OF_COLUMN = {"i8": "bigint", "i4": "int", "f8": "double", "b1": "boolean"}
# A CQL date is unsigned, with 1970-01-01 in the middle of its range.
_DATE_ORIGIN = 1 << 31

_LENGTH = np.dtype(">i4")


class _Row:
    """Pieces of a row from left to right; neighbouring fields of fixed width become one piece."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.pieces: list[Bytes | TextPiece] = []
        self._fixed: list[tuple[np.dtype[Any], Any]] = []

    def fixed(self, dtype: np.dtype[Any], values: Any) -> None:
        self._fixed.append((dtype, values))

    def value(self, cql_type: str, values: Any) -> None:
        """Add one value with the length before it."""
        if cql_type == "text":
            self.text(TextPiece.of(values))
            return
        dtype = _CQL_DTYPES[cql_type]
        self.fixed(_LENGTH, dtype.itemsize)
        self.fixed(dtype, values.astype(np.int64) + _DATE_ORIGIN if cql_type == "date" else values)

    def text(self, text: TextPiece) -> None:
        self.fixed(_LENGTH, text.lengths)
        self._close_piece()
        self.pieces.append(text)

    def pack(self) -> PackedRows:
        self._close_piece()
        return pack_rows(self.pieces)

    def _close_piece(self) -> None:
        if not self._fixed:
            return
        dtype = np.dtype([(str(index), dtype) for index, (dtype, _) in enumerate(self._fixed)])
        rows = np.empty(self.count, dtype=dtype)
        for index, (_, values) in enumerate(self._fixed):
            rows[str(index)] = values
        self.pieces.append(rows.view(np.uint8).reshape(self.count, dtype.itemsize))
        self._fixed = []


def encode_rows(
    table: Table,
    query_id: bytes,
    keys: dict[str, Array],
    columns: Columns[Any],
    write_ts_us: npt.NDArray[np.int64],
) -> PackedRows:
    """Encode each record as one bound row of a batch.

    Parameters
    ----------
    table
        Where the rows go.
    query_id
        The server's id of the prepared ``table.insert``.
    keys
        From ``table.keys``; each of shape ``(n,)``.
    columns
        The records, n of them.
    write_ts_us
        CQL write times, microseconds since 1970, shape ``(n,)``.
    """
    row = _Row(len(columns))
    values_count = len(keys) + 2
    head = bytes([_PREPARED]) + len(query_id).to_bytes(2, "big") + query_id + values_count.to_bytes(2, "big")
    row.fixed(np.dtype((np.void, len(head))), np.void(head))
    for name, cql_type in (*table.partition.items(), *table.clustering.items()):
        row.value(cql_type, keys[name])
    _add_frozen_value(row, table, columns)
    row.value("bigint", write_ts_us)
    return row.pack()


def _add_frozen_value(row: _Row, table: Table, columns: Columns[Any]) -> None:
    dtypes = column_dtypes(table.record)
    texts = {name: TextPiece.of(columns[name]) for name in table.fields if dtypes[name].kind == "S"}
    size = np.zeros(len(columns), dtype=np.int64)
    for name in table.fields:
        size += _LENGTH.itemsize
        size += texts[name].lengths if name in texts else dtypes[name].itemsize
    row.fixed(_LENGTH, size)
    for name in table.fields:
        if name in texts:
            row.text(texts[name])
        else:
            row.value(_CQL_OF_COLUMN[dtypes[name].str[1:]], columns[name])


def batch_body(rows: bytes, count: int, consistency: int, protocol_version: int) -> bytes:
    """Wrap encoded rows as the body of an UNLOGGED batch.

    Parameters
    ----------
    rows
        A run of rows from `encode_rows`, at most `BATCH_ROWS_MAX` of them.
    count
        How many rows these are.
    consistency
        The consistency level's number on the wire.
    protocol_version
        4 or 5; they differ in the width of the flags.
    """
    flags = b"\0\0\0\0" if protocol_version >= 5 else b"\0"
    head = bytes([_UNLOGGED]) + count.to_bytes(2, "big")
    return b"".join((head, rows, consistency.to_bytes(2, "big"), flags))
