"""What a query gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import duckdb
import pyarrow as pa

from ticktrail.errors import TicktrailError, UsageError

__all__ = ["Result", "to_pandas", "to_polars"]

# Rows per batch of a streamed result: large enough for columnar work, small enough to show at once.
_BATCH_ROWS = 65_536


class Result:
    """The rows of one query, computed as they are taken.

    Parameters
    ----------
    cursor
        The DuckDB connection that computes them; closed with the result.
    relation
        The query.
    translate
        Says an error of DuckDB in ticktrail's terms.

    Raises
    ------
    TicktrailError
        The query cannot be answered. May also come while rows are taken.
    """

    def __init__(
        self,
        cursor: duckdb.DuckDBPyConnection,
        relation: duckdb.DuckDBPyRelation,
        translate: Callable[[Exception], TicktrailError],
    ) -> None:
        self._cursor = cursor
        self._translate = translate
        self._table: Any = None
        try:
            self._batches = relation.to_arrow_reader(_BATCH_ROWS)
        except (duckdb.Error, pa.ArrowException) as error:
            raise translate(error) from error

    @property
    def schema(self) -> Any:
        """The Arrow schema of the rows."""
        return self._batches.schema

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        names: list[str] = self.schema.names
        return names

    def batches(self) -> Iterator[Any]:
        """Take the rows as Arrow record batches, once, without holding them all."""
        while True:
            try:
                batch = self._batches.read_next_batch()
            except StopIteration:
                return
            except (duckdb.Error, pa.ArrowException, OSError) as error:
                raise self._translate(error) from error
            yield batch

    def arrow(self) -> Any:
        """Take all rows as an Arrow table; may be asked for again."""
        if self._table is None:
            self._table = pa.Table.from_batches(self.batches(), schema=self.schema)
        return self._table

    def pl(self) -> Any:
        """Take all rows as a polars frame.

        Raises
        ------
        UsageError
            polars is not installed.
        """
        return to_polars(self.arrow())

    def df(self) -> Any:
        """Take all rows as a pandas frame.

        Raises
        ------
        UsageError
            pandas is not installed.
        """
        return to_pandas(self.arrow())

    def close(self) -> None:
        """Stop computing; what was not taken is lost."""
        self._cursor.close()


def to_polars(table: Any) -> Any:
    """Turn an Arrow table into a polars frame; raises `UsageError` where polars is not installed."""
    try:
        import polars  # noqa: PLC0415 (an optional dependency)
    except ImportError:
        raise _not_installed("polars") from None
    return polars.from_arrow(table)


def to_pandas(table: Any) -> Any:
    """Turn an Arrow table into a pandas frame; raises `UsageError` where pandas is not installed."""
    try:
        import pandas  # noqa: F401, PLC0415 (an optional dependency)
    except ImportError:
        raise _not_installed("pandas") from None
    return table.to_pandas()


def _not_installed(name: str) -> UsageError:
    return UsageError(
        what=f"A {name} frame was asked for",
        why=f"{name} is not installed",
        next_step=f"Install it with `pip install {name}`, or take the Arrow table.",
    )
