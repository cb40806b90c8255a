"""DuckDB's errors in ticktrail's words."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

from ticktrail.errors import QueryError

__all__ = ["explained", "nearest"]

_CATEGORY = re.compile(r"^[A-Z][A-Za-z ]+ Error: ")
_TABLE = re.compile(r"Table with name \"?([^\s\"]+)\"? does not exist")
_COLUMN = re.compile(r"Referenced column \"([^\"]+)\" not found|does not have a column named \"([^\"]+)\"")
_MARKED_LINE = re.compile(r"^LINE \d+: ?(.*)\n( *)(\^+)", re.MULTILINE)


def explained(error: Exception, tables: Iterable[str], columns: Iterable[str]) -> QueryError:
    """Say what is wrong with a query, where, and the nearest name that exists.

    Parameters
    ----------
    error
        From DuckDB.
    tables, columns
        Names that the query could have meant.
    """
    text = str(error)
    first_line = _CATEGORY.sub("", text.split("\n", 1)[0])
    next_step = ""
    if match := _TABLE.search(text):
        next_step = nearest(match[1], tables)
    elif match := _COLUMN.search(text):
        next_step = nearest(match[1] or match[2], columns, list_all=False)
    elif "requires the extension" in text or "Extension" in first_line:
        next_step = "Only what DuckDB has built in can be used here; nothing is fetched from the network."
    steps = [step for step in (next_step, _place(text)) if step]
    return QueryError(
        what="The query cannot be answered", why=first_line.rstrip("!."), next_step=" ".join(steps)
    )


def nearest(name: str, known: Iterable[str], *, list_all: bool = True) -> str:
    """Suggest the nearest of the known names, and list them."""
    names = sorted(set(known))
    found = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.5)
    parts = [f"Did you mean {found[0]}?"] if found else []
    parts += [f"Known are: {', '.join(names)}."] if list_all else []
    return " ".join(parts)


def _place(text: str) -> str:
    """Quote the line that DuckDB points at, without its own numbering, which counts lines it has added."""
    match = _MARKED_LINE.search(text)
    if match is None:
        return ""
    line, blanks, marks = match.groups()
    column = len(blanks) - (len(match[0].split("\n")[0]) - len(line))
    return f"It is here:\n  {line}\n  {' ' * column}{marks}"
