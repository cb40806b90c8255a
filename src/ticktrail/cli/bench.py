"""`ticktrail bench`: the measurements of the source checkout."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import click

import ticktrail
from ticktrail.errors import UsageError

__all__ = ["bench_command"]

_CHECKOUT = Path(ticktrail.__file__).resolve().parents[2]


@click.command("bench")
@click.argument("name", type=click.Choice(["pipeline", "sink", "start"]))
@click.option("--json", "as_json", is_flag=True, help="Accepted for uniformity: the result always is JSON.")
def bench_command(name: str, as_json: bool) -> None:
    """Run one benchmark on servers of its own and print one JSON object.

    Ratios compare within one run; absolute figures hold for this machine at this moment.

    Example: ticktrail bench sink
    """
    del as_json
    if not (_CHECKOUT / "benchmarks" / f"{name}.py").exists():
        raise UsageError(
            what="The benchmarks are not installed",
            why="they are part of the source checkout, not of the package",
            next_step="Clone the project, run `make test` once, and run this in the checkout.",
        )
    sys.path.insert(0, str(_CHECKOUT))
    click.echo(importlib.import_module(f"benchmarks.{name}").main())
