"""`ticktrail run`: capture, persist and bars of one feed, supervised."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from ticktrail.cli.options import json_option, load_settings, settings_options
from ticktrail.cli.pipeline import Exchange, Pipeline
from ticktrail.cli.session import Outcome, run_pipeline
from ticktrail.cli.view import View
from ticktrail.clock import SystemClock
from ticktrail.config import Settings
from ticktrail.errors import UsageError

__all__ = ["passed_on", "print_outcome", "run_command"]

SIM = "sim"
SIMULATED = "SIMULATED MARKET: these prices are made up"


@click.command("run")
@settings_options
@json_option
@click.option("--feed", required=True, help="A name from `ticktrail feeds`, or file:PATH.")
@click.option("--symbols", help="Comma-separated; for the feed sim how many.")
@click.option(
    "--rate", type=float, default=2_000.0, show_default=True, help="Trades per second of the feed sim."
)
@click.option("--seed", type=int, default=1, show_default=True, help="Of the feed sim.")
@click.option("--seconds", type=float, help="Stop after that long; without it at Ctrl-C.")
@click.option(
    "--verify", is_flag=True, help="Compare the store with the exchange's own log, record by record."
)
@click.option("--headless", is_flag=True, help="No live view.")
def run_command(
    as_json: bool,
    feed: str,
    symbols: str | None,
    rate: float,
    seed: int,
    seconds: float | None,
    verify: bool,
    headless: bool,
    **options: Any,
) -> int:
    """Run a feed into Kafka, Cassandra and bars until Ctrl-C, on servers that are up.

    Example: ticktrail run --feed sim --symbols 500 --rate 5000 --seconds 120 --verify
    """
    settings = load_settings(**options).settings
    clock = SystemClock()
    name, _, path = feed.partition(":")
    if verify and name != SIM:
        raise UsageError(
            what="--verify needs the exchange's own log",
            why=f"the feed {name} keeps none",
            next_step="Use it with --feed sim.",
        )
    log_dir = Path(settings.stack.data_dir) / "exchange" / str(clock.now_ns()) if verify else None
    pipeline = Pipeline(
        settings,
        clock,
        name,
        subscription=_subscription(name, symbols, path),
        exchange=_exchange(symbols, rate, seed, log_dir) if name == SIM else None,
        passed_on=passed_on(options),
    )
    console = Console(stderr=True)
    title = Text(f" {SIMULATED} ", style="bold black on yellow") if name == SIM else Text(feed, style="bold")
    view = View(title) if console.is_terminal and not headless else None
    if name == SIM and view is None:
        console.print(title)
    outcome = run_pipeline(pipeline, clock, view, seconds, console)
    report = _verified(settings, log_dir) if log_dir is not None else None
    print_outcome(outcome, as_json, report.to_dict() if report else None)
    if report is not None and not as_json:
        report.print()
    return 0 if outcome.is_drained and not outcome.killed and (report is None or report.is_equal) else 1


def passed_on(options: dict[str, Any]) -> tuple[str, ...]:
    """Repeat the settings options for the stages' own commands."""
    arguments: list[str] = []
    if options.get("config_file") is not None:
        arguments += ["--config", str(Path(options["config_file"]).absolute())]
    for assignment in options.get("assignments", ()):
        arguments += ["--set", assignment]
    return tuple(arguments)


def print_outcome(outcome: Outcome, as_json: bool, verification: dict[str, Any] | None = None) -> None:
    """Print the summary of a run."""
    if as_json:
        extra = {} if verification is None else {"verification": verification}
        click.echo(json.dumps(outcome.to_dict() | extra, indent=2))
        return
    for name, value in outcome.rows():
        click.echo(f"{name:>13}  {value}")
    if not outcome.is_drained:
        click.secho(
            "Not everything was stored before the stop; it waits in Kafka and is stored at the next start.",
            fg="yellow",
            err=True,
        )
    if outcome.killed:
        click.secho(f"Had to be killed: {', '.join(outcome.killed)}.", fg="yellow", err=True)
    sys.stdout.flush()


def _subscription(feed: str, symbols: str | None, path: str) -> tuple[str, ...]:
    if feed == SIM:
        return ()
    if feed == "file":
        return ("--set", f"feeds.file.path={Path(path).absolute()}")
    return ("--symbols", symbols) if symbols else ()


def _exchange(symbols: str | None, rate: float, seed: int, log_dir: Path | None) -> Exchange:
    count = symbols or "200"
    if not count.isdecimal():
        raise UsageError(
            what=f"--symbols {count} is no number",
            why="the simulated exchange makes up its symbols",
            next_step="Say how many: --symbols 500.",
        )
    return Exchange(symbols=int(count), rate=rate, seed=seed, log_dir=log_dir)


def _verified(settings: Settings, log_dir: Path) -> Any:
    from ticktrail.cli.verify import verify_run  # noqa: PLC0415  (DuckDB is slow to import, and rarely needed)

    return verify_run(settings, log_dir)
