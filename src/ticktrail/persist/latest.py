"""The newest record of each symbol in a batch."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ticktrail.model import Columns, Flag, Trade

__all__ = ["newest_per_symbol"]


def newest_per_symbol(columns: Columns[Any], known_ns: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Find each symbol's record with the highest ``(ts_ns, event_id)``.

    Trades that may not update the last price (odd lots, late prints) are left out.

    Parameters
    ----------
    known_ns
        Shape ``(n,)``: when each record was known to exist. A time beyond it is wrong and counts as this:
        else one record from next year would hide its symbol's newer ones until then.

    Returns
    -------
    Their rows, ascending by feed and symbol.
    """
    rows = np.arange(len(columns))
    if columns.record is Trade:
        rows = np.flatnonzero(columns["flags"] & Flag.UPDATES_LAST)
    ts_ns = np.minimum(columns["ts_ns"], known_ns)
    keys = [column[rows] for column in (columns["event_id"], ts_ns, columns["symbol"], columns["feed"])]
    order = np.lexsort(keys)
    is_last = np.ones(len(rows), dtype=np.bool_)
    is_last[:-1] = np.logical_or.reduce([key[order][1:] != key[order][:-1] for key in keys[2:]])
    return rows[order[is_last]]
