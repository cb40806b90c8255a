"""Putting a batch's rows in the order of time."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["time_order"]


def time_order(frame_of: npt.NDArray[np.int64], ts_ns: npt.NDArray[np.int64]) -> npt.NDArray[np.int64] | None:
    """Order rows by frame, then time, then as they came.

    Frames stay apart, so that a batch of frames gives the same rows in the same order as each alone.

    Parameters
    ----------
    frame_of, ts_ns
        Shapes ``(n,)``; the frame of each row (never falling) and its time.

    Returns
    -------
    Shape ``(n,)``: indices, or None where the rows are in that order already.
    """
    falls = ts_ns[1:] < ts_ns[:-1]
    if not (falls & (frame_of[1:] == frame_of[:-1])).any():
        return None
    if frame_of[0] == frame_of[-1]:
        return np.argsort(ts_ns, kind="stable")
    return np.lexsort((ts_ns, frame_of))
