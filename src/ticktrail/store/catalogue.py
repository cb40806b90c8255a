"""Which partitions exist: written before their first rows, read before any query.

A reader that trusts the catalogue never asks for a partition that is not there and never misses one that
is, because an entry is acknowledged before the first row of its partition is sent.
"""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
from cassandra.query import BatchStatement, BatchType

from ticktrail.model import Array
from ticktrail.reference import date_of_day
from ticktrail.store.session import StoreSession
from ticktrail.store.tables import Table, dataset_of

__all__ = ["Catalogue", "entries_of"]

# Entries remembered as written; beyond it the oldest are written again, which is harmless. One entry takes
# some 200 bytes, and 11,000 symbols make 11,000 entries per slot.
_KNOWN_MAX = 100_000
_BATCH_ROWS = 500

_Entry = tuple[str, str, int, str, int]
_Day = tuple[str, str, int]


class Catalogue:
    """Enters partitions; remembers those it has entered."""

    def __init__(self, session: StoreSession) -> None:
        self._session = session
        self._known: OrderedDict[_Entry, None] = OrderedDict()
        self._days: set[_Day] = set()
        self._insert = session.prepare(
            "INSERT INTO partitions (dataset, feed, day, symbol, slot) VALUES (?, ?, ?, ?, ?)"
        )
        self._insert_day = session.prepare("INSERT INTO days (dataset, feed, day) VALUES (?, ?, ?)")

    def enter(self, table: Table, keys: dict[str, Array]) -> None:
        """Make sure that these partitions are entered; returns once the server has confirmed.

        Parameters
        ----------
        table
            Their table; those without partitions of their own (`latest`) need no entries.
        keys
            Key columns with one row per partition.

        Raises
        ------
        TicktrailError
            The entries could not be written.
        """
        if table.name == "latest":
            return
        new = [entry for entry in entries_of(table, keys) if entry not in self._known]
        if not new:
            return
        days: dict[_Day, list[_Entry]] = {}
        for entry in new:
            days.setdefault(entry[:3], []).append(entry)
        for day, entries in days.items():
            self._enter_day(day, entries)
        for entry in new:
            self._known[entry] = None
        while len(self._known) > _KNOWN_MAX:
            self._known.popitem(last=False)

    def forget(self) -> None:
        """Enter all anew from now on: the server may have lost what it had confirmed."""
        self._known.clear()
        self._days.clear()

    def _enter_day(self, day: _Day, entries: list[_Entry]) -> None:
        # A day's entries are one partition, so that a batch of them is one write: a new slot of all symbols
        # costs a request or two.
        for start in range(0, len(entries), _BATCH_ROWS):
            batch = BatchStatement(BatchType.UNLOGGED)
            for dataset, feed, number, symbol, slot in entries[start : start + _BATCH_ROWS]:
                batch.add(self._insert, (dataset, feed, date_of_day(number), symbol, slot))
            self._session.execute(batch)
        if day not in self._days:
            dataset, feed, number = day
            self._session.execute(self._insert_day, (dataset, feed, date_of_day(number)))
            self._days.add(day)


def entries_of(table: Table, keys: dict[str, Array]) -> list[_Entry]:
    """Name the catalogue entries ``(dataset, feed, day, symbol, slot)`` of partitions given by their keys."""
    feeds = [feed.decode() for feed in keys["feed"].tolist()]
    if "symbol" not in keys:  # gaps: one partition a day
        days = keys["day"].tolist()
        return [(dataset_of(table), feed, day, "", 0) for feed, day in zip(feeds, days, strict=True)]
    symbols = [symbol.decode() for symbol in keys["symbol"].tolist()]
    if "interval" in keys:
        datasets = [dataset_of(table, interval.decode()) for interval in keys["interval"].tolist()]
        days, slots = keys["bucket"].tolist(), [0] * len(feeds)
    else:
        datasets = [dataset_of(table)] * len(feeds)
        days, slots = keys["day"].tolist(), np.asarray(keys["slot"]).tolist()
    return list(zip(datasets, feeds, days, symbols, slots, strict=True))
