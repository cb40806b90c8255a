"""Which records are the same event.

A trade's identity is the store's whole primary key, never an id alone, because vendors repeat ids (per
venue, per symbol, per day). This module makes the last part of that key, `event_id`: 64 bits, the same
for one event on every path it may come by, rising in the venue's order within one `ts_ns` where it can.

========================= =====================================================================
the source gives          event_id
========================= =====================================================================
a numeric trade id        ``id << 8 | venue code`` while the id is below 2**55, else a hash
a textual trade id        hash of venue and id
rows of a file            the row's number in the file, from 0
neither                   hash of the content
========================= =====================================================================

All are non-negative, so that they sort in CQL (signed ``bigint``) as they do here.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ticktrail.model.columns import Array

__all__ = ["NUMERIC_ID_MAX", "event_ids_from_content", "event_ids_from_numbers", "floor_ts_ns"]

NUMERIC_ID_MAX = (1 << 55) - 1

_U64 = np.uint64
_GOLDEN = _U64(0x9E3779B97F4A7C15)
_MIX_1 = _U64(0xBF58476D1CE4E5B9)
_MIX_2 = _U64(0x94D049BB133111EB)
_POSITIVE = _U64((1 << 63) - 1)


def event_ids_from_numbers(
    ids: npt.NDArray[np.int64], venue_codes: npt.NDArray[np.uint8]
) -> npt.NDArray[np.int64]:
    """Make event ids from numeric trade ids, unique per venue.

    Parameters
    ----------
    ids
        Shape ``(n,)``; the vendor's ids.
    venue_codes
        Shape ``(n,)``; `ticktrail.model.venues.CODES` of each trade's venue.

    Returns
    -------
    Shape ``(n,)``: ``id << 8 | code``; ids outside 0 … `NUMERIC_ID_MAX` are hashed with their venue.
    """
    fits = (ids >= 0) & (ids <= NUMERIC_ID_MAX)
    result: npt.NDArray[np.int64] = (ids << 8) | venue_codes
    if not fits.all():
        large = ~fits
        result[large] = event_ids_from_content([ids[large], venue_codes[large].astype(np.int64)])
    return result


def event_ids_from_content(columns: Sequence[Array]) -> npt.NDArray[np.int64]:
    """Hash rows: equal content, equal id, whatever batch or width the columns came in.

    Parameters
    ----------
    columns
        At least one array, each of shape ``(n,)``, of integers, floats or ``S`` (without NUL inside).

    Returns
    -------
    Shape ``(n,)``, non-negative. The mixing step is that of SplitMix64, over the 8-byte little-endian
    words of each column, closed by one step per column so that content cannot move between columns.

    Notes
    -----
    Source of the mixer: G. Steele, D. Lea, C. Flood, "Fast Splittable Pseudorandom Number Generators",
    OOPSLA 2014, figure 16.
    """
    state = np.zeros(len(columns[0]), dtype=_U64)
    for column in columns:
        if column.dtype.kind == "S":
            state = _absorb_text(state, column)
        else:
            # A narrower column holds the same number, so it must hash alike; and -0.0 and 0.0 are one
            # price: adding 0.0 leaves only the latter.
            is_float = column.dtype.kind == "f"
            number = column.astype(np.float64) + 0.0 if is_float else column.astype(np.int64)
            state = _mix(state ^ number.view(_U64))
        state = state + _GOLDEN
    return (_mix(state) & _POSITIVE).view(np.int64)


def floor_ts_ns(ts_event_ns: npt.NDArray[np.int64], resolution_ns: int) -> npt.NDArray[np.int64]:
    """Floor times to a resolution, towards the past also before 1970. Shape ``(n,)``."""
    if resolution_ns == 1:
        return ts_event_ns
    floored: npt.NDArray[np.int64] = ts_event_ns - ts_event_ns % resolution_ns
    return floored


def _absorb_text(state: npt.NDArray[np.uint64], column: Array) -> npt.NDArray[np.uint64]:
    width = -(-column.dtype.itemsize // 8) * 8
    words = column.astype(f"S{width}").view("<u8").reshape(len(column), width // 8)
    for index in range(words.shape[1]):
        word = words[:, index]
        # Padding differs from batch to batch, so words of padding must leave no trace.
        state = np.where(word != 0, _mix(state ^ word), state)
    return state


def _mix(value: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    value = value + _GOLDEN
    value = (value ^ (value >> _U64(30))) * _MIX_1
    value = (value ^ (value >> _U64(27))) * _MIX_2
    mixed: npt.NDArray[np.uint64] = value ^ (value >> _U64(31))
    return mixed
