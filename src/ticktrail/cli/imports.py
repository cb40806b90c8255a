"""`ticktrail import`: recorded files, through Kafka like everything else."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ticktrail.cli.options import FILE, json_option, known_kinds, load_settings, not_empty, settings_options
from ticktrail.cli.pipeline import Pipeline
from ticktrail.cli.run import passed_on, print_outcome
from ticktrail.cli.session import run_pipeline
from ticktrail.cli.text import complain
from ticktrail.cli.totals import totals_of
from ticktrail.clock import SystemClock
from ticktrail.config import convert_section
from ticktrail.feeds.file import READ_ERRORS, FileSettings, find_files, unreadable
from ticktrail.telemetry import Snapshot

__all__ = ["import_command"]


@click.command("import")
@settings_options
@json_option
@click.argument("path", type=FILE)
@click.option(
    "--symbols", default="*", show_default=True, callback=not_empty, help="Only these, comma-separated."
)
@click.option("--kinds", default="trades,quotes", show_default=True, callback=known_kinds, help="Only these.")
@click.option("--format", "file_format", help="auto, lean, csv, parquet or capture.")
@click.option(
    "--speed", default="max", show_default=True, help="max, or a factor of the recorded time: 1x, 10x."
)
@click.option("--feed-name", help="The feed of the records.")
def import_command(
    as_json: bool,
    path: Path,
    symbols: str,
    kinds: str,
    file_format: str | None,
    speed: str,
    feed_name: str | None,
    **options: Any,
) -> int:
    """Bring recorded files through Kafka into Cassandra, and build their bars.

    PATH is a file or a folder: LEAN zips, CSV, Parquet, captures. Importing the same again changes nothing.

    Example: ticktrail import ~/lean/data/equity/usa/tick
    """
    settings = load_settings(**options).settings
    given = {"format": file_format, "speed": speed, "feed_name": feed_name}
    chosen = {name: value for name, value in given.items() if value is not None}
    section = settings.feeds.get("file", {}) | chosen | {"path": str(path.absolute())}
    wanted = convert_section(section, FileSettings, path="feeds.file")
    form, files = find_files(wanted)
    total_bytes = _size_bytes(files) if form in ("lean", "csv") else None
    sets = [f"feeds.file.path={path.absolute()}", *(f"feeds.file.{n}={v}" for n, v in chosen.items())]
    clock = SystemClock()
    pipeline = Pipeline(
        settings,
        clock,
        "file",
        subscription=("--symbols", symbols, "--kinds", kinds, *(w for s in sets for w in ("--set", s))),
        passed_on=passed_on(options),
    )
    console = Console(stderr=True)
    with _Bars(console, total_bytes, len(files)) as bars:
        outcome = run_pipeline(pipeline, clock, None, None, console, bars.update)
        if outcome.is_good and not outcome.is_interrupted:
            bars.complete(outcome.totals.received)
    print_outcome(outcome, as_json)
    if outcome.is_interrupted:
        complain("Stopped before the end of the files. Importing the same again completes it.", "yellow")
    return 0 if outcome.is_good and not outcome.is_interrupted else 1


def _size_bytes(files: list[Path]) -> int:
    total = 0
    for file in files:
        if file.suffix == ".zip":
            try:
                with zipfile.ZipFile(file) as archive:
                    total += sum(entry.file_size for entry in archive.infolist())
            except READ_ERRORS as error:
                raise unreadable(file, error) from error
        else:
            total += file.stat().st_size
    return total


class _Bars:
    """Progress of reading and of storing."""

    def __init__(self, console: Console, total_bytes: int | None, files: int) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._progress = Progress(*columns, console=console)
        self._reading = self._progress.add_task(f"reading {files} files, KiB", total=_kib(total_bytes))
        self._storing = self._progress.add_task("storing records", total=None)

    def __enter__(self) -> _Bars:
        return self

    def __exit__(self, *_: object) -> None:
        if self._progress.live.is_started:
            self._progress.stop()

    def update(self, snapshots: dict[str, Snapshot]) -> None:
        """Show the present state."""
        capture = snapshots.get("capture")
        if capture is None:
            return
        self._progress.start()  # not before: an error that comes first needs no empty bars above it
        read = capture.total("ticktrail_capture_received_bytes_total")
        totals = totals_of(snapshots)
        self._progress.update(self._reading, completed=_kib(read))
        # Until capture has ended nobody knows how many records there are.
        total = totals.received if capture.is_final else None
        self._progress.update(self._storing, completed=totals.stored, total=total)

    def complete(self, records: int) -> None:
        """Show that all was read and stored; a file's last bytes may be no frame."""
        size_kib = self._progress.tasks[self._reading].total or self._progress.tasks[self._reading].completed
        self._progress.update(self._reading, completed=size_kib, total=size_kib)
        self._progress.update(self._storing, completed=records, total=records)


def _kib(size_bytes: int | None) -> int | None:
    return None if size_bytes is None else -(-size_bytes // 1024)
