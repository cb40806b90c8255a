"""Many records of one kind, one NumPy array per field.

This is the form in which records travel wherever there are many of them: feeds parse into it, the codec
reads and writes it, the store sends it. Text is an array of UTF-8 bytes (``S``), as wide as its longest
value. A row exists as a Python object only at the edges, for people and for the rare kinds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Generic, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from ticktrail.model.fields import Record, column_dtypes, column_names

__all__ = ["Array", "Columns"]

Array = npt.NDArray[Any]
R = TypeVar("R", bound=Record)


class Columns(Generic[R]):
    """Records of one kind as columns of equal length.

    Parameters
    ----------
    record
        The record type.
    data
        One array of shape ``(n,)`` for each of its fields. Scalars are repeated. Fields that have a
        default may be left out.

    Raises
    ------
    ValueError
        If a field is unknown or missing, or the lengths differ: a mistake in the calling code.
    """

    __slots__ = ("data", "record")

    def __init__(self, record: type[R], data: Mapping[str, Any]) -> None:
        dtypes = column_dtypes(record)
        if unknown := data.keys() - dtypes.keys():
            raise ValueError(f"{record.__name__} has no fields {sorted(unknown)}")
        length = max((len(v) for v in data.values() if isinstance(v, np.ndarray) and v.ndim), default=1)
        self.record = record
        self.data = {name: _column(record, data, name, dtype, length) for name, dtype in dtypes.items()}

    def __len__(self) -> int:
        return len(next(iter(self.data.values())))

    def __getitem__(self, name: str) -> Array:
        return self.data[name]

    def __repr__(self) -> str:
        return f"Columns({self.record.__name__}, n={len(self)})"

    def take(self, rows: Any) -> Columns[R]:
        """Select rows by a slice, a boolean mask or an array of indices."""
        chosen: Columns[R] = object.__new__(Columns)
        chosen.record = self.record
        chosen.data = {name: column[rows] for name, column in self.data.items()}
        return chosen

    def replace(self, **columns: Any) -> Columns[R]:
        """Return a copy with some columns set anew."""
        return Columns(self.record, {**self.data, **columns})

    @staticmethod
    def concat(parts: Sequence[Columns[R]]) -> Columns[R]:
        """Put the rows of several behind one another; at least one is needed."""
        if len(parts) == 1:
            return parts[0]
        joined: Columns[R] = object.__new__(Columns)
        joined.record = parts[0].record
        joined.data = {name: np.concatenate([p.data[name] for p in parts]) for name in parts[0].data}
        return joined

    @staticmethod
    def from_records(record: type[R], records: Iterable[R]) -> Columns[R]:
        """Build columns from records, in their order."""
        rows = list(records)
        data: dict[str, Array] = {}
        for name, dtype in column_dtypes(record).items():
            values = [getattr(row, name) for row in rows]
            if dtype.kind == "S":
                values = [value.encode() for value in values]
            data[name] = np.array(values, dtype=dtype)
        return Columns(record, data)

    def to_records(self) -> list[R]:
        """Build one record per row, in their order.

        Raises
        ------
        UnicodeDecodeError
            If a text is no UTF-8.
        """
        lists = [
            [text.decode() for text in column.tolist()] if column.dtype.kind == "S" else column.tolist()
            for column in self.data.values()
        ]
        names = column_names(self.record)
        return [self.record(**dict(zip(names, row, strict=True))) for row in zip(*lists, strict=True)]


def _column(record: type[Record], data: Mapping[str, Any], name: str, dtype: np.dtype, length: int) -> Array:
    if name in data:
        value = data[name]
    else:
        value = _defaults(record).get(name, msgspec.NODEFAULT)
        if value is msgspec.NODEFAULT:
            raise ValueError(f"{record.__name__} needs the field {name}")
    if isinstance(value, str):
        value = value.encode()
    array = np.asarray(value) if dtype.kind == "S" else np.asarray(value, dtype=dtype)
    if dtype.kind == "S" and array.dtype.kind != "S":
        raise ValueError(f"{record.__name__}.{name} must be bytes, not {array.dtype}")
    if array.ndim == 0:
        return np.full(length, array)
    if len(array) != length:
        raise ValueError(f"{record.__name__}.{name} has {len(array)} rows, others {length}")
    return array


def _defaults(record: type[Record]) -> dict[str, Any]:
    # A required field behind one with a default (`Gap.cause`) has the entry NODEFAULT here.
    names = record.__struct_fields__
    defaults = record.__struct_defaults__
    return dict(zip(names[len(names) - len(defaults) :], defaults, strict=True))
