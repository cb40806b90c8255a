"""The few column types that every record is made of.

A record's annotations are the single source of its columns: `Int64` and `Int32` are integers of that
width, `float` is float64, `bool` one byte, `str` UTF-8 text of at most `TEXT_BYTES_MAX` bytes without NUL.
"""

from __future__ import annotations

from functools import cache
from typing import Annotated, get_args, get_origin, get_type_hints

import msgspec
import numpy as np

__all__ = ["TEXT_BYTES_MAX", "Int32", "Int64", "Record", "column_dtypes", "column_names"]

# One length byte on the wire, and every text of the field (symbols, ids, conditions) is far below it.
TEXT_BYTES_MAX = 127

Int64 = Annotated[int, np.dtype("<i8")]
Int32 = Annotated[int, np.dtype("<i4")]

_DTYPES = {float: np.dtype("<f8"), bool: np.dtype("?"), str: np.dtype("S")}


class Record(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Base of all records: immutable, by keyword only, comparable, cheap to make."""


@cache
def column_dtypes(record: type[Record]) -> dict[str, np.dtype]:
    """Name the columns of a record type, in their order, with their NumPy types.

    Text columns have the flexible type ``S``; each array of them is as wide as its longest value.
    """
    hints = get_type_hints(record, include_extras=True)
    return {
        name: get_args(hint)[1] if get_origin(hint) is Annotated else _DTYPES[hint]
        for name, hint in hints.items()
        if name in record.__struct_fields__
    }


def column_names(record: type[Record]) -> tuple[str, ...]:
    """Name the columns of a record type, in their order."""
    return record.__struct_fields__
