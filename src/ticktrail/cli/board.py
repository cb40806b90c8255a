"""Servers and stages as tables for people."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from ticktrail.clock import NS_PER_SECOND
from ticktrail.stack import StackStatus
from ticktrail.telemetry import Health
from ticktrail.telemetry.stages import StageRow, with_totals

__all__ = ["board", "servers_table", "stages_table"]

_NONE = "–"
_MIB = 1024 * 1024
_UNITS = ((1024**3, "GiB"), (_MIB, "MiB"), (1024, "KiB"))
# One below the other: title, two empty lines, and the cursor's.
_OTHER_LINES = 4
# Characters of a stage's name for which there is room.
_NAME_MAX = 14

_STYLES = {Health.RUNNING: "green", Health.SILENT: "yellow", Health.DEAD: "red", Health.STOPPED: "dim"}


def _number(value: float | None) -> str:
    return _NONE if value is None or math.isnan(value) else f"{value:,.0f}"


def _lag(row: StageRow) -> str:
    if row.lag_records is None and row.queued_frames is not None:
        return f"{row.queued_frames:,} frames"
    return _number(row.lag_records)


def _span(seconds: float | None) -> str:
    if seconds is None or math.isnan(seconds):
        return _NONE
    if seconds < 1:
        ms = seconds * 1_000
        return f"{ms:.1f} ms" if 0 < ms < 99.5 else f"{ms:.0f} ms" if ms else "0"
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 100 else f"{minutes / 60:.0f} h"


def _bytes(count: int | None) -> str:
    if count is None:
        return _NONE
    for size, unit in _UNITS:
        if count >= size:
            return f"{count / size:,.{0 if count >= 10 * size else 1}f} {unit}"
    return f"{count} B" if count else "0"


class _Column(NamedTuple):
    """A measure: its name, how it is written, and whether it calls for a look."""

    title: str
    text: Callable[[StageRow], str]
    is_odd: Callable[[StageRow], bool] = lambda row: False


_FLOW = (
    _Column("records/s", lambda row: _number(row.records_per_s)),
    _Column("lag", _lag),
    _Column("behind", lambda row: _span(row.lag_s)),
    _Column("p50", lambda row: _span(row.latency.quantile_ns(0.5) / NS_PER_SECOND)),
    _Column("p99", lambda row: _span(row.latency.quantile_ns(0.99) / NS_PER_SECOND)),
    _Column("batch", lambda row: _number(row.batch.mean)),
)
_CARE = (
    _Column("retries", lambda row: _number(row.retries), lambda row: bool(row.retries)),
    _Column("dead letters", lambda row: _number(row.dead_letters), lambda row: bool(row.dead_letters)),
    _Column("spool", lambda row: _bytes(row.spool_bytes), lambda row: bool(row.spool_bytes)),
    _Column("oldest", lambda row: _span(row.spool_age_s), lambda row: bool(row.spool_bytes)),
    _Column("checkpoint", lambda row: _span(row.checkpoint_age_s)),
    _Column("memory", lambda row: _bytes(row.rss_bytes)),
)


def servers_table(status: StackStatus) -> Table:
    """List the servers."""
    table = Table("server", "state", "address", "pid", "memory", "up for", box=None, header_style="bold")
    for server in status.servers:
        table.add_row(
            f"{server.name} {server.version}",
            server.state,
            server.address,
            str(server.pid or ""),
            f"{server.rss_bytes // _MIB} MiB" if server.pid else "",
            f"{server.uptime_s:.0f} s" if server.pid else "",
        )
    return table


def stages_table(rows: Iterable[StageRow], columns: Sequence[_Column] = (*_FLOW, *_CARE)) -> Table:
    """List the stages with these measures."""
    table = Table("stage", "state", box=None, header_style="bold")
    for column in columns:
        table.add_column(column.title, justify="right")
    for each in table.columns:
        each.no_wrap = True
    for row in rows:
        state = Text(row.state, style="" if row.is_total else _STYLES[Health(row.state)])
        cells = (Text(c.text(row), style="bold yellow" if c.is_odd(row) else "") for c in columns)
        table.add_row(f"all {row.name}" if row.is_total else row.name, state, *cells, style=_style(row))
    return table


def board(title: Text, status: StackStatus, rows: Sequence[StageRow], console: Console) -> RenderableType:
    """Arrange everything for a terminal: side by side where it is wide, totals alone where it is low."""
    servers = servers_table(status)
    for only_totals in (False, True):
        shown = with_totals(rows, only_totals=only_totals)
        whole = stages_table(shown)
        is_wide = (
            console.measure(whole, options=console.options.update(width=10_000)).maximum <= console.width
        )
        stages = [whole] if is_wide else [stages_table(shown, _FLOW), stages_table(shown, _CARE)]
        for table in stages:
            table.columns[0].max_width = _NAME_MAX
            table.collapse_padding = not is_wide
        lines = servers.row_count + 1 + sum(table.row_count + 1 for table in stages)
        if lines + _OTHER_LINES <= console.height:
            break
    if not rows:
        return Group(title, servers, Text("\nNo stage has run here yet.", style="dim"))
    return Group(title, servers, *(part for table in stages for part in (Text(""), table)))


def _style(row: StageRow) -> str:
    return "bold" if row.is_total else "" if row.is_running else "dim"
