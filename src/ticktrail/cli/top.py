"""`ticktrail top`: the watchlist on a terminal, for people on SSH."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import click
import numpy as np
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from ticktrail.cli.live import live_on
from ticktrail.cli.options import json_option, listed, load_settings, not_empty, positive, settings_options
from ticktrail.cli.table import show
from ticktrail.cli.text import printable
from ticktrail.clock import NS_PER_SECOND, Clock, SystemClock
from ticktrail.config import Settings
from ticktrail.dashboard.service import Service

__all__ = ["top_command", "watchlist"]

_EVERY_S = 0.5
_WIDE = 100
# Title and header.
_OTHER_LINES = 2
_BLOCK_SYMBOLS = 40
_SPARKS = "▁▂▃▄▅▆▇█"
_STATE_STYLES = {"halted": "bold white on red", "paused": "black on yellow"}

# What to sort by → the key, greatest first; symbols without a value come last.
_KEYS: dict[str, Callable[[dict[str, Any]], float]] = {
    "volume": lambda row: row["volume"],
    "trades": lambda row: row["trades"],
    "change": lambda row: _number(row["change_pct"]),
    "move": lambda row: abs(row["change_pct"] or 0.0),
    "spread": lambda row: _number(row["spread"]),
    "last": lambda row: _number(row["last"]),
}


@click.command("top")
@settings_options
@json_option
@click.option("--symbols", callback=not_empty, help="Only these, comma-separated.")
@click.option("--feed", callback=not_empty, help="Only this feed.")
@click.option("--sort", type=click.Choice([*_KEYS, "symbol"]), default="volume", show_default=True)
@click.option("--every", "every_s", type=float, callback=positive, help="Seconds between two looks (0.5).")
def top_command(
    as_json: bool, symbols: str | None, feed: str | None, sort: str, every_s: float | None, **options: Any
) -> None:
    """Watch the market live until Ctrl-C: last, change, volume, spread, halts.

    On a terminal a screen; else a block of lines each time, with --json one object on each line.

    Example: ticktrail top --sort move
    """
    settings = load_settings(**options).settings
    wanted = None if symbols is None else frozenset(listed(symbols))

    def chosen(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        found = [
            row
            for row in rows
            if (wanted is None or row["symbol"] in wanted) and (feed is None or row["feed"] == feed)
        ]
        if sort == "symbol":
            return sorted(found, key=lambda row: (row["feed"], row["symbol"]))
        return sorted(found, key=_KEYS[sort], reverse=True)

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    asyncio.run(_top(settings, SystemClock(), stop, chosen, every_s or _EVERY_S, as_json=as_json))


async def _top(
    settings: Settings,
    clock: Clock,
    stop: threading.Event,
    chosen: Callable[[list[dict[str, Any]]], list[dict[str, Any]]],
    every_s: float,
    *,
    as_json: bool,
) -> None:
    service = Service(settings, clock)
    board = service.hub.board
    console = Console()
    await service.start()

    def rows() -> list[dict[str, Any]]:
        return chosen(board.rows(np.arange(len(board)), sparklines=True))

    try:
        if sys.stdout.isatty() and not as_json and not console.is_dumb_terminal:
            with live_on(console) as live:
                while not stop.is_set():
                    live.update(watchlist(rows(), clock.now_ns(), console, _told(service)), refresh=True)
                    await clock.sleep(every_s)
            return
        while not stop.is_set():
            await clock.sleep(every_s)
            if as_json:
                click.echo(json.dumps({"ts_ns": clock.now_ns(), "symbols": rows()}))
            else:
                click.echo(_title(clock.now_ns(), _told(service)).plain)
                show(_table(rows()[:_BLOCK_SYMBOLS], is_wide=True), may_wrap=False)
            sys.stdout.flush()
    finally:
        await service.stop()


def watchlist(
    rows: list[dict[str, Any]], now_ns: int, console: Console, trouble: str | None = None
) -> RenderableType:
    """Draw as many rows as the terminal has lines for."""
    table = _table(rows[: max(1, console.height - _OTHER_LINES - 1)], is_wide=console.width >= _WIDE)
    table.title = _title(now_ns, trouble)
    table.title_justify = "left"
    return table


def _told(service: Service) -> str | None:
    trouble = service.trouble
    return None if trouble is None else printable(trouble.what)


def _title(now_ns: int, trouble: str | None) -> Text:
    time = f"{datetime.fromtimestamp(now_ns // NS_PER_SECOND, UTC):%Y-%m-%d %H:%M:%S} UTC"
    return Text.assemble((f"ticktrail top  {time}", "bold"), (f"   {trouble}" if trouble else "", "red"))


def _table(rows: list[dict[str, Any]], *, is_wide: bool) -> Table:
    names = ["symbol", "last", "change", "%", "volume", "trades", "bid", "ask"]
    names += ["spread", "vwap", "last 40 min"] if is_wide else []
    table = Table(*names, box=None, header_style="dim", pad_edge=False)
    for column in table.columns[1:10]:
        column.justify = "right"
    for row in rows:
        color = "" if not row["change"] else "green" if row["change"] > 0 else "red"
        cells = [
            Text(printable(row["symbol"]), style=_STATE_STYLES.get(row["state"], "")),
            Text(_price(row["last"])),
            Text(_price(row["change"], sign=True), style=color),
            Text("–" if row["change_pct"] is None else f"{row['change_pct']:+.2f}", style=color),
            Text(f"{row['volume']:,.0f}"),
            Text(f"{row['trades']:,}"),
            Text(_price(row["bid"])),
            Text(_price(row["ask"])),
        ]
        if is_wide:
            cells += [Text(_price(row["spread"])), Text(_price(row["vwap"])), Text(_spark(row["sparkline"]))]
        table.add_row(*cells)
    if not rows:
        table.add_row(Text("nothing yet", style="dim"))
    return table


def _price(value: float | None, *, sign: bool = False) -> str:
    return "–" if value is None else f"{value:{'+' if sign else ''},.2f}"


def _spark(closes: list[float | None]) -> str:
    known = [close for close in closes if close is not None]
    if len(known) < 2:
        return ""
    low, range_ = min(known), max(known) - min(known)
    steps = len(_SPARKS) - 1
    return "".join(
        " " if close is None else _SPARKS[round((close - low) / range_ * steps) if range_ else 0]
        for close in closes
    ).lstrip()


def _number(value: float | None) -> float:
    return float("-inf") if value is None else value
