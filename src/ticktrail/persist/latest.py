"""The newest record of each symbol in a batch."""

from __future__ import annotations

from typing import Any

import numpy as np

from ticktrail.model import Columns, Flag, Trade

__all__ = ["newest_per_symbol"]


def newest_per_symbol(columns: Columns[Any]) -> Columns[Any]:
    """Keep each symbol's record with the highest ``(ts_ns, event_id)``.

    Trades that may not update the last price (odd lots, late prints) are left out.
    """
    if columns.record is Trade:
        columns = columns.take((columns["flags"] & Flag.UPDATES_LAST) != 0)
    if not len(columns):
        return columns
    names = ("feed", "symbol")
    order = np.lexsort((columns["event_id"], columns["ts_ns"], columns["symbol"], columns["feed"]))
    is_last = np.ones(len(columns), dtype=np.bool_)
    is_last[:-1] = np.logical_or.reduce(
        [columns[name][order][1:] != columns[name][order][:-1] for name in names]
    )
    return columns.take(order[is_last])
