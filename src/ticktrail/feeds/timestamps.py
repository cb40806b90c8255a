"""Venues' notations of time to int64 nanoseconds, whole columns at once, without floats."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date

import numpy as np
import numpy.typing as npt

from ticktrail.clock import NS_PER_SECOND
from ticktrail.reference import day_of_date

__all__ = ["NO_TIME_NS", "TIME_NS_MAX", "in_range", "ns_from_msgpack", "ns_from_rfc3339"]

# Stands for "cannot be read"; outside the range that `in_range` accepts.
NO_TIME_NS = -(2**63)

# 2200-01-01: beyond it a time is a venue's mistake, and int64 nanoseconds end in 2262.
TIME_NS_MAX = 7_258_118_400 * NS_PER_SECOND

_SECONDS_PER_DAY = 86_400
_DAYS_MAX = 100_000
# Keeps a sum of seconds and nanoseconds inside int64.
_SECONDS_MAX = 2**63 // NS_PER_SECOND - 1

# The plain form is "2023-04-06T11:54:26Z" with or without a point and up to 9 decimals before the "Z".
_WIDTH = 30
# What each character may be, less "0": its least value, and how far it may exceed that. Hours above 23
# are seen in the sum; the tail, from the 20th character on, is checked apart.
_FORM = np.frombuffer(b"0000-00-00T00:00:00".ljust(_WIDTH, b"0"), np.uint8) - np.uint8(48)
_SPAN = np.frombuffer(b"9999099099029059059".ljust(_WIDTH, b"9"), np.uint8) - np.uint8(48)
_SPAN = np.where(np.arange(_WIDTH) < 19, _SPAN, np.uint8(255))
_FRACTION = slice(20, 29)

# Seconds of the day and nanoseconds of the second, as sums over the digits. In float64, because only
# that has a fast matrix product; every sum stays below 10^9, far inside its exact range.
_WEIGHTS = np.zeros((_WIDTH, 2))
_WEIGHTS[[11, 12, 14, 15, 17, 18], 0] = [36_000, 3_600, 600, 60, 10, 1]
_WEIGHTS[_FRACTION, 1] = 10.0 ** np.arange(8, -1, -1)

_RFC3339 = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d\d):(\d\d))", re.ASCII
)


def in_range(ts_ns: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Tell which times are believable: from 1970 (inclusive) to `TIME_NS_MAX`. Shape ``(n,)``."""
    return (ts_ns >= 0) & (ts_ns < TIME_NS_MAX)


def ns_from_rfc3339(texts: Sequence[str]) -> npt.NDArray[np.int64]:
    """Read times like ``2023-04-06T11:54:26.83915973Z``.

    Parameters
    ----------
    texts
        RFC 3339 with up to 9 decimals of the second.

    Returns
    -------
    Shape ``(n,)``: nanoseconds since 1970 in UTC; `NO_TIME_NS` where the text is no such time.

    Notes
    -----
    Batches in which every time is plain (ends in ``Z``, upper case) are read in NumPy, about 0.1 µs
    each; a batch with any other time, or with nonsense, one by one, about 2 µs each.

    Source: RFC 3339, section 5.6. Leap seconds (``:60``) are not read: no venue sends them.
    """
    if not texts:
        return np.empty(0, np.int64)
    lengths = np.fromiter(map(len, texts), np.intp, len(texts))
    if lengths.min() < 20 or lengths.max() > _WIDTH:
        return _one_by_one(texts)
    joined = ("%-30s" * len(texts) % tuple(texts)).encode("ascii", "replace")
    chars = np.frombuffer(joined, np.uint8).reshape(len(texts), _WIDTH)
    digits = chars - np.uint8(48)  # what is no digit wraps around to more than 9
    midnights = _midnights_ns(joined, chars)
    is_digit = digits <= 9
    sums = ((digits * is_digit).astype(np.float64) @ _WEIGHTS).astype(np.int64)
    plain = ((digits - _FORM) <= _SPAN).all() and sums[:, 0].max() < _SECONDS_PER_DAY
    if midnights is None or not plain or not _all_tails_plain(chars, is_digit, lengths):
        return _one_by_one(texts)
    return midnights + sums[:, 0] * NS_PER_SECOND + sums[:, 1]


def ns_from_msgpack(payloads: Sequence[bytes]) -> npt.NDArray[np.int64]:
    """Read the payloads of MessagePack timestamps (extension type -1).

    Returns
    -------
    Shape ``(n,)``: nanoseconds since 1970 in UTC; `NO_TIME_NS` where the payload is none, or outside
    what int64 can hold.

    Notes
    -----
    Source: MessagePack specification, "Timestamp extension type": 4 bytes are seconds; 8 bytes are 30
    bits of nanoseconds, then 34 of seconds; 12 bytes are 4 of nanoseconds, then 8 of signed seconds.
    """
    lengths = np.fromiter(map(len, payloads), np.intp, len(payloads))
    result = np.full(len(payloads), NO_TIME_NS, np.int64)
    for length in np.unique(lengths).tolist():
        rows = np.flatnonzero(lengths == length)
        joined = b"".join([payloads[row] for row in rows.tolist()])
        if length == 4:
            seconds = np.frombuffer(joined, ">u4").astype(np.int64)
            nanoseconds = np.zeros(len(rows), np.int64)
        elif length == 8:
            both = np.frombuffer(joined, ">u8")
            seconds = (both & np.uint64((1 << 34) - 1)).astype(np.int64)
            nanoseconds = (both >> np.uint64(34)).astype(np.int64)
        elif length == 12:
            fields = np.frombuffer(joined, [("ns", ">u4"), ("s", ">i8")])
            seconds, nanoseconds = fields["s"].astype(np.int64), fields["ns"].astype(np.int64)
        else:
            continue
        valid = (nanoseconds < NS_PER_SECOND) & (seconds > -_SECONDS_MAX) & (seconds < _SECONDS_MAX)
        result[rows[valid]] = seconds[valid] * NS_PER_SECOND + nanoseconds[valid]
    return result


def _all_tails_plain(
    chars: npt.NDArray[np.uint8], is_digit: npt.NDArray[np.bool_], lengths: npt.NDArray[np.intp]
) -> bool:
    """Tell whether every row ends in ``Z``, or in a point, digits and ``Z``."""
    if (chars[np.arange(len(chars)), lengths - 1] != ord("Z")).any() or (lengths == 21).any():
        return False
    if ((chars[:, 19] == ord(".")) != (lengths > 20)).any():
        return False
    # No row can have more digits there than places between the point and the "Z", so equal totals mean
    # that all those places hold digits, in every row.
    return bool(is_digit[:, _FRACTION].sum() == np.maximum(lengths - 21, 0).sum())


def _midnights_ns(joined: bytes, chars: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64] | None:
    """Give each row's midnight, or None if a date is wrong; live batches hold one date, seldom two."""
    if (chars[:, :10] == chars[0, :10]).all():
        distinct, codes = [joined[:10]], np.zeros(len(chars), np.intp)
    else:
        dates = np.ascontiguousarray(chars[:, :10]).view("S10").ravel()
        found, codes = np.unique(dates, return_inverse=True)
        distinct = found.tolist()
    days = [_day_of_text(text.decode()) for text in distinct]
    if None in days:
        return None
    table = np.array(days, np.int64) * (_SECONDS_PER_DAY * NS_PER_SECOND)
    midnights: npt.NDArray[np.int64] = table[codes]
    return midnights


def _day_of_text(text: str) -> int | None:
    """Give the number of a date; None where it is wrong, or so far off that nanoseconds overflow."""
    try:
        day = day_of_date(date.fromisoformat(text))
    except ValueError:
        return None
    return day if abs(day) < _DAYS_MAX else None


def _one_by_one(texts: Sequence[str]) -> npt.NDArray[np.int64]:
    return np.fromiter((_ns_from_text(text) for text in texts), np.int64, len(texts))


def _ns_from_text(text: str) -> int:
    match = _RFC3339.fullmatch(text)
    if match is None:
        return NO_TIME_NS
    day, *clock, fraction, sign, offset_hours, offset_minutes = match.groups(default="0")
    hours, minutes, seconds = map(int, clock)
    if hours > 23 or minutes > 59 or seconds > 59 or int(offset_hours) > 23 or int(offset_minutes) > 59:
        return NO_TIME_NS
    try:
        midnight = day_of_date(date.fromisoformat(day)) * _SECONDS_PER_DAY
    except ValueError:
        return NO_TIME_NS
    offset = (int(offset_hours) * 60 + int(offset_minutes)) * (-60 if sign == "-" else 60)
    instant = midnight + hours * 3_600 + minutes * 60 + seconds - offset
    ts_ns = instant * NS_PER_SECOND + int(fraction.ljust(9, "0"))
    return ts_ns if -(2**63) < ts_ns < 2**63 else NO_TIME_NS
