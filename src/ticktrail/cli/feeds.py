"""`ticktrail feeds`: the names that --feed takes."""

from __future__ import annotations

import json

import click
from rich.table import Table

from ticktrail.cli.options import json_option
from ticktrail.cli.table import show
from ticktrail.feeds.registry import get, names

__all__ = ["feeds_command"]


@click.command("feeds")
@json_option
def feeds_command(as_json: bool) -> None:
    """List the feeds with what each offers and needs.

    Example: ticktrail feeds
    """
    entries = {name: get(name) for name in names()}
    if as_json:
        rows = {name: {"summary": e.summary, "needs_key": e.needs_key} for name, e in entries.items()}
        click.echo(json.dumps(rows, indent=2))
        return
    table = Table("feed", "needs a key", "what it is", box=None, header_style="bold")
    for name, entry in entries.items():
        table.add_row(name, "yes" if entry.needs_key else "no", entry.summary)
    show(table)
