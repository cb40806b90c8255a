"""`ticktrail exchange`: the simulated exchange."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import click

from ticktrail.cli.options import FILE, load_settings, positive, settings_options
from ticktrail.cli.stage import stage, stop_with_parent
from ticktrail.clock import SystemClock
from ticktrail.config import Settings
from ticktrail.feeds.sim import SimSettings, read_settings, serve

__all__ = ["exchange_command"]


@click.command("exchange")
@settings_options
@click.option("--symbols", type=int, callback=positive, help="How many are listed.")
@click.option("--rate", type=float, callback=positive, help="Trades per second.")
@click.option("--seed", type=click.IntRange(min=0), help="Everything random follows from it.")
@click.option("--port", type=click.IntRange(0, 65_535), help="On loopback; 0 takes a free one.")
@click.option("--log-dir", type=FILE, help="Where it notes everything that it sends.")
@click.option("--stop-with-parent", "is_child", is_flag=True, hidden=True)
def exchange_command(
    symbols: int | None,
    rate: float | None,
    seed: int | None,
    port: int | None,
    log_dir: Path | None,
    is_child: bool,
    **options: Any,
) -> None:
    """Serve a simulated exchange in Alpaca's protocol until Ctrl-C; print its URL. The market is not real.

    Further settings stand in [feeds.sim]: --set feeds.sim.faults.drop_per_million=100.

    Example: ticktrail exchange --symbols 500 --rate 5000 --port 8765
    """
    settings = load_settings(
        **options,
        feeds__sim__symbols=symbols,
        feeds__sim__rate=rate,
        feeds__sim__seed=seed,
        feeds__sim__port=port,
        feeds__sim__log_dir=None if log_dir is None else str(log_dir.absolute()),
    ).settings
    asyncio.run(_serve(settings, read_settings(settings.feeds.get("sim", {})), is_child))


async def _serve(settings: Settings, exchange: SimSettings, is_child: bool) -> None:
    clock = SystemClock()
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()

    def halt() -> None:
        loop.call_soon_threadsafe(ended.set)

    with stage("exchange", settings, clock, on_stop=halt):
        if is_child:
            stop_with_parent()
        summary = await serve(exchange, clock, ready=click.echo, stop=ended)
    click.echo(
        f"Sent {summary.trades} trades and {summary.quotes} quotes to {summary.connections} clients; "
        f"{summary.unsent} were due while nobody was subscribed.",
        err=True,
    )
