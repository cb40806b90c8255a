"""`ticktrail demo`: everything on one machine."""

from __future__ import annotations

import asyncio
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from ticktrail.cli.options import (
    json_option,
    load_settings,
    page_option,
    positive,
    same_place,
    settings_options,
)
from ticktrail.cli.pipeline import Pipeline
from ticktrail.cli.run import SIMULATED, choose_exchange, even, passed_on, print_outcome
from ticktrail.cli.servers import show_progress
from ticktrail.cli.session import run_pipeline
from ticktrail.cli.source import make_feed
from ticktrail.cli.view import View
from ticktrail.clock import NS_PER_SECOND, Clock, SystemClock
from ticktrail.config import Settings
from ticktrail.errors import TicktrailError
from ticktrail.feeds import Subscription
from ticktrail.stack import Stack

__all__ = ["demo_command"]

_LIVE_FEED = "yahoo"
_LIVE_SYMBOLS = "AAPL,MSFT,NVDA,AMZN,GOOGL,META,TSLA,SPY,QQQ,AMD,INTC,NFLX,BTC-USD,ETH-USD"
_LIVE_TIMEOUT_S = 10.0
_QUESTION = {"sql": ' "SELECT * FROM latest LIMIT 10"'}


@click.command("demo")
@settings_options
@json_option
@click.option(
    "--seconds",
    type=float,
    callback=positive,
    help="Run that long, print a summary and stop; without it until Ctrl-C.",
)
@click.option("--live", is_flag=True, help="Yahoo's keyless stream of stocks instead of the simulation.")
@click.option("--symbols", type=int, callback=positive, help="Of the simulated market (200).")
@click.option("--rate", type=float, callback=positive, help="Its trades per second (1,000).")
@click.option("--headless", is_flag=True, help="No live view.")
@page_option
def demo_command(
    as_json: bool,
    seconds: float | None,
    live: bool,
    symbols: int | None,
    rate: float | None,
    headless: bool,
    has_page: bool,
    **options: Any,
) -> int:
    """Start real servers, a market and the whole pipeline; show it live; leave nothing running.

    Its data stands apart from that of `ticktrail up`, in the folder `demo` of the data directory.

    Example: ticktrail demo --seconds 40
    """
    if options["data_dir"] is None:
        options["data_dir"] = Path(load_settings(**options).settings.stack.data_dir) / "demo"
    console = Console(stderr=True)
    clock = SystemClock()
    settings = load_settings(**options).settings
    given = {"symbols": symbols, "rate": rate}
    market = choose_exchange(settings, given, rate=1_000.0)  # refused, if at all, before the servers start
    try:
        with _servers(settings, clock, console) as is_ours:
            settings = load_settings(**options).settings
            feed = _choose_feed(settings, live, clock, console)
            exchange = market if feed == "sim" else None
            passed = (*passed_on(options), *even(settings))
            subscription = () if exchange is not None else ("--symbols", _LIVE_SYMBOLS)
            pipeline = Pipeline(
                settings, clock, feed, subscription, exchange=exchange, has_page=has_page, passed_on=passed
            )
            view = View(_title(feed)) if console.is_terminal and not headless else None
            if view is None:
                console.print(_title(feed))
            started_ns = clock.now_ns()
            outcome = run_pipeline(pipeline, clock, view, seconds, console)
            print_outcome(outcome, as_json)
            if not as_json:
                _print_sample(settings, feed, started_ns)
    except KeyboardInterrupt:
        return 0  # before there was anything to store; `_servers` has said what became of them
    if not as_json:
        _print_commands(settings, console, is_ours=is_ours)
    return 0 if outcome.is_good else 1


@contextmanager
def _servers(settings: Settings, clock: Clock, console: Console) -> Iterator[bool]:
    """Run the servers; those that already ran are left running.

    Yields
    ------
    Whether they were started here.
    """
    stack = Stack(settings.stack, clock)
    try:
        with show_progress(console) as progress:
            endpoints = stack.up(progress, bound=True)
    except KeyboardInterrupt:
        console.print("Nothing is left running.")
        raise
    try:
        console.print(
            f"Kafka {endpoints.kafka.version} and Cassandra {endpoints.cassandra.version} answered after "
            f"{endpoints.ready_s:.1f} s."
        )
        yield not endpoints.already_running
    finally:
        if not endpoints.already_running:
            # From here on Ctrl-C would only leave the stopping to the watcher, and its end unseen.
            handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
            with console.status("Stopping Kafka and Cassandra …"):
                stack.down()
            signal.signal(signal.SIGINT, handler)
            console.print("Nothing is left running.")


def _title(feed: str) -> Text:
    if feed == "sim":
        return Text(f" {SIMULATED} ", style="bold black on yellow")
    return Text(" Yahoo's unofficial stream: snapshots, not single trades ", style="bold white on blue")


def _choose_feed(settings: Settings, live: bool, clock: Clock, console: Console) -> str:
    if not live:
        return "sim"
    with console.status("Connecting to Yahoo …"):
        hindrance = asyncio.run(_try_live(settings, clock))
    if hindrance is None:
        return _LIVE_FEED
    console.print(f"[yellow]Yahoo cannot be reached: {hindrance}[/]")
    console.print("[yellow]Falling back to the simulated market.[/]")
    return "sim"


async def _try_live(settings: Settings, clock: Clock) -> str | None:
    subscription = Subscription(symbols=tuple(_LIVE_SYMBOLS.split(",")), kinds=("trades",))
    feed = make_feed(_LIVE_FEED, settings, subscription, clock)
    try:
        async with asyncio.timeout(_LIVE_TIMEOUT_S):
            await feed.connect()
    except TicktrailError as error:
        # Without its next step: here it is not tried again.
        return f"{error.what}: {error.why}." if error.why else f"{error.what}."
    except TimeoutError:
        return f"no answer within {_LIVE_TIMEOUT_S:.0f} s."
    finally:
        await feed.close()
    return None


def _print_sample(settings: Settings, feed: str, started_ns: int) -> None:
    # DuckDB is slow to import, and only needed at the end.
    from ticktrail.cli.sql import print_table, run_sql  # noqa: PLC0415

    query = (
        "SELECT symbol, count(*) AS trades, sum(size) AS shares, min(price) AS low, max(price) AS high, "  # noqa: S608
        f"arg_max(price, ts) AS last FROM trades WHERE feed = '{feed}' "
        f"AND ts >= to_timestamp({started_ns // NS_PER_SECOND}) GROUP BY symbol ORDER BY trades DESC LIMIT 5"
    )
    click.echo(f'\n$ {_program()} sql{same_place(settings)} "{query}"')
    print_table(run_sql(settings, query))


def _print_commands(settings: Settings, console: Console, *, is_ours: bool) -> None:
    place = same_place(settings)
    commands = ["up"] if is_ours else []
    commands += ["sql", "down"]
    lines = "\n".join(f"  {_program()} {name}{place}{_QUESTION.get(name, '')}" for name in commands)
    console.print(Text(f"The data stays. To ask again, this or anything else:\n{lines}"), soft_wrap=True)


def _program() -> str:
    """Give the words that start this program here."""
    if shutil.which("ticktrail"):
        return "ticktrail"
    return sys.argv[0] if Path(sys.argv[0]).name == "ticktrail" else f"{sys.executable} -m ticktrail"
