"""Values of a file's columns, text or typed, to the columns of records.

Every function takes an Arrow array and gives a NumPy array of the same length with a mask of the rows
that could be read; it never raises on any values. Whole columns are cast at once; only a column that
holds something unreadable is looked at value by value.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ticktrail.clock import NS_PER_MS, NS_PER_SECOND, NS_PER_US
from ticktrail.feeds.text import fits_column
from ticktrail.feeds.timestamps import in_range
from ticktrail.model import Array

__all__ = ["NS_PER_UNIT", "Mask", "integers", "numbers", "rounded_rows", "texts", "times_ns"]

Mask = npt.NDArray[np.bool_]

NS_PER_UNIT = {"ns": 1, "us": NS_PER_US, "ms": NS_PER_MS, "s": NS_PER_SECOND}

_INSTANT = pa.timestamp("ns", "UTC")
# A decimal number of up to so many digits comes back from float64 as it was.
_EXACT_DIGITS = 15
_MANTISSA = re.compile(r"[+-]?0*(?:\.0*)?(\d*\.?\d*)")


def numbers(array: Any) -> tuple[npt.NDArray[np.float64], Mask]:
    """Read prices and sizes; what is not finite is not readable."""
    if pa.types.is_decimal(array.type):
        array = array.cast(pa.string())  # the nearest float64, which Arrow's own cast can miss by a step
    values, readable = _cast(array, pa.float64())
    found = values.to_numpy(zero_copy_only=False).astype(np.float64)
    return found, readable & np.isfinite(found)


def integers(array: Any, absent: int | None = None) -> tuple[npt.NDArray[np.int64], Mask]:
    """Read whole numbers; where there is none, `absent` stands in its place if it is given."""
    values, readable = _cast(array, pa.int64())
    if absent is not None and not readable.all():
        empty = [value.as_py() in (None, "") for value in array]
        values, readable = values.fill_null(absent), readable | np.array(empty)
    return values.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64), readable


def times_ns(array: Any, unit: str) -> tuple[npt.NDArray[np.int64], Mask]:
    """Read times.

    Parameters
    ----------
    array
        Whole numbers since 1970, or Arrow timestamps with a zone, or ISO 8601 text with an offset.
    unit
        Of whole numbers; empty: the array holds none.

    Returns
    -------
    Nanoseconds since 1970 in UTC; readable are those from 1970 to 2200.
    """
    if unit and not pa.types.is_timestamp(array.type):
        counts, readable = integers(array)
        factor = NS_PER_UNIT[unit]
        readable &= (counts >= 0) & (counts <= (2**63 - 1) // factor)
        found = np.where(readable, counts, 0) * factor
    else:
        instants, readable = _cast(array, _INSTANT)
        found = instants.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    return found, readable & in_range(found)


def texts(array: Any) -> tuple[Array, Mask]:
    """Read texts; absent ones are empty."""
    values, readable = _cast(array, pa.string())
    coded = values.fill_null("").dictionary_encode()
    # Symbols, venues and conditions repeat, so each distinct value is encoded and checked once.
    distinct = coded.dictionary.to_pylist()
    fits = np.array([fits_column(value) for value in distinct], dtype=bool)
    encoded = [value.encode() if fit else b"" for value, fit in zip(distinct, fits, strict=True)]
    codes = coded.indices.to_numpy(zero_copy_only=False)
    readable |= array.is_null().to_numpy(zero_copy_only=False)
    return np.array(encoded or [b""], dtype="S")[codes], readable & fits[codes]


def rounded_rows(array: Any) -> Mask:
    """Tell which decimal numbers have more digits than float64 is sure to keep."""
    rounded = np.zeros(len(array), dtype=bool)
    if pa.types.is_decimal(array.type):
        array = array.cast(pa.string())
    if pa.types.is_string(array.type):
        long = (
            pc.greater(pc.utf8_length(array), _EXACT_DIGITS).fill_null(False).to_numpy(zero_copy_only=False)
        )
        for row in np.flatnonzero(long).tolist():
            mantissa = _MANTISSA.match(array[row].as_py().strip())
            digits = mantissa[1].replace(".", "") if mantissa else ""
            rounded[row] = len(digits.rstrip("0")) > _EXACT_DIGITS
    return rounded


def _cast(array: Any, target: Any) -> tuple[Any, Mask]:
    """Cast all values, or those that can be; the others become null."""
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_large_string(array.type) or pa.types.is_string_view(array.type):
        array = array.cast(pa.string())
    if pa.types.is_string(array.type) and not pa.types.is_string(target):
        array = pc.ascii_trim_whitespace(array)
    try:
        found = array.cast(target)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        found = pa.array(list(map(_caster(array.type, target), array)), type=target)
    return found, found.is_valid().to_numpy(zero_copy_only=False)


def _caster(source: Any, target: Any) -> Callable[[Any], Any]:
    def cast_one(value: Any) -> Any:
        try:
            return value.cast(target)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            return None

    return cast_one
