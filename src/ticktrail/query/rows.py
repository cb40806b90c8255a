"""Plain reads: the rows of one table that pass a filter, in order."""

from __future__ import annotations

from itertools import groupby, pairwise
from typing import Any, NamedTuple

import pyarrow as pa

from ticktrail.query.plan import plan_reads
from ticktrail.query.pruning import Filter
from ticktrail.store import BARS, PartitionRef, Reader, Table, sql_schema

__all__ = ["read_rows"]


class _Part(NamedTuple):
    """The rows of one partition that passed, and their first and last time."""

    ref: PartitionRef
    rows: Any
    first: int
    last: int


def read_rows(reader: Reader, table: Table, rows: Filter, names: list[str]) -> Any:
    """Read the rows that pass a filter.

    Parameters
    ----------
    reader
        Where from.
    table
        Which table.
    rows
        The filter.
    names
        Columns of the result, in their order.

    Returns
    -------
    An Arrow table, ordered by feed, symbol, interval (of bars), time and event id.

    Raises
    ------
    TicktrailError
        The store cannot be read.
    """
    schema = sql_schema(table)
    order = ["ts"] if table is BARS else ["ts_ns", "event_id"]
    needed = rows.columns_for([*names, *order])
    batches: dict[PartitionRef, list[Any]] = {}
    for ref, batch in reader.read_all(plan_reads(reader, table, rows), needed):
        kept = rows.apply(batch)
        if kept.num_rows:
            batches.setdefault(ref, []).append(kept)
    parts = [_part(ref, pa.Table.from_batches(found), order[0]) for ref, found in batches.items()]
    # A slot is a time of day in UTC, so its number does not tell whether it comes before or after another
    # one of the same trading date; its first row does.
    parts.sort(key=lambda part: (*_series(part.ref), part.first))
    tables = [pa.schema([schema.field(name) for name in needed]).empty_table()]
    for _, group in groupby(parts, key=lambda part: _series(part.ref)):
        tables.append(_joined(list(group), order))
    return pa.concat_tables(tables).select(names)


def _joined(parts: list[_Part], order: list[str]) -> Any:
    joined = pa.concat_tables([part.rows for part in parts])
    if all(earlier.last < later.first for earlier, later in pairwise(parts)):
        return joined
    # One instant may lie in two trading dates; and on a day of 25 hours, the rows of one slot lie on both
    # sides of its neighbours.
    return joined.sort_by([(name, "ascending") for name in order])


def _part(ref: PartitionRef, rows: Any, time: str) -> _Part:
    times = rows.column(time).cast(pa.int64())
    return _Part(ref, rows, times[0].as_py(), times[-1].as_py())


def _series(ref: PartitionRef) -> tuple[str, str, str]:
    return ref.day.feed, ref.symbol, ref.day.interval
