"""What ``import ticktrail`` offers: questions to the store, answered as Arrow, polars or pandas.

The store is the one that the settings name (``ticktrail.toml``, ``TICKTRAIL_STORE__…``), or the embedded one
if it runs. It is connected to at the first question, and until the process ends.
"""

from __future__ import annotations

import atexit
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Literal

from ticktrail.config import load
from ticktrail.errors import UsageError
from ticktrail.query import Engine, Moment, Result, to_pandas, to_polars
from ticktrail.store import connect

__all__ = ["read", "sql"]

_FORMS: dict[str, Callable[[Any], Any]] = {
    "arrow": lambda table: table,
    "polars": to_polars,
    "pandas": to_pandas,
}


def sql(text: str, *, scan_all: bool = False) -> Result:
    """Run SQL in DuckDB's dialect over ``trades, quotes, bars, status, corrections, latest``.

    Parameters
    ----------
    text
        The query. It must name symbols or a time from which on, for each table but `latest`.
    scan_all
        Allow reading whole tables.

    Returns
    -------
    The rows, to be taken with ``.arrow()``, ``.pl()``, ``.df()`` or ``.batches()``.

    Raises
    ------
    TicktrailError
        As `ticktrail.query.Engine.sql` has it; `ConfigError` where the settings name no store.

    Examples
    --------
    >>> ticktrail.sql("SELECT ts, price FROM trades WHERE symbol = 'IBM' AND day = '2014-03-24'").df()
    """
    return _engine().sql(text, scan_all=scan_all)


def read(  # noqa: PLR0913 (all but the first are bounds, and go by name)
    table: str,
    *,
    symbols: Sequence[str] | str | None = None,
    start: Moment | None = None,
    end: Moment | None = None,
    feed: str | None = None,
    interval: str | None = None,
    columns: Sequence[str] | None = None,
    as_: Literal["arrow", "polars", "pandas"] = "arrow",
    scan_all: bool = False,
) -> Any:
    """Read rows of one table, ordered by feed, symbol and time.

    Parameters
    ----------
    table
        ``"trades"``, ``"quotes"``, ``"bars"``, ``"status"`` or ``"corrections"``.
    symbols
        One or several; None for all.
    start, end
        Instants with a zone (`start` inside, `end` outside) or trading dates (both inside); as datetime,
        date, or text in ISO 8601.
    feed
        Only this one.
    interval
        Of bars: ``"1s"``, ``"1m"``, ``"5m"``, ``"1h"`` or ``"1d"``.
    columns
        In the order wanted; None for all.
    as_
        What to return: an Arrow table, a polars or a pandas frame.
    scan_all
        Allow reading the whole table.

    Raises
    ------
    TicktrailError
        As `ticktrail.query.Engine.read` has it; `ConfigError` where the settings name no store.

    Examples
    --------
    >>> ticktrail.read("bars", symbols="IBM", start="2014-03-24", interval="1m", as_="pandas")
    """
    form = _FORMS.get(as_)
    if form is None:
        raise UsageError(
            what=f"Rows cannot be read as {as_!r}", next_step=f"Use one of {', '.join(map(repr, _FORMS))}."
        )
    return form(
        _engine().read(
            table,
            symbols=symbols,
            start=start,
            end=end,
            feed=feed,
            interval=interval,
            columns=columns,
            scan_all=scan_all,
        )
    )


@cache
def _engine() -> Engine:
    session = connect(load().settings.store)
    engine = Engine(session)
    atexit.register(session.close)
    atexit.register(engine.close)
    return engine
