"""`ticktrail bench`: the measurements of the source checkout."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

import ticktrail
from ticktrail.cli.options import FILE
from ticktrail.errors import UsageError

__all__ = ["bench_command"]

_CHECKOUT = Path(ticktrail.__file__).resolve().parents[2]
_COUNT = click.IntRange(min=1)
_NAMES = ("alerts", "dashboard", "latency", "pipeline", "produce", "sink", "start", "steady")


@click.command("bench")
@click.argument("name", type=click.Choice(_NAMES))
@click.option(
    "--seconds", type=_COUNT, help="How long to measure after the warm-up: not produce, sink and start."
)
@click.option("--rate", type=_COUNT, help="Trades per second: not produce, sink and start.")
@click.option("--rounds", type=_COUNT, help="How often to repeat: produce, pipeline --replay.")
@click.option("--replay", is_flag=True, help="Recorded days from files instead of an exchange: pipeline.")
@click.option("--data", type=FILE, help="Folder of LEAN tick zips: pipeline --replay.")
@click.option("--svg", type=FILE, help="Draw the figures over time there: latency, steady.")
@click.option("--json", "as_json", is_flag=True, help="Accepted for uniformity: the result always is JSON.")
def bench_command(name: str, replay: bool, as_json: bool, **options: Any) -> None:
    """Run one benchmark on servers of its own and print one JSON object.

    Ratios compare within one run; absolute figures hold for this machine at this moment.

    Example: ticktrail bench latency --seconds 60 --svg latency.svg
    """
    del as_json
    if replay and name != "pipeline":
        raise UsageError(
            what=f"bench {name} has no --replay",
            why="files are replayed through the whole pipeline",
            next_step="Run `ticktrail bench pipeline --replay`.",
        )
    if not (_CHECKOUT / "benchmarks" / f"{name}.py").exists():
        raise UsageError(
            what="The benchmarks are not installed",
            why="they are part of the source checkout, not of the package",
            next_step="Clone the project, run `make test` once, and run this in the checkout.",
        )
    if (svg := options["svg"]) is not None and not svg.absolute().parent.is_dir():
        raise UsageError(
            what=f"Cannot write {svg}",
            why="its directory does not exist",
            next_step="Give the path of a file in a directory that exists.",
        )
    sys.path.insert(0, str(_CHECKOUT))
    run = importlib.import_module(f"benchmarks.{'replay' if replay else name}").main
    given = {option: value for option, value in options.items() if value is not None}
    click.echo(run(**_arguments(f"{name} --replay" if replay else name, run, given)))


def _arguments(command: str, run: Callable[..., str], given: Mapping[str, Any]) -> dict[str, Any]:
    """Make a benchmark's arguments of the options; refuse those that it does not have."""
    known = inspect.signature(run).parameters
    arguments = dict(given)
    if "rate" in given and "rates" in known:
        arguments["rates"] = (arguments.pop("rate"),)
    for option in arguments.keys() - known.keys():
        raise UsageError(
            what=f"bench {command} has no --{option}",
            why="another benchmark has",
            next_step="See `ticktrail bench --help`.",
        )
    return arguments
