"""The store's tables as datasets, which is how DuckDB asks for their rows.

DuckDB hands every scan the columns that it needs and the filters that it could push down, and does not
apply those filters again: the scanner returned must.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds

from ticktrail.errors import TicktrailError, UnboundedQuery
from ticktrail.query.plan import plan_reads
from ticktrail.query.pruning import Filter
from ticktrail.store import ALERTS_SCHEMA, GAPS_SCHEMA, LATEST_SCHEMA, Reader, Table, sql_schema

__all__ = ["SMALL_SCHEMAS", "Failure", "SmallDataset", "TableDataset", "small_datasets", "unbounded"]

SMALL_SCHEMAS = {"latest": LATEST_SCHEMA, "gaps": GAPS_SCHEMA, "alerts": ALERTS_SCHEMA}


class Failure:
    """The first error of a query's scans, which would lose its type on the way through Arrow and DuckDB."""

    def __init__(self) -> None:
        self.error: TicktrailError | None = None

    def note(self, error: TicktrailError) -> TicktrailError:
        """Keep an error and give it back, to be raised."""
        self.error = self.error or error
        return error


class TableDataset(ds.Dataset):  # type: ignore[misc]
    """A partitioned table; see `ticktrail.query.plan`.

    Parameters
    ----------
    reader
        Where the rows come from.
    table
        Which ones.
    scan_all
        Whether scans without bounds are meant.
    failure
        Learns of errors.
    """

    def __init__(self, reader: Reader, table: Table, failure: Failure, *, scan_all: bool = False) -> None:
        self._reader = reader
        self._table = table
        self._failure = failure
        self._scan_all = scan_all
        self._schema = sql_schema(table)

    @property
    def schema(self) -> Any:
        return self._schema

    def scanner(self, columns: list[str] | None = None, filter: Any = None) -> Any:  # noqa: A002
        """Serve one scan; DuckDB calls this."""
        rows = Filter(filter, self._schema)
        if not self._scan_all and not rows.is_bounded:
            raise self._failure.note(unbounded(self._table))
        columns = self._schema.names if columns is None else columns
        return _Scan(self._batches(rows, columns), self._schema, columns)

    def _batches(self, rows: Filter, columns: list[str]) -> Iterator[Any]:
        try:
            reads = plan_reads(self._reader, self._table, rows)
            for _, batch in self._reader.read_all(reads, rows.columns_for(columns)):
                yield rows.apply(batch).select(columns)
        except TicktrailError as error:
            raise self._failure.note(error) from error.__cause__


class SmallDataset(ds.Dataset):  # type: ignore[misc]
    """A table so small that it needs no bounds.

    Parameters
    ----------
    schema
        Its own.
    read
        Gives its rows as Arrow tables in that schema.
    failure
        Learns of errors.
    """

    def __init__(self, schema: Any, read: Callable[[], Iterable[Any]], failure: Failure) -> None:
        self._schema = schema
        self._read = read
        self._failure = failure

    @property
    def schema(self) -> Any:
        return self._schema

    def scanner(self, columns: list[str] | None = None, filter: Any = None) -> Any:  # noqa: A002
        """Serve one scan; DuckDB calls this."""
        columns = self._schema.names if columns is None else columns
        return _Scan(self._batches(Filter(filter, self._schema), columns), self._schema, columns)

    def _batches(self, rows: Filter, columns: list[str]) -> Iterator[Any]:
        try:
            for table in self._read():
                for batch in table.to_batches():
                    yield rows.apply(batch).select(columns)
        except TicktrailError as error:
            raise self._failure.note(error) from error.__cause__


def small_datasets(reader: Reader, failure: Failure) -> dict[str, SmallDataset]:
    """Make those that every query may read whole, by name."""
    reads: dict[str, Callable[[], Iterable[Any]]] = {
        "latest": reader.latest,
        "gaps": reader.gaps,
        "alerts": reader.alerts,
    }
    return {name: SmallDataset(schema, reads[name], failure) for name, schema in SMALL_SCHEMAS.items()}


class _Scan:
    """What DuckDB wants of a scanner. Arrow's own reads ahead by hundreds of megabytes; this one does not."""

    def __init__(self, batches: Iterator[Any], schema: Any, columns: list[str]) -> None:
        self._batches = batches
        self.projected_schema = pa.schema([schema.field(name) for name in columns])

    def to_reader(self) -> Any:
        """Hand over the batches, each made when it is taken."""
        return pa.RecordBatchReader.from_batches(self.projected_schema, self._batches)


def unbounded(table: Table) -> UnboundedQuery:
    """Say that a scan has no bounds, and how to bound it."""
    times = "ts >= '2014-03-24 14:30:00+00' AND ts < '2014-03-24 15:00:00+00'"
    example = f"{table.name} WHERE symbol = 'IBM' AND {times}"
    return UnboundedQuery(
        what=f"This would read everything that is stored in {table.name}",
        why="the query names neither symbols nor a time from which on",
        next_step=f"Bound it by one of the two or both: … FROM {example}. "
        "symbol IN (…), day >= '2014-03-24' and BETWEEN do as well; conditions on computed values, such as "
        "upper(symbol) or ts::DATE, do not. To read everything, add --scan-all (in Python: scan_all=True).",
    )
