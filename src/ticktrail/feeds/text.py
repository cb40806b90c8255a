"""Python text to the text columns of `ticktrail.model.columns`."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from ticktrail.model import TEXT_BYTES_MAX, Array

__all__ = ["cut_text", "distinct_codes", "fits_column", "text_column"]

Key = TypeVar("Key", bound=Hashable)


def text_column(values: Sequence[str]) -> Array:
    """Build a column of UTF-8 bytes, as wide as its longest value. Shape ``(n,)``.

    The values must fit (see `fits_column`): a NUL at an end would be lost silently.
    """
    try:
        return np.array(values, dtype="S")  # about twice as fast as encoding each, but ASCII only
    except UnicodeEncodeError:
        return np.array([value.encode() for value in values], dtype="S")


def fits_column(value: str) -> bool:
    """Tell whether a text column can hold this: no NUL, at most `TEXT_BYTES_MAX` bytes, encodable."""
    if "\0" in value or len(value) > TEXT_BYTES_MAX:
        return False
    try:
        return len(value.encode()) <= TEXT_BYTES_MAX
    except UnicodeEncodeError:  # a lone surrogate
        return False


def distinct_codes(keys: Iterable[Key]) -> tuple[list[Key], npt.NDArray[np.intp]]:
    """Give each distinct key a number, in the order of their first appearance.

    Work that depends on the key alone is then done once per key and spread by ``table[codes]``.

    Returns
    -------
    The distinct keys, and for each row the index of its key, shape ``(n,)``.
    """
    table: _Numbers[Key] = _Numbers()
    codes = np.array(list(map(table.__getitem__, keys)), dtype=np.intp)
    return list(table), codes


class _Numbers(dict[Key, int]):
    """Numbers keys as they are asked for: one look-up a row, where keys are slow to hash."""

    def __missing__(self, key: Key) -> int:
        number = self[key] = len(self)
        return number


def cut_text(value: str) -> str:
    """Shorten a text meant for people so that a column can hold it; NULs become spaces."""
    return value.replace("\0", " ").encode(errors="replace")[:TEXT_BYTES_MAX].decode(errors="ignore")
