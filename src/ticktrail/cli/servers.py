"""`ticktrail up`, `down`, `logs`: the embedded Kafka and Cassandra."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from ticktrail.cli.options import json_option, load_settings, same_place, settings_options
from ticktrail.cli.text import complain
from ticktrail.clock import SystemClock
from ticktrail.errors import StackError
from ticktrail.stack import SERVERS, Endpoints, Stack
from ticktrail.stack import Progress as StackProgress
from ticktrail.telemetry import Health, read_snapshots, run_dir

__all__ = ["down_command", "logs_command", "show_progress", "up_command"]


@contextmanager
def show_progress(console: Console) -> Iterator[StackProgress]:
    """Show what the stack is doing as progress bars."""
    bars = Progress(
        TextColumn("{task.description}"), BarColumn(bar_width=24), TimeElapsedColumn(), console=console
    )
    tasks: dict[str, Any] = {}

    def report(stage: str, fraction: float) -> None:
        name = stage.partition(":")[0]
        bars.start()  # not before: an error that comes first needs no empty line above it
        if name not in tasks:
            tasks[name] = bars.add_task(stage, total=1.0)
        bars.update(tasks[name], description=stage, completed=fraction)

    try:
        yield report
    finally:
        if tasks:
            bars.stop()


@click.command("up")
@settings_options
@json_option
@click.option("--kafka-port", type=int, help="0 takes a free one.")
@click.option("--cassandra-port", type=int, help="0 takes a free one.")
def up_command(as_json: bool, kafka_port: int | None, cassandra_port: int | None, **options: Any) -> None:
    """Start Kafka and Cassandra in the background, or find them running.

    Example: ticktrail up --kafka-port 9092 --cassandra-port 9042
    """
    loaded = load_settings(**options, stack__kafka_port=kafka_port, stack__cassandra_port=cassandra_port)
    console = Console(stderr=True)
    with show_progress(console) as progress:
        endpoints = Stack(loaded.settings.stack, SystemClock()).up(progress)
    _print_endpoints(endpoints, as_json, same_place(loaded.settings))


def _print_endpoints(endpoints: Endpoints, as_json: bool, place: str) -> None:
    if as_json:
        click.echo(json.dumps(msgspec.to_builtins(endpoints), indent=2))
        return
    for notice in endpoints.notices:
        complain(notice, "yellow")
    how = f"answer after {endpoints.ready_s:.1f} s"
    if endpoints.already_running:
        how = "answer" if endpoints.notices else "were already running"
    click.echo(f"Kafka {endpoints.kafka.version} and Cassandra {endpoints.cassandra.version} {how}.")
    click.echo(f"  Kafka      {endpoints.kafka_bootstrap}")
    click.echo(f"  Cassandra  {endpoints.cassandra.address}")
    click.echo(f"  data       {endpoints.data_dir}")
    click.echo(f"Stop them with `ticktrail down{place}`.")


@click.command("down")
@settings_options
@json_option
def down_command(as_json: bool, **options: Any) -> None:
    """Stop Kafka and Cassandra; their data stays.

    Example: ticktrail down
    """
    settings = load_settings(**options).settings
    clock = SystemClock()
    with show_progress(Console(stderr=True)) as progress:
        report = Stack(settings.stack, clock).down(progress)
    readings = read_snapshots(run_dir(Path(settings.stack.data_dir)), clock)
    running = [
        r.snapshot.name
        for r in readings
        if r.health in (Health.RUNNING, Health.SILENT) and not r.snapshot.name.startswith("exchange")
    ]
    if as_json:
        click.echo(json.dumps(msgspec.to_builtins(report) | {"stages_running": running}))
        return
    for notice in report.notices:
        complain(notice, "yellow")
    if report.stopped:
        click.echo(f"Stopped {' and '.join(report.stopped)} in {report.seconds:.1f} s. The data is kept.")
    else:
        click.echo(f"No servers were running in {settings.stack.data_dir}.")
    if running and report.stopped:
        complain(
            f"Still running, and waiting for them: {', '.join(running)}. Stop those with Ctrl-C.",
            "yellow",
        )


@click.command("logs")
@settings_options
@click.argument("server", type=click.Choice(SERVERS))
@click.option(
    "-n", "lines", type=click.IntRange(min=0), default=50, show_default=True, help="How many lines."
)
@click.option("-f", "--follow", is_flag=True, help="Go on with new lines.")
def logs_command(server: str, lines: int, follow: bool, **options: Any) -> None:
    """Show the last lines of a server's log.

    Example: ticktrail logs cassandra -n 100
    """
    settings = load_settings(**options).settings
    stack = Stack(settings.stack, SystemClock())
    if not follow and not (path := stack.log_path(server)).exists():
        raise StackError(
            what=f"There is no log of {server} yet",
            why=f"{path} does not exist",
            next_step="Start the servers with `ticktrail up`, or give the --data-dir that they run in.",
        )
    for line in stack.logs(server, lines, follow_on=follow):
        click.echo(line)
