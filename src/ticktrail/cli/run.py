"""`ticktrail run`: capture, persist and bars of one feed, supervised."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from ticktrail.cli.options import (
    json_option,
    listed,
    load_settings,
    not_empty,
    page_option,
    positive,
    settings_options,
)
from ticktrail.cli.pipeline import Exchange, Pipeline
from ticktrail.cli.session import Outcome, run_pipeline
from ticktrail.cli.source import make_feed
from ticktrail.cli.text import complain
from ticktrail.cli.view import View
from ticktrail.clock import Clock, SystemClock
from ticktrail.config import Settings
from ticktrail.errors import UsageError
from ticktrail.feeds import ALL_SYMBOLS, Subscription
from ticktrail.feeds.registry import get

__all__ = ["choose_exchange", "even", "passed_on", "print_outcome", "run_command"]

SIM = "sim"
SIMULATED = "SIMULATED MARKET: these prices are made up"


@click.command("run")
@settings_options
@json_option
@click.option("--feed", required=True, help="A name from `ticktrail feeds`, or file:PATH.")
@click.option("--symbols", callback=not_empty, help="Comma-separated; for the feed sim how many (200).")
@click.option(
    "--rate",
    type=float,
    callback=positive,
    help="Trades per second of the feed sim (2,000); as many quotes come on top.",
)
@click.option("--seed", type=click.IntRange(min=0), help="Of the feed sim (1).")
@click.option("--seconds", type=float, callback=positive, help="Stop after that long; without it at Ctrl-C.")
@click.option(
    "--verify", is_flag=True, help="Compare the store with the exchange's own log, record by record."
)
@click.option("--headless", is_flag=True, help="No live view.")
@page_option
def run_command(
    as_json: bool,
    feed: str,
    symbols: str | None,
    rate: float | None,
    seed: int | None,
    seconds: float | None,
    verify: bool,
    headless: bool,
    has_page: bool,
    **options: Any,
) -> int:
    """Run a feed into Kafka, Cassandra and bars until Ctrl-C, on servers that are up.

    Example: ticktrail run --feed sim --symbols 500 --rate 5000 --seconds 120 --verify
    """
    settings = load_settings(**options).settings
    clock = SystemClock()
    name, _, path = feed.partition(":")
    get(name)  # before anything is started
    if (name == "file") is not bool(path):
        raise UsageError(
            what=f"--feed {feed} cannot be read",
            why="the feed file needs a path" if name == "file" else f"the feed {name} takes none",
            next_step="Write --feed file:PATH, or a name from `ticktrail feeds`.",
        )
    if name != SIM and (rate is not None or seed is not None):
        raise UsageError(
            what=f"{'--seed' if rate is None else '--rate'} is of the feed sim alone",
            why=f"the feed {name} sends what it gets, when it gets it",
            next_step="Leave it out, or use --feed sim.",
        )
    if verify and name != SIM:
        raise UsageError(
            what="--verify needs the exchange's own log",
            why=f"the feed {name} keeps none",
            next_step="Use it with --feed sim.",
        )
    log_dir = Path(settings.stack.data_dir) / "exchange" / str(clock.now_ns()) if verify else None
    exchange = None
    if name == SIM:
        given = {"symbols": _count(symbols), "rate": rate, "seed": seed}
        exchange = choose_exchange(settings, given, log_dir=log_dir)
    elif name != "file":
        _try_feed(settings, name, symbols, clock)
    pipeline = Pipeline(
        settings,
        clock,
        name,
        subscription=_subscription(name, symbols, path),
        exchange=exchange,
        has_page=has_page,
        passed_on=(*passed_on(options), *even(settings)),
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
    if log_dir is not None and report is not None:
        if report.is_equal:
            shutil.rmtree(log_dir, ignore_errors=True)
        else:
            complain(f"What the exchange noted of this run is kept in {log_dir}.", "yellow")
    return 0 if outcome.is_good and (report is None or report.is_equal) else 1


def choose_exchange(
    settings: Settings, given: dict[str, Any], *, rate: float = 2_000.0, log_dir: Path | None = None
) -> Exchange:
    """Settle what the simulated exchange is to do: flags before ``[feeds.sim]`` before our defaults.

    Parameters
    ----------
    given
        The flags, by the names of the settings; None where one was not given.
    rate
        The default.

    Raises
    ------
    ConfigError
        The exchange would refuse it. Found here, nothing has been started yet.
    """
    # The exchange's code is of use to the feed sim alone.
    from ticktrail.feeds.sim import read_settings  # noqa: PLC0415

    section = {"symbols": 200, "rate": rate, "seed": 1} | settings.feeds.get(SIM, {})
    checked = read_settings(section | {name: value for name, value in given.items() if value is not None})
    return Exchange(symbols=checked.symbols, rate=checked.rate, seed=checked.seed, log_dir=log_dir)


def even(settings: Settings) -> tuple[str, ...]:
    """Say that the simulated market is to keep to its rate, but where the settings say how long its days are.

    By itself it opens each day with a burst of three times the rate.
    """
    is_set = "session_s" in settings.feeds.get(SIM, {})
    return () if is_set else ("--set", f"feeds.{SIM}.session_s=0")


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
    if not outcome.totals.received:
        complain("Nothing was received.", "yellow")
    if not outcome.is_drained:
        complain(
            "Not everything was stored before the stop; it waits in Kafka and is stored at the next start.",
            "yellow",
        )
    if outcome.killed:
        complain(f"Had to be killed: {', '.join(outcome.killed)}.", "yellow")
    for failure in outcome.failures:
        complain(failure)
    sys.stdout.flush()


def _count(symbols: str | None) -> int | None:
    if symbols is None:
        return None
    if not symbols.isdecimal() or not int(symbols):
        raise UsageError(
            what=f"--symbols {symbols} is no number of symbols",
            why="the simulated exchange makes up its symbols",
            next_step="Say how many: --symbols 500.",
        )
    return int(symbols)


def _try_feed(settings: Settings, name: str, symbols: str | None, clock: Clock) -> None:
    """Make the feed once as capture will, so that what it refuses is told before anything is started."""
    make_feed(name, settings, Subscription(symbols=listed(symbols or ALL_SYMBOLS)), clock)


def _subscription(feed: str, symbols: str | None, path: str) -> tuple[str, ...]:
    if feed == SIM:
        return ()
    if feed == "file":
        return ("--set", f"feeds.file.path={Path(path).absolute()}")
    return ("--symbols", symbols) if symbols else ()


def _verified(settings: Settings, log_dir: Path) -> Any:
    from ticktrail.cli.verify import verify_run  # noqa: PLC0415  (DuckDB is slow to import, and rarely needed)

    return verify_run(settings, log_dir)
