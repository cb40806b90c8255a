"""Numbers that float64 cannot hold as they were written."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["DIGITS_MAX", "rounded_rows"]

# Every decimal number of so many significant digits survives the way through float64 and back.
DIGITS_MAX = 15

_SCALE = 1e6
_EXACT_MAX = 10.0**DIGITS_MAX


def rounded_rows(values: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Tell which numbers need more than `DIGITS_MAX` significant digits.

    Parameters
    ----------
    values
        Shape ``(n,)``, finite and not negative, as a correct parser made them of decimal texts.

    Returns
    -------
    Shape ``(n,)``: True where the shortest decimal that names the float has more digits, so that the
    text must have had more, too.

    Notes
    -----
    A float that equals ``k / 10**6`` for a whole ``k`` below 10^15 is the nearest one to a decimal of at
    most 15 digits, because that division rounds correctly: two operations on the column settle nearly
    every price. Only the rest is printed and counted.

    A text of more digits whose excess is too small to change the float is not seen. That would take the
    text itself, which has been decoded by then, and MessagePack carries none.
    """
    scaled = np.rint(values * _SCALE)
    rounded: npt.NDArray[np.bool_] = (scaled / _SCALE != values) | (scaled >= _EXACT_MAX)
    if rounded.any():
        rows = np.flatnonzero(rounded)
        rounded[rows] = [_digits(value) > DIGITS_MAX for value in values[rows].tolist()]
    return rounded


def _digits(value: float) -> int:
    mantissa = repr(value).partition("e")[0].replace(".", "").lstrip("-0")
    return len(mantissa.rstrip("0"))
