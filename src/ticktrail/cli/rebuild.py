"""`ticktrail bars --rebuild`: a day's bars held against its stored trades and corrections."""

from __future__ import annotations

import json
import threading
from collections.abc import Collection
from datetime import date
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ticktrail.bars.day import DayRebuild
from ticktrail.bars.output import BarOutput
from ticktrail.bus import Producer, Topics
from ticktrail.clock import SystemClock
from ticktrail.config import Settings
from ticktrail.errors import UsageError
from ticktrail.model import Bar, Columns
from ticktrail.reference import day_of_date
from ticktrail.store import Reader, Writer, connect, migrate

__all__ = ["rebuild_bars"]

# Printed; the counts tell of the others.
_SHOWN = 20
_COMPARED = ("open", "high", "low", "close", "volume", "vwap", "trades")


def rebuild_bars(
    settings: Settings, feed: str, day: date, symbols: Collection[str] | None, *, write: bool, as_json: bool
) -> int:
    """Compare a day's bars with those rebuilt, and print what differs.

    Parameters
    ----------
    symbols
        Only these; None for all.
    write
        Whether to write what differs, as new revisions.

    Returns
    -------
    The exit code: 1 where bars differ and are not written.

    Raises
    ------
    UsageError
        Nothing of that feed and day is stored.
    """
    session = connect(settings.store)
    try:
        if write:
            migrate(session)
        found = DayRebuild(Reader(session), settings, feed, day_of_date(day), symbols)
        if not found.symbols:
            raise UsageError(
                what=f"Neither trades nor bars of feed {feed!r} are stored for {day}",
                next_step="Ask `ticktrail sql` without bounds: it says what is stored.",
            )
        revised, stored, compared = _compare(found, as_json=as_json)
        if write and len(revised):
            clock = SystemClock()
            output = BarOutput(
                Writer(session, settings.persist.requests_in_flight_max),
                Producer(settings.kafka, clock),
                Topics.of(settings.kafka),
                clock,
                threading.Event(),
            )
            output.revise(revised)
    finally:
        session.close()
    pairs = _paired(stored, revised)
    summary = {
        "feed": feed,
        "day": day.isoformat(),
        "symbols": len(found.symbols),
        "bars": compared,
        "differing": len(revised),
        "written": len(revised) if write else 0,
    }
    if as_json:
        click.echo(json.dumps({**summary, "differences": [_plain(*pair) for pair in pairs]}))
    else:
        _print(summary, pairs)
    return 1 if len(revised) and not write else 0


def _compare(found: DayRebuild, *, as_json: bool) -> tuple[Columns[Bar], Columns[Bar], int]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    revised, stored, compared = [], [], 0
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=as_json) as progress:
        task = progress.add_task("rebuilding, symbols", total=len(found.symbols))
        for each in found:
            revised.append(each.rebuilt.revised)
            stored.append(each.rebuilt.stored)
            compared += each.rebuilt.compared
            progress.advance(task)
    return Columns.concat(revised), Columns.concat(stored), compared


def _paired(stored: Columns[Bar], revised: Columns[Bar]) -> list[tuple[Bar | None, Bar]]:
    before = {(bar.symbol, bar.interval, bar.ts_open_ns): bar for bar in stored.to_records()}
    return [(before.get((bar.symbol, bar.interval, bar.ts_open_ns)), bar) for bar in revised.to_records()]


def _plain(before: Bar | None, after: Bar) -> dict[str, Any]:
    # NaN is no JSON; msgspec writes null.
    both = {"stored": before, "rebuilt": after}
    bars: dict[str, Any] = json.loads(msgspec.json.encode(both))
    return {"symbol": after.symbol, "interval": after.interval, "ts_open_ns": after.ts_open_ns, **bars}


def _print(summary: dict[str, Any], pairs: list[tuple[Bar | None, Bar]]) -> None:
    for name, value in summary.items():
        click.echo(f"{name:>10}  {value:,}" if isinstance(value, int) else f"{name:>10}  {value}")
    for before, after in pairs[:_SHOWN]:
        click.echo(f"\n{after.symbol} {after.interval} {after.ts_open_ns}")
        for name in _COMPARED:
            was = "" if before is None else getattr(before, name)
            click.echo(f"{name:>10}  {was} → {getattr(after, name)}")
    if len(pairs) > _SHOWN:
        click.echo(f"… {len(pairs) - _SHOWN:,} more (--json gives all)")
