"""Decimal text of whole columns of numbers, four digits a look-up, padded with NUL bytes.

The padding is taken out of a whole frame at once (`bytes.translate`), which is many times faster than
formatting number by number.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["DATE_WIDTH", "NANOS_WIDTH", "fraction_e4", "integer_groups", "nanos", "seconds_text"]

_GROUP = 10_000

DATE_WIDTH = 20  # 2024-01-02T15:04:05.
NANOS_WIDTH = 12  # three groups of three digits, each with a byte to spare

_NS_PER_SECOND = 1_000_000_000
# A batch spans seconds; late trades a minute and a half more. Longer spans are rendered value by value.
_SECONDS_SPAN_MAX = 4_096


def _group_table(*, strip_leading: bool, zero: bytes) -> npt.NDArray[np.uint32]:
    texts = [b"%04d" % number for number in range(_GROUP)]
    if strip_leading:
        texts = [text.lstrip(b"0").rjust(4, b"\0") for text in texts]
        texts[0] = zero.rjust(4, b"\0")
    return np.frombuffer(b"".join(texts), dtype=np.uint32)


_FULL = _group_table(strip_leading=False, zero=b"")
# The first 10,000: nothing stands before the group, so leading zeros are none; then with all of them.
_HIGHER = np.concatenate([_group_table(strip_leading=True, zero=b""), _FULL])
_LOWEST = np.concatenate([_group_table(strip_leading=True, zero=b"0"), _FULL])

# ".1234" without trailing zeros; nothing for .0000.
_FRACTION = np.frombuffer(
    b"".join((b".%04d" % number).rstrip(b"0").rstrip(b".").ljust(8, b"\0") for number in range(_GROUP)),
    dtype=np.uint64,
)
_THREE = np.frombuffer(b"".join(b"%03d\0" % number for number in range(1_000)), dtype=np.uint32)


def integer_groups(values: npt.NDArray[np.signedinteger], n_groups: int) -> list[npt.NDArray[np.uint32]]:
    """Render non-negative integers below ``10 ** (4 * n_groups)``.

    Returns
    -------
    `n_groups` arrays of shape ``(n,)``, highest digits first; each element is four bytes of text.
    """
    groups: list[npt.NDArray[np.uint32]] = []
    table = _LOWEST
    rest = values
    for _ in range(n_groups):
        higher = rest // _GROUP
        groups.append(table[rest - higher * _GROUP + np.where(higher > 0, _GROUP, 0)])
        table, rest = _HIGHER, higher
    return groups[::-1]


def fraction_e4(values_e4: npt.NDArray[np.signedinteger]) -> npt.NDArray[np.uint64]:
    """Render the ten-thousandths of non-negative values as ``.5``, ``.1234`` or nothing: 8 bytes each."""
    fraction: npt.NDArray[np.uint64] = _FRACTION[values_e4 % _GROUP]
    return fraction


def seconds_text(seconds: npt.NDArray[np.int64]) -> npt.NDArray[np.void]:
    """Render seconds since 1970 as ``2024-01-02T15:04:05.``; elements of `DATE_WIDTH` bytes."""
    first = int(seconds.min())
    if int(seconds.max()) - first < _SECONDS_SPAN_MAX:
        distinct = np.arange(first, int(seconds.max()) + 1)
        place = seconds - first
    else:
        distinct, place = np.unique(seconds, return_inverse=True)
    texts = np.datetime_as_string(distinct.astype("datetime64[s]"), unit="s").astype(f"S{DATE_WIDTH - 1}")
    table = np.zeros(len(texts), dtype=[("text", texts.dtype), ("dot", "S1")])
    table["text"], table["dot"] = texts, b"."
    return table.view(f"V{DATE_WIDTH}")[place]


def nanos(values: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
    """Render nanoseconds of a second, without trailing zeros.

    Returns
    -------
    Shape ``(n, NANOS_WIDTH)``.
    """
    text = np.empty((len(values), 3), dtype=np.uint32)
    high = values // 1_000_000
    middle = values // 1_000
    text[:, 0] = _THREE[high]
    text[:, 1] = _THREE[middle - high * 1_000]
    text[:, 2] = _THREE[values - middle * 1_000]
    digits = text.view(np.uint8)
    ending = np.flatnonzero(values % 10 == 0)
    for column in (10, 9, 8, 6, 5, 4, 2, 1, 0):
        ending = ending[digits[ending, column] == ord("0")]
        if not len(ending):
            break
        digits[ending, column] = 0
    return digits
