"""Trades that were corrected before they came.

Their bar closes with what they were first reported as, so it must be built again. Which ones they are is
remembered as marks in a bit field per feed and day, by a hash of symbol and event id: bounded however many
corrections there are, and never a trade missed. A trade that is taken for another one costs a rebuild that
changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import numpy.typing as npt

from ticktrail.bars.archive import Archive
from ticktrail.model import Array, Columns, Correction, Trade
from ticktrail.model.identity import event_ids_from_content

__all__ = ["Awaited"]

# 1 MiB a day: with 5,000 corrections in it, one trade in 1,600 is taken for another one.
_BITS = 1 << 23
# Days at once; others are read from the store again when they are needed.
_DAYS_MAX = 4

_Day = tuple[bytes, int]
_Field = npt.NDArray[np.uint8]


class Awaited:
    """Which trades of a partition have corrections already.

    Parameters
    ----------
    archive
        Gives the corrections of a day that this process has not read itself.
    is_ours
        Tells by feed and symbol whether their trades travel in this partition.
    """

    def __init__(self, archive: Archive, is_ours: Callable[[str, str], bool]) -> None:
        self._archive = archive
        self._is_ours = is_ours
        # In the order of their last use. None: there are no corrections, as on most days of most feeds.
        self._days: dict[_Day, _Field | None] = {}

    def add(self, corrections: Columns[Correction]) -> None:
        """Note corrections as they are read; raises as `Archive`."""
        for day, rows in _days_of(corrections):
            self._load(day)
            self._note(day, corrections.take(rows))

    def among(self, trades: Columns[Trade]) -> npt.NDArray[np.bool_]:
        """Tell which trades may have corrections, shape ``(n,)``; raises as `Archive`."""
        found = np.zeros(len(trades), dtype=bool)
        for day, rows in _days_of(trades):
            marks = self._load(day)
            if marks is not None:
                at, bits = _places(trades["symbol"][rows], trades["event_id"][rows])
                found[rows] = (marks[at] & bits) != 0
        return found

    def forget(self, needed: Iterable[tuple[str, int]]) -> None:
        """Keep few days, among them those of corrections that may not be stored yet."""
        kept = {(feed.encode(), day) for feed, day in needed}
        too_many = max(0, len(self._days) - _DAYS_MAX)
        for day in [day for day in self._days if day not in kept][:too_many]:
            del self._days[day]

    def _load(self, day: _Day) -> _Field | None:
        if day in self._days:
            self._days[day] = marks = self._days.pop(day)
            return marks
        self._days[day] = None
        feed = day[0].decode()
        for symbol in self._archive.corrected_symbols(feed, day[1]):
            if self._is_ours(feed, symbol):
                self._note(day, self._archive.corrections(feed, symbol, day[1]))
        return self._days[day]

    def _note(self, day: _Day, corrections: Columns[Correction]) -> None:
        if not len(corrections):
            return
        marks = self._days[day]
        if marks is None:
            self._days[day] = marks = np.zeros(_BITS // 8, dtype=np.uint8)
        at, bits = _places(corrections["symbol"], corrections["original_event_id"])
        np.bitwise_or.at(marks, at, bits)


def _days_of(columns: Columns[Correction] | Columns[Trade]) -> list[tuple[_Day, Array | slice]]:
    feeds, days = columns["feed"], columns["day"]
    if len(columns) == 0:
        return []
    if (feeds == feeds[0]).all() and (days == days[0]).all():  # the usual poll
        return [((bytes(feeds[0]), int(days[0])), slice(None))]
    distinct = sorted({(bytes(feed), int(day)) for feed, day in zip(feeds, days, strict=True)})
    return [((feed, day), (feeds == feed) & (days == day)) for feed, day in distinct]


def _places(symbols: Array, event_ids: Array) -> tuple[Array, Array]:
    """Give each trade's byte in the field, and its bit there."""
    places = event_ids_from_content([symbols, event_ids]) & (_BITS - 1)
    return places >> 3, np.left_shift(1, places & 7).astype(np.uint8)
