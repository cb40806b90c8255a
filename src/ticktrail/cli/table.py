"""Tables for people."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

__all__ = ["show"]

_WIDTH_MAX = 100_000


def show(table: Table, *, may_wrap: bool = True) -> None:
    """Print a table on standard output, wider than the terminal where it would be cut.

    A pager or a file shows it whole, and a narrow terminal wraps it; what rich cuts is lost.

    Parameters
    ----------
    may_wrap
        Whether a cell may take several lines, broken between words.
    """
    console = Console()
    wanted = console.measure(table, options=console.options.update(width=_WIDTH_MAX))
    console.width = max(console.width, wanted.minimum if may_wrap else wanted.maximum)
    console.print(table)
