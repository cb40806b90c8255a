"""Pages of CQL rows into columns, without a loop over values.

The driver decodes value by value, which is slower than the server sends. A page is instead read where it
lies: as long as all rows have one layout, a column is a strided view of the page; from the first text on
that differs in length, its values are gathered by their positions.

Source: "CQL BINARY PROTOCOL v5", sections 3 (notations), 4.2.5.2 (ROWS) and 6.23 (UDT): every value is a
32-bit length, negative for null, and its bytes; a row of a frozen type is the same again for its fields,
of which trailing ones may be missing where the type grew after the row was written.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Mapping
from functools import cache
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from ticktrail.codec.packing import TextPiece, gather_text
from ticktrail.errors import SchemaMismatch
from ticktrail.model import Array, Columns, Record, column_dtypes
from ticktrail.store.tables import Table

__all__ = ["Decoded", "Page", "columns_of", "decode_keys", "decode_page", "plain_array"]

Decoded = dict[str, "Array | TextPiece"]
_Positions = npt.NDArray[np.int64]

_LENGTH = np.dtype(">i4")
_UNPACK_LENGTH = struct.Struct(">i").unpack_from
_KEYS: dict[str, np.dtype[Any]] = {"bigint": np.dtype(">i8"), "smallint": np.dtype(">i2")}


class Page(NamedTuple):
    """Rows as the server sent them.

    Parameters
    ----------
    data
        The bytes of all rows.
    rows_count
        How many these are.
    next_page
        The server's word for where the next page begins; None after the last.
    """

    data: bytes
    rows_count: int
    next_page: bytes | None = None


def decode_page(page: Page, table: Table, wanted: Collection[str]) -> Decoded:
    """Decode some columns of a page.

    Parameters
    ----------
    page
        Rows of the clustering columns of `table` and, if any other column is wanted, its frozen value.
        Rows whose value is null (in `latest`: no quote yet) are left out then.
    table
        Where they come from.
    wanted
        Names of clustering columns and of fields of the frozen type. Only these are decoded.

    Returns
    -------
    One column for each wanted name, all of one length: numbers in native byte order, texts as pieces.
    Fields that a row lacks have the default of the record (NaN, 0, empty where there is none).

    Raises
    ------
    SchemaMismatch
        The rows are not of this table's form.
    """
    if page.rows_count == 0:
        return {name: _empty(table, name) for name in wanted}
    names = table.fields
    last = max((index for index, name in enumerate(names) if name in wanted), default=-1)
    rows = _Rows(page, table.name, table.clustering, has_value=last >= 0)
    decoded = rows.keys(table.clustering, wanted)
    if last >= 0 and (there := rows.enter_value()) is not None:
        decoded = {name: _chosen(column, there) for name, column in decoded.items()}
        if not there.any():
            return decoded | {name: _empty(table, name) for name in names if name in wanted}
    for name in names[: last + 1]:
        field = rows.field(name, *_fields(table.record)[name], decode=name in wanted)
        if field is not None:
            decoded[name] = field
    return decoded


def decode_keys(page: Page, table_name: str, keys: Mapping[str, str]) -> Decoded:
    """Decode a page of these columns only, given with their CQL types; raises as `decode_page`."""
    if page.rows_count == 0:
        return {}
    return _Rows(page, table_name, keys, has_value=False).keys(keys, keys)


def columns_of(record: type[Record], decoded: Decoded, **others: Any) -> Columns[Any]:
    """Build records from decoded columns and others that the key tells."""
    return Columns(record, {**{name: plain_array(column) for name, column in decoded.items()}, **others})


def plain_array(column: Array | TextPiece) -> Array:
    """View a decoded text as an ``S`` column of shape ``(n,)``; numbers are that already."""
    if isinstance(column, TextPiece):
        return column.matrix.view(f"S{column.matrix.shape[1]}").reshape(-1)
    return column


class _Rows:
    """Walks over the values of all rows of a page at once, from left to right.

    `_at` is where the next value begins in every row: one offset from the row's start as long as it is
    the same in all of them, else a column of positions in the page. `_end` is where the frozen value ends.
    """

    def __init__(self, page: Page, table_name: str, keys: Mapping[str, str], *, has_value: bool) -> None:
        self._table_name = table_name
        self._count = page.rows_count
        self._data = np.frombuffer(page.data, dtype=np.uint8)
        self._stride, self._starts = self._find_rows(page.data, list(keys.values()), has_value=has_value)
        self._at: int | _Positions = 0
        self._end: int | _Positions = 0

    def keys(self, keys: Mapping[str, str], wanted: Collection[str]) -> Decoded:
        """Take the clustering columns, which are never null."""
        decoded: Decoded = {}
        for name, cql_type in keys.items():
            lengths, start = self._skip()
            if cql_type == "text":
                column: Array | TextPiece = self._text(start, lengths, b"")
            elif (lengths == _KEYS[cql_type].itemsize).all():
                column = self._read(start, _KEYS[cql_type])
                column = column.astype(column.dtype.newbyteorder("="))
            else:
                raise self._mismatch(f"{name} has another width")
            if name in wanted:
                decoded[name] = column
        return decoded

    def enter_value(self) -> npt.NDArray[np.bool_] | None:
        """Go on with the fields of the value that comes next, in the rows that have one; None for all."""
        lengths, start = self._skip()
        self._end, self._at = self._at, start
        there = lengths >= 0
        if there.all():
            return None
        self._end, self._at = self._positions(self._end)[there], self._positions(start)[there]
        self._count = len(self._at)
        return there

    def field(
        self, name: str, dtype: np.dtype[Any], default: Any, *, decode: bool
    ) -> Array | TextPiece | None:
        """Take the next field of the value; rows that end before it or have null there get its default."""
        has = self._has_field()
        lengths, start = self._skip() if has is None else self._skip_some(has)
        self._check_end()
        if not decode:
            return None
        if dtype.kind == "S":
            return self._text(start, lengths, default)
        width = dtype.itemsize
        wire = dtype.newbyteorder(">")
        if (lengths == width).all():
            return self._read(start, wire).astype(dtype)
        there = lengths >= 0
        if (lengths[there] != width).any():
            raise self._mismatch(f"the field {name} has another width")
        column = np.full(self._count, default, dtype=dtype)
        column[there] = self._gather(self._positions(start)[there], wire)
        return column

    def _text(self, start: int | _Positions, lengths: _Positions, default: bytes) -> TextPiece:
        width = int(lengths.max())
        if width > 0 and (lengths == width).all():
            column = np.ascontiguousarray(self._read(start, np.dtype(f"V{width}")))
            return TextPiece(column.view(np.uint8).reshape(self._count, width), lengths)
        column = gather_text(self._data, self._positions(start), lengths.clip(0))
        if default and (lengths < 0).any():
            return TextPiece.of(np.where(lengths < 0, np.bytes_(default), column))
        return TextPiece(column.view(np.uint8).reshape(self._count, -1), lengths.clip(0))

    def _skip(self) -> tuple[_Positions, int | _Positions]:
        """Step over a value; give its length (negative for null) and where its bytes begin."""
        lengths = self._read(self._at, _LENGTH).astype(np.int64)
        start = self._at + _LENGTH.itemsize
        first = int(lengths[0])
        if isinstance(start, int) and (lengths == first).all():
            self._at = start + max(first, 0)
        else:
            self._at = self._positions(start) + lengths.clip(0)
        return lengths, start

    def _skip_some(self, has: npt.NDArray[np.bool_]) -> tuple[_Positions, int | _Positions]:
        """Step over a value that only some rows have; it is null in the others."""
        at = self._positions(self._at)
        lengths = np.full(self._count, -1, dtype=np.int64)
        lengths[has] = self._gather(at[has], _LENGTH)
        start = at + _LENGTH.itemsize
        self._at = np.where(has, start + lengths.clip(0), at)
        return lengths, start

    def _has_field(self) -> npt.NDArray[np.bool_] | None:
        """Tell which rows have one more field; None for all."""
        if isinstance(self._at, int) and isinstance(self._end, int):
            return None if self._at < self._end else np.zeros(self._count, np.bool_)
        has = self._positions(self._at) < self._positions(self._end)
        return None if has.all() else has

    def _check_end(self) -> None:
        if isinstance(self._at, int) and isinstance(self._end, int):
            beyond = self._at > self._end
        else:
            beyond = bool((self._positions(self._at) > self._positions(self._end)).any())
        if beyond:
            raise self._mismatch("a field reaches beyond its value")

    def _positions(self, at: int | _Positions) -> _Positions:
        return self._starts + at if isinstance(at, int) else at

    def _read(self, at: int | _Positions, dtype: np.dtype[Any]) -> Array:
        if isinstance(at, int) and self._stride:
            if at + dtype.itemsize > self._stride:
                raise self._mismatch("a row ends too early")
            return np.ndarray((self._count,), dtype, self._data, at, (self._stride,))
        return self._gather(self._positions(at), dtype)

    def _gather(self, positions: _Positions, dtype: np.dtype[Any]) -> Array:
        """Read one value at each position, by way of a view that has a value at every byte."""
        windows_count = len(self._data) - dtype.itemsize + 1
        if len(positions) and int(positions.max()) >= windows_count:
            raise self._mismatch("a row ends too early")
        windows: Array = np.ndarray((windows_count,), dtype, self._data, 0, (1,))
        gathered: Array = windows[positions]
        return gathered

    def _find_rows(self, data: bytes, key_types: list[str], *, has_value: bool) -> tuple[int, _Positions]:
        """Find where rows begin; if all are equally long, also tell how long (else 0)."""
        lead, values = 0, len(key_types) + has_value
        if "text" not in key_types:
            lead = sum(_LENGTH.itemsize + _KEYS[key_type].itemsize for key_type in key_types)
            values = int(has_value)
            stride, rest = divmod(len(data), self._count)
            at = np.arange(self._count, dtype=np.int64) * stride
            value_length = stride - lead - values * _LENGTH.itemsize
            if rest == 0 and value_length == 0 and not has_value:
                return stride, at
            if rest == 0 and value_length >= 0 and (self._gather(at + lead, _LENGTH) == value_length).all():
                return stride, at
        starts = []
        position = 0
        try:
            # Where a row begins is known only from the one before it. Reading one length per row takes
            # some 0.1 µs, far less than the row costs the server.
            for _ in range(self._count):
                starts.append(position)
                position += lead
                for _ in range(values):
                    (length,) = _UNPACK_LENGTH(data, position)
                    position += _LENGTH.itemsize + max(length, 0)
        except struct.error:
            raise self._mismatch("a row ends too early") from None
        if position != len(data):
            raise self._mismatch("the page does not end where its last row does")
        return 0, np.array(starts, dtype=np.int64)

    def _mismatch(self, why: str) -> SchemaMismatch:
        return SchemaMismatch(
            what=f"The rows of the table {self._table_name} are not those of this version",
            why=why,
            next_step="Read them with the version that wrote them, or import them anew.",
        )


@cache
def _fields(record: type[Record]) -> dict[str, tuple[np.dtype[Any], Any]]:
    """Give each field's type, and its value in rows that lack it."""
    fields: dict[str, tuple[np.dtype[Any], Any]] = {}
    defaults = {field.name: field.default for field in msgspec.structs.fields(record)}
    for name, dtype in column_dtypes(record).items():
        default = defaults[name]
        if default is msgspec.NODEFAULT:
            default = {"f": np.nan, "S": ""}.get(dtype.kind, 0)
        fields[name] = dtype, default.encode() if isinstance(default, str) else default
    return fields


def _chosen(column: Array | TextPiece, rows: npt.NDArray[np.bool_]) -> Array | TextPiece:
    if isinstance(column, TextPiece):
        return TextPiece(column.matrix[rows], column.lengths[rows])
    return column[rows]


def _empty(table: Table, name: str) -> Array | TextPiece:
    dtype = column_dtypes(table.record).get(name)
    if table.clustering.get(name) == "text" or (dtype is not None and dtype.kind == "S"):
        return TextPiece(np.zeros((0, 1), np.uint8), np.zeros(0, np.int64))
    return np.zeros(0, dtype=np.int64 if dtype is None else dtype)
