"""What venues said of their trades afterwards, applied to them.

A correction names its trade by event id, venue and trade id, and may give it a new trade id, by which a later
one then names it. It concerns trades of its own feed, symbol and day. Of all that was said of a trade, under
whichever of its ids, the last word by the corrections' own ``(ts_ns, event_id)`` stands: a rule that knows no
order of arrival, so that a bar rebuilt twice is the same bar.

A corrected trade keeps its identity, and so its place in time. A cancel (or ``"error"``) takes it out.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ticktrail.bars.archive import StoredTrades
from ticktrail.bars.candles import Times
from ticktrail.bars.rows import Rows, take
from ticktrail.model import Array, Columns, Correction

__all__ = ["Corrections"]

_CORRECT = "correct"


class _Name(NamedTuple):
    """How the first correction of a trade names it."""

    event_id: int
    venue: str
    trade_id: str


class Corrections:
    """The corrections of one symbol and day.

    Parameters
    ----------
    stored
        All that there are, in any order.
    """

    def __init__(self, stored: Columns[Correction]) -> None:
        self._last: dict[_Name, Correction] = {}
        self._named: dict[tuple[int, int], _Name] = {}
        renamed: dict[tuple[str, str], _Name] = {}
        for each in sorted(stored.to_records(), key=lambda each: (each.ts_ns, each.event_id)):
            own = _Name(each.original_event_id, each.venue, each.trade_id)
            name = renamed.get((each.venue, each.trade_id), own)
            self._last[name] = each
            self._named[each.ts_ns, each.event_id] = name
            if each.action == _CORRECT and each.corrected_trade_id:
                renamed[each.venue, each.corrected_trade_id] = name

    def originals(self, ts_ns: Times, event_ids: Times) -> tuple[Times, Times]:
        """Find which trades some of the corrections speak of.

        Parameters
        ----------
        ts_ns, event_ids
            Shape ``(n,)``; the corrections' own.

        Returns
        -------
        The trades' event ids, and the times of the corrections; those that are not stored are left out.
        """
        keys = zip(ts_ns.tolist(), event_ids.tolist(), strict=True)
        found = [(self._named[key].event_id, key[0]) for key in keys if key in self._named]
        ids, times = np.array(found, dtype=np.int64).reshape(-1, 2).T
        return ids, times

    def applied_to(self, trades: StoredTrades) -> Rows:
        """Give the trades as they are to be counted; those that were cancelled are left out."""
        if not self._last or not len(trades.rows):
            return trades.rows
        ids = np.array([name.event_id for name in self._last])
        candidates = np.flatnonzero(np.isin(trades.rows["event_id"], ids))
        rows = trades.rows.copy()
        counts = np.ones(len(rows), dtype=bool)
        for index in candidates.tolist():
            word = self._last.get(_name_of(trades, index))
            if word is None:
                continue
            counts[index] = word.action == _CORRECT
            if counts[index]:
                _correct(rows, index, word)
        return rows if counts.all() else take(rows, counts)


def _name_of(trades: StoredTrades, index: int) -> _Name:
    def text(column: Array) -> str:
        return bytes(column[index]).decode()

    return _Name(int(trades.rows["event_id"][index]), text(trades.venues), text(trades.trade_ids))


def _correct(rows: Rows, index: int, word: Correction) -> None:
    # What a correction does not repeat has not changed.
    if not np.isnan(word.price):
        rows["price"][index] = word.price
    if not np.isnan(word.size):
        rows["size"][index] = word.size
    rows["flags"][index] = word.flags
