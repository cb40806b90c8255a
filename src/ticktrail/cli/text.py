"""Text for a terminal: from strangers, in any encoding, in colour where it is wanted."""

from __future__ import annotations

import io
import sys

import click

from ticktrail.config import wants_color

__all__ = ["complain", "printable", "write_any_text"]


def printable(text: str) -> str:
    """Replace what would steer the terminal; line ends stay. A symbol or a dead letter may hold anything."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() or char == "\n" else char.encode("unicode_escape").decode()
        for char in text
    )


def complain(text: object, color: str = "red") -> None:
    """Say on standard error what went wrong, or, in yellow, what may surprise."""
    click.secho(str(text), fg=color, err=True, color=wants_color(sys.stderr) if sys.stderr else None)


def write_any_text() -> None:
    """Write characters that the terminal's encoding lacks as escapes; a name in Greek is no failure."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
