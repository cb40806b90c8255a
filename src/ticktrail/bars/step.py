"""What reading a poll brings about."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ticktrail.model import Bar, Columns, Trade

__all__ = ["AHEAD_NS_MAX", "BarCounts", "Step"]

# A trade from the future would hold its window, and with it the committed offset, until that comes. Clocks
# differ by seconds, a badly set one by minutes.
AHEAD_NS_MAX = 3_600_000_000_000


@dataclass
class BarCounts:
    """Where the trades went, since the builder was made.

    Parameters
    ----------
    trades
        Given to `BarBuilder.read`.
    late_for_second
        Handed out as late, but still in their minute.
    late_for_minute
        Handed out as late, in no bar.
    ahead
        Handed out as ahead, in no bar.
    reread
        Read again after a restart and left out, because their bars were closed.
    repeated
        Left out because their identity was there already; counted when their window closes.
    """

    trades: int = 0
    late_for_second: int = 0
    late_for_minute: int = 0
    ahead: int = 0
    reread: int = 0
    repeated: int = 0


@dataclass(frozen=True, kw_only=True)
class Step:
    """What a poll brought about.

    Parameters
    ----------
    bars
        Bars that it closed.
    late
        Trades that came after their second had closed, in their order. Their bars, and the longer ones
        around them, must be built anew from the store to be complete (`ticktrail.bars.rebuild`).
    is_late_for_minute
        Shape ``(n_late,)``; False where the trade still is in its minute and in all longer bars.
    ahead
        Trades more than `AHEAD_NS_MAX` ahead of their receive time; as `late`, once their time has come.
    """

    bars: Columns[Bar]
    late: Columns[Trade]
    is_late_for_minute: npt.NDArray[np.bool_]
    ahead: Columns[Trade]
