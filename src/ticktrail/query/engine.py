"""SQL and plain reads over everything that is stored."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from functools import partial, reduce
from operator import and_
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from ticktrail.errors import QueryError, TicktrailError, UsageError
from ticktrail.query.content import content_sql
from ticktrail.query.datasets import SMALL_SCHEMAS, Failure, TableDataset, small_datasets, unbounded
from ticktrail.query.plan import datasets_of
from ticktrail.query.problems import explained, nearest
from ticktrail.query.pruning import Filter
from ticktrail.query.result import Result
from ticktrail.query.rows import read_rows
from ticktrail.query.times import Moment, from_start, until_end
from ticktrail.reference import date_of_day
from ticktrail.store import TABLES, Reader, StoreSession, sql_schema

__all__ = ["Engine", "Stored"]


class Stored(NamedTuple):
    """What is stored of one table and feed.

    Parameters
    ----------
    table
        In SQL.
    feed
        The feed's name.
    first, last
        Trading dates; for bars the first days of the partitions, which hold a month or a year.
    days_count
        How many such days there are.
    """

    table: str
    feed: str
    first: date
    last: date
    days_count: int


class Engine:
    """Answers questions over one store. May be used from several threads.

    DuckDB works on the caller's machine and may read and join the caller's own files. It fetches no
    extensions (nothing leaves the machine), sees no Python variables, and its time zone is UTC. Tables that
    a query creates are kept in memory until `close`; settings last for one query.

    Parameters
    ----------
    session
        An open session of the store; stays open after `close`.
    sandbox_bytes
        For questions of strangers: no files, no network, no extensions, no settings, one reading statement at
        a time, and so much memory for DuckDB. None trusts the caller.

    Raises
    ------
    TicktrailError
        The store cannot be read, or nothing is stored yet.
    """

    def __init__(self, session: StoreSession, *, sandbox_bytes: int | None = None) -> None:
        self._reader = Reader(session)
        self._is_sandbox = sandbox_bytes is not None
        bounds: dict[str, str | int | float | list[str]] = {
            "enable_external_access": False,
            "memory_limit": f"{sandbox_bytes or 0}B",
            "temp_directory": "",
        }
        self._database = duckdb.connect(
            config={
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
                "python_enable_replacements": False,
                **(bounds if self._is_sandbox else {}),
            }
        )
        self._database.execute("SET GLOBAL TimeZone = 'UTC'")
        if self._is_sandbox:
            self._database.execute("SET lock_configuration = true")

    def sql(self, text: str, *, scan_all: bool = False) -> Result:
        """Run SQL in DuckDB's dialect.

        Its tables: ``trades, quotes, bars, status, corrections, latest, gaps, alerts``.

        Parameters
        ----------
        text
            One statement, or several of which the last one's rows are given.
        scan_all
            Allow reading whole tables.

        Raises
        ------
        UnboundedQuery
            A table would be read whole: neither symbols nor a time from which on are given.
        QueryError
            The SQL is wrong.
        TicktrailError
            The store cannot be read.
        """
        failure = Failure()
        if self._is_sandbox:
            self._check_reads(text)
        # Every query has a connection of its own: an open result blocks the one that computes it.
        cursor = self._database.cursor()
        for name, table in TABLES.items():
            cursor.register(name, TableDataset(self._reader, table, failure, scan_all=scan_all))
        for name, dataset in small_datasets(self._reader, failure).items():
            cursor.register(name, dataset)
        translate = partial(_translated, failure)
        try:
            relation = cursor.sql(text)
        except duckdb.Error as error:
            raise translate(error) from error
        if relation is None:
            raise QueryError(
                what="There is nothing to run", next_step="Try: SELECT symbol, price FROM latest"
            )
        return Result(cursor, relation, translate)

    def read(  # noqa: PLR0913 (all but the first are bounds, and go by name)
        self,
        table: str,
        *,
        symbols: Sequence[str] | str | None = None,
        start: Moment | None = None,
        end: Moment | None = None,
        feed: str | None = None,
        interval: str | None = None,
        columns: Sequence[str] | None = None,
        scan_all: bool = False,
    ) -> Any:
        """Read rows into an Arrow table, ordered by feed, symbol and time.

        Parameters
        ----------
        table
            ``"trades"``, ``"quotes"``, ``"bars"``, ``"status"`` or ``"corrections"``.
        symbols
            One or several; None for all.
        start, end
            Instants with a zone (`start` inside, `end` outside) or trading dates (both inside).
        feed
            Only this one.
        interval
            Of bars: ``"1m"``.
        columns
            In the order wanted; None for all.
        scan_all
            Allow reading the whole table.

        Raises
        ------
        UsageError
            A table or column does not exist, or a time has no zone.
        UnboundedQuery
            Neither symbols nor a start are given.
        TicktrailError
            The store cannot be read.
        """
        source = TABLES[_known(table, TABLES, "table")]
        schema = sql_schema(source)
        names = [_known(name, schema.names, f"column of {table}") for name in columns or schema.names]
        equals = {"symbol": symbols, "feed": feed, "interval": interval}
        conditions = [
            pc.field(_known(name, schema.names, f"column of {table}")).isin(_texts(value))
            for name, value in equals.items()
            if value is not None
        ]
        conditions += [from_start(start)] if start is not None else []
        conditions += [until_end(end)] if end is not None else []
        rows = Filter(reduce(and_, conditions) if conditions else None, schema)
        if not scan_all and not rows.is_bounded:
            raise unbounded(source)
        return read_rows(self._reader, source, rows, names)

    def stored(self) -> list[Stored]:
        """Tell what is stored: the dates of each table and feed that has any. Reads the catalogue only."""
        found = []
        for name, table in TABLES.items():
            days: dict[str, list[int]] = {}
            for dataset in datasets_of(table):
                for day in self._reader.days(dataset):
                    days.setdefault(day.feed, []).append(day.day)
            found += [
                Stored(name, feed, date_of_day(min(of_feed)), date_of_day(max(of_feed)), len(set(of_feed)))
                for feed, of_feed in sorted(days.items())
            ]
        return found

    def content_hash(self, table: str, feed: str) -> Any:
        """Hash all rows of a table and feed: an Arrow table of symbol, day, rows and hash; see `content_sql`.

        Raises
        ------
        UsageError
            The table does not exist.
        TicktrailError
            The store cannot be read.
        """
        return self.sql(content_sql(_known(table, TABLES, "table"), feed), scan_all=True).arrow()

    def _check_reads(self, text: str) -> None:
        try:
            kinds = [statement.type for statement in self._database.extract_statements(text)]
        except duckdb.Error as error:
            raise _translated(Failure(), error) from error
        except ValueError:
            kinds = None  # DuckDB's own Python has no name for some: UPDATE EXTENSIONS
        if kinds != [duckdb.StatementType.SELECT]:
            names = ["a kind of its own"] if kinds is None else [kind.name for kind in kinds]
            raise QueryError(
                what="Only one statement that reads is allowed here",
                why="it has " + (", ".join(names) or "none"),
                next_step="Ask with a single SELECT; `ticktrail sql` on the machine allows all of SQL.",
            )

    def close(self) -> None:
        """Release DuckDB's memory."""
        self._database.close()


def _texts(value: Sequence[str] | str) -> Any:
    return pa.array([value] if isinstance(value, str) else list(value), pa.string())


def _known(name: str, known: Iterable[str], kind: str) -> str:
    names = list(known)
    if name in names:
        return name
    raise UsageError(what=f"There is no {kind} {name!r}", next_step=nearest(name, names))


def _translated(failure: Failure, error: Exception) -> TicktrailError:
    if failure.error is not None:
        return failure.error
    schemas = [*map(sql_schema, TABLES.values()), *SMALL_SCHEMAS.values()]
    return explained(error, (*TABLES, *SMALL_SCHEMAS), {name for schema in schemas for name in schema.names})
