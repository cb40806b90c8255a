"""What is drawn again and again while a command runs, and leaves nothing behind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.text import Text

__all__ = ["live_on"]


@contextmanager
def live_on(console: Console) -> Iterator[Live]:
    """Draw on this console what `update` is given, with ``refresh=True``; at the end nothing of it stays."""
    with Live(console=console, transient=True, auto_refresh=False) as live:
        try:
            yield live
        finally:
            # Rich draws the last state once more at the end, uncut: what is above the screen would stay.
            live.update(Text(""), refresh=True)
