"""`ticktrail sql`: questions to the store."""

from __future__ import annotations

import json
import math
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Any

import click
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from rich.table import Column, Table
from rich.text import Text

from ticktrail.cli.options import FILE, json_option, load_settings, settings_options
from ticktrail.cli.table import show
from ticktrail.cli.text import printable
from ticktrail.config import Settings
from ticktrail.errors import UsageError
from ticktrail.query import Engine
from ticktrail.store import connect

__all__ = ["print_table", "run_sql", "sql_command"]

# More rows than a person reads; the whole result goes to --json or --output.
_SHOWN_ROWS = 40
# As Python objects rows take twenty times their room: a part of them at a time.
_JSON_ROWS = 10_000
_ENDINGS = (".csv", ".parquet", ".arrow")


@click.command("sql")
@settings_options
@json_option
@click.argument("query")
@click.option("--scan-all", is_flag=True, help="Allow a query without bounds, which reads whole tables.")
@click.option(
    "-o",
    "--output",
    type=FILE,
    help="Write the rows to a .csv, .parquet or .arrow file.",
)
def sql_command(query: str, scan_all: bool, output: Path | None, as_json: bool, **options: Any) -> None:
    """Ask with DuckDB's SQL over the tables trades, quotes, bars, status, corrections, latest.

    Bound every question by symbol or time: WHERE symbol = 'AAPL' AND ts >= TIMESTAMPTZ '2026-11-23 14:30Z'.

    Example: ticktrail sql "SELECT symbol, count(*) FROM trades WHERE ts > now() - INTERVAL 1 HOUR GROUP BY 1"
    """
    settings = load_settings(**options).settings
    if output is not None:
        _check_output(output)  # before what may be a long query
    with _ended_by_interrupt():
        # What the shell gave is UTF-8, whatever the locale would have it be.
        rows = run_sql(settings, os.fsencode(query).decode("utf-8", "replace"), scan_all=scan_all)
    if output is not None:
        _write(rows, output)
        click.echo(f"Wrote {rows.num_rows:,} rows to {output}.", err=True)
    elif as_json:
        for part in rows.to_batches(max_chunksize=_JSON_ROWS):
            for row in part.to_pylist():
                click.echo(json.dumps(_plain(row)))
    else:
        print_table(rows)


def run_sql(settings: Settings, query: str, *, scan_all: bool = False) -> pa.Table:
    """Run a query against the settings' store; give its rows.

    Raises
    ------
    TicktrailError
        As `ticktrail.query.Engine.sql` has it. Where nothing matched, a hint on standard error says what is
        stored.
    """
    session = connect(settings.store)
    try:
        engine = Engine(session)
        try:
            rows: pa.Table = engine.sql(query, scan_all=scan_all).arrow()
            if not rows.num_rows:
                _say_what_is_stored(engine)
        finally:
            engine.close()
    finally:
        session.close()
    return _with_distinct_names(rows)


def print_table(rows: pa.Table) -> None:
    """Print rows for people."""
    # As `Text`, or square brackets and colons in names and values would be taken for rich's markup.
    headers = (Column(header=Text(printable(name))) for name in rows.column_names)
    table = Table(*headers, box=None, header_style="bold")
    for index, field in enumerate(rows.schema):
        if pa.types.is_integer(field.type) or pa.types.is_floating(field.type):
            table.columns[index].justify = "right"
    for row in rows.slice(0, _SHOWN_ROWS).to_pylist():
        table.add_row(*(Text(printable(_shown(value))) for value in row.values()))
    show(table, may_wrap=False)
    if rows.num_rows > _SHOWN_ROWS:
        click.echo(f"… {rows.num_rows - _SHOWN_ROWS:,} more rows (--json or --output give all)")


@contextmanager
def _ended_by_interrupt() -> Iterator[None]:
    """Let Ctrl-C end the process at once: while DuckDB computes, Python's own handler would wait for it."""
    handler = signal.getsignal(signal.SIGINT)
    if handler is signal.default_int_handler:  # else a script's background job, which ignores it
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)


def _say_what_is_stored(engine: Engine) -> None:
    stored = engine.stored()
    if not stored:
        click.echo("Nothing is stored yet.", err=True)
        return
    click.echo("No rows. What is stored:", err=True)
    for entry in stored:
        click.echo(
            f"  {entry.table} of {entry.feed}: {entry.days_count} days from {entry.first} to {entry.last}",
            err=True,
        )


def _with_distinct_names(rows: pa.Table) -> pa.Table:
    """Tell columns of one name apart, such as two symbols of a join: rows are shown by name."""
    seen: set[str] = set()
    names = []
    for column in rows.column_names:
        name, number = column, 0
        while name in seen:
            number += 1
            name = f"{column}_{number}"
        seen.add(name)
        names.append(name)
    return rows.rename_columns(names)


def _check_output(output: Path) -> None:
    if output.suffix not in _ENDINGS:
        raise UsageError(
            what=f"Cannot tell what to write to {output}",
            why=f"its name ends in none of {', '.join(_ENDINGS)}",
            next_step="Give it one of these endings.",
        )
    if output.is_dir() or not output.absolute().parent.is_dir():
        raise UsageError(
            what=f"Cannot write {output}",
            why="it is a directory" if output.is_dir() else "its directory does not exist",
            next_step="Give the path of a file in a directory that exists.",
        )


def _write(rows: pa.Table, output: Path) -> None:
    # Whole or not at all: what stood there before is kept until the new rows are written.
    partial = output.with_name(output.name + ".partial")
    try:
        match output.suffix:
            case ".csv":
                pacsv.write_csv(rows, partial)
            case ".parquet":
                pq.write_table(rows, partial, compression="zstd")
            case ".arrow":
                with pa.OSFile(str(partial), "wb") as sink, pa.ipc.new_file(sink, rows.schema) as writer:
                    writer.write_table(rows)
        partial.replace(output)
    except pa.ArrowException as error:
        raise UsageError(
            what=f"Cannot write {output}",
            why=str(error),
            next_step="Write .parquet or .arrow, or cast such columns to VARCHAR.",
        ) from error
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(output)) from error
    finally:
        partial.unlink(missing_ok=True)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, int | float | str | bool | None) else str(value)


def _shown(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="auto").replace("+00:00", "Z")
    if isinstance(value, float):
        if 0 < abs(value) < 1:
            return f"{value:.6g}"
        return f"{value:,.4f}".rstrip("0").rstrip(".")
    return str(value)
