"""`ticktrail config show`."""

from __future__ import annotations

import json
from typing import Any

import click
from rich.table import Table

from ticktrail.cli.options import json_option, load_settings, settings_options
from ticktrail.cli.table import show as show_table
from ticktrail.config import describe

__all__ = ["config_command"]


@click.group("config")
def config_command() -> None:
    """Show settings: ticktrail.toml < environment (TICKTRAIL_SECTION__KEY) < flags."""


@config_command.command("show")
@settings_options
@json_option
def show(as_json: bool, **options: Any) -> None:
    """Print every setting and where it comes from; secrets are masked.

    Example: ticktrail config show --set store.hosts=db1
    """
    rows = describe(load_settings(**options))
    if as_json:
        click.echo(
            json.dumps({row.key: {"value": row.value, "origin": row.origin} for row in rows}, indent=2)
        )
        return
    table = Table("setting", "value", "from", box=None, header_style="bold")
    for row in rows:
        table.add_row(row.key, row.value, row.origin, style=None if row.origin != "default" else "dim")
    show_table(table)
    click.echo(
        "Settings of feeds (feeds.alpaca.plan) show only where they are set; the reference lists them all."
    )
