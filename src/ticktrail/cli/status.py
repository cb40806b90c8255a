"""`ticktrail status`: how servers and stages fare, once or again and again."""

from __future__ import annotations

import json
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ticktrail.cli.board import board, servers_table, stages_table
from ticktrail.cli.live import live_on
from ticktrail.cli.options import json_option, load_settings, positive, same_place, settings_options
from ticktrail.cli.table import show
from ticktrail.clock import NS_PER_SECOND, Clock, SystemClock
from ticktrail.config import Settings
from ticktrail.errors import UsageError
from ticktrail.stack import Stack, StackStatus
from ticktrail.telemetry import Health, Reading, read_snapshots, run_dir
from ticktrail.telemetry.stages import StageHistory, StageRow, with_totals

__all__ = ["status_command"]

_EVERY_S = 1.0
# The name of a kind's second, third … process, and how long its end is shown.
_FURTHER = re.compile(r"-\d+$")
_SHOWN_AFTER_END_NS = 600 * NS_PER_SECOND

Emit = Callable[[StackStatus, list[StageRow]], None]


@click.command("status")
@settings_options
@json_option
@click.option("--watch", is_flag=True, help="Go on until Ctrl-C, with rates, lags and latencies.")
@click.option(
    "--every",
    "every_s",
    type=click.FloatRange(0.1, 86_400),
    callback=positive,
    help="Seconds between two looks of --watch (1).",
)
def status_command(as_json: bool, watch: bool, every_s: float | None, **options: Any) -> int:
    """Say how the servers and the stages of this data directory fare; exit code 1 unless both servers are up.

    With --watch: live on a terminal, else a block of lines a second, with --json one object on each line.
    Rates, latencies and batches are those of the last five seconds. The exit code is then 0.

    Example: ticktrail status --watch
    """
    if every_s is not None and not watch:
        raise UsageError(what="--every is for --watch", next_step="Add --watch, or leave --every out.")
    settings = load_settings(**options).settings
    clock = SystemClock()
    stack = Stack(settings.stack, clock)
    if watch:
        _watch(stack, settings, clock, every_s or _EVERY_S, as_json=as_json)
        return 0
    status = stack.status()
    stages = _read(settings, clock)
    if as_json:
        result = msgspec.to_builtins(status) | {"stages": [_stage_row(reading) for reading in stages]}
        click.echo(json.dumps(result, indent=2))
        return 0 if status.state == "up" else 1
    show(servers_table(status))
    if stages:
        table = Table("stage", "state", "pid", "last word", box=None, header_style="bold")
        for reading in stages:
            row = _stage_row(reading)
            table.add_row(row["stage"], row["state"], str(row["pid"]), f"{row['age_s']:.1f} s ago")
        show(table)
    if status.state == "down":
        click.echo(f"Start the servers with `ticktrail up{same_place(settings)}`.")
    return 0 if status.state == "up" else 1


def _read(settings: Settings, clock: Clock) -> list[Reading]:
    readings = read_snapshots(run_dir(Path(settings.stack.data_dir)), clock)
    return [reading for reading in readings if _is_of_interest(reading)]


def _is_of_interest(reading: Reading) -> bool:
    """Tell whether `status` shows a process: a second one of its kind for a while only after its end."""
    is_over = reading.health in (Health.STOPPED, Health.DEAD)
    return not (is_over and _FURTHER.search(reading.snapshot.name) and reading.age_ns > _SHOWN_AFTER_END_NS)


def _stage_row(reading: Reading) -> dict[str, Any]:
    return {
        "stage": reading.snapshot.name,
        "state": reading.health.value,
        "pid": reading.snapshot.pid,
        "age_s": round(reading.age_ns / NS_PER_SECOND, 1),
    }


def _watch(stack: Stack, settings: Settings, clock: Clock, every_s: float, *, as_json: bool) -> None:
    """Show the state again and again until Ctrl-C."""
    stop = threading.Event()
    handlers = {
        number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        servers = _Servers(stack, clock, every_s, stop)
        history = StageHistory()
        with _shown(clock, settings.stack.data_dir, as_json=as_json) as emit:
            while not stop.is_set():
                emit(servers.status, history.rows(_read(settings, clock)))
                clock.wait(stop, every_s)
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


class _Servers:
    """Asks the servers on a thread of its own: one that hangs lets others wait for seconds.

    Attributes
    ----------
    status
        Their last answer.
    """

    def __init__(self, stack: Stack, clock: Clock, every_s: float, stop: threading.Event) -> None:
        self.status = stack.status()

        def ask() -> None:
            while not clock.wait(stop, every_s):
                self.status = stack.status()

        threading.Thread(target=ask, name="servers", daemon=True).start()


@contextmanager
def _shown(clock: Clock, data_dir: str, *, as_json: bool) -> Iterator[Emit]:
    """Give what shows a state: as a line of JSON, on the terminal, or as a block of lines."""
    console = Console()
    if as_json:
        yield lambda status, rows: _print_json(clock, status, rows)
    elif sys.stdout.isatty() and not console.is_dumb_terminal:
        with live_on(console) as live:
            yield lambda status, rows: live.update(
                board(_title(clock, data_dir), status, rows, console), refresh=True
            )
    else:
        yield lambda status, rows: _print_block(clock, data_dir, status, rows)


def _print_json(clock: Clock, status: StackStatus, rows: list[StageRow]) -> None:
    all_rows = with_totals(rows)
    result = {
        "ts_ns": clock.now_ns(),
        **msgspec.to_builtins(status),
        "stages": [row.to_dict() for row in all_rows if not row.is_total],
        "totals": [row.to_dict() for row in all_rows if row.is_total],
    }
    click.echo(json.dumps(result))
    sys.stdout.flush()


def _print_block(clock: Clock, data_dir: str, status: StackStatus, rows: list[StageRow]) -> None:
    click.echo(_title(clock, data_dir).plain)
    show(servers_table(status))
    if rows:
        show(stages_table(with_totals(rows)), may_wrap=False)
    click.echo()
    sys.stdout.flush()


def _title(clock: Clock, data_dir: str) -> Text:
    now = datetime.fromtimestamp(clock.now_ns() // NS_PER_SECOND, UTC)
    return Text.assemble(
        (f"{now:%Y-%m-%d %H:%M:%S} UTC", "bold"),
        ("   ", ""),
        (data_dir, "dim"),
        no_wrap=True,
        overflow="ellipsis",
    )
