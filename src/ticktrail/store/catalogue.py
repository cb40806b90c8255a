"""Which partitions exist: written before their first rows, read before any query.

A reader that trusts the catalogue never asks for a partition that is not there and never misses one that
is, because an entry is acknowledged before the first row of its partition is sent.
"""

from __future__ import annotations

from collections import OrderedDict

import numpy as np

from ticktrail.model import Array
from ticktrail.reference import date_of_day
from ticktrail.store.session import StoreSession
from ticktrail.store.tables import Table, dataset_of

__all__ = ["Catalogue", "entries_of"]

# Entries remembered as written; beyond it the oldest are written again, which is harmless. One entry takes
# some 200 bytes, and 11,000 symbols make 11,000 entries per slot.
_KNOWN_MAX = 100_000

_Entry = tuple[str, str, int, str, int]


class Catalogue:
    """Enters partitions; remembers those it has entered."""

    def __init__(self, session: StoreSession) -> None:
        self._session = session
        self._known: OrderedDict[_Entry, None] = OrderedDict()
        self._days: set[tuple[str, str, int]] = set()
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
        self._session.execute_many(
            self._insert, [(d, f, date_of_day(day), s, slot) for d, f, day, s, slot in new]
        )
        days = {(dataset, feed, day) for dataset, feed, day, _, _ in new} - self._days
        self._session.execute_many(
            self._insert_day, [(dataset, feed, date_of_day(day)) for dataset, feed, day in days]
        )
        self._days |= days
        for entry in new:
            self._known[entry] = None
        while len(self._known) > _KNOWN_MAX:
            self._known.popitem(last=False)


def entries_of(table: Table, keys: dict[str, Array]) -> list[_Entry]:
    """Name the catalogue entries ``(dataset, feed, day, symbol, slot)`` of partitions given by their keys."""
    feeds = [feed.decode() for feed in keys["feed"].tolist()]
    symbols = [symbol.decode() for symbol in keys["symbol"].tolist()]
    if "interval" in keys:
        datasets = [dataset_of(table, interval.decode()) for interval in keys["interval"].tolist()]
        days, slots = keys["bucket"].tolist(), [0] * len(feeds)
    else:
        datasets = [dataset_of(table)] * len(feeds)
        days, slots = keys["day"].tolist(), np.asarray(keys["slot"]).tolist()
    return list(zip(datasets, feeds, days, symbols, slots, strict=True))
