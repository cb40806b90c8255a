"""LEAN zips: what is in them, and their rows as sources."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import msgspec

from ticktrail.clock import NS_PER_MS
from ticktrail.errors import FileFormatError
from ticktrail.feeds.file.config import RowKind
from ticktrail.feeds.file.lean import ZONE, line_time_ms
from ticktrail.feeds.file.opening import READ_ERRORS, open_zip_entry, unreadable
from ticktrail.feeds.file.section import Section
from ticktrail.feeds.file.text import LineSource
from ticktrail.reference import local_midnight_ns

__all__ = ["LeanFile", "identify_lean", "open_lean"]

# The file inside a LEAN zip: 20131007_ibm_Trade_Tick.csv
_LEAN_ENTRY = re.compile(
    r"(?P<date>\d{8})_(?P<symbol>[a-z0-9.$-]+)_(?:(?P<kind>trade|quote)_tick|tick_(?P<late_kind>trade|quote))\.csv",
    re.IGNORECASE,
)
_LEAN_PATH = re.compile(r"(?P<date>\d{8})_(?P<kind>trade|quote)\.zip", re.IGNORECASE)
_LEAN_BARS = re.compile(r"minute|second|hour|daily", re.IGNORECASE)


class LeanFile(msgspec.Struct, frozen=True):
    """A zip of the ticks of one symbol and day.

    Parameters
    ----------
    entry
        The file inside.
    """

    path: Path
    entry: str
    kind: RowKind
    symbol: str
    day: date


def identify_lean(path: Path) -> LeanFile:
    """Look into a LEAN zip for its symbol, day and kind.

    Raises
    ------
    FileFormatError
        It is no zip, or not of LEAN ticks.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except READ_ERRORS as error:
        raise unreadable(path, error) from error
    found = _LEAN_ENTRY.fullmatch(names[0]) if len(names) == 1 else None
    if found is None:
        bars = any(_LEAN_BARS.search(name) for name in names)
        raise _not_lean(path, "it holds bars, not ticks" if bars else f"it holds {_few(names)}")
    kind = found["kind"] or found["late_kind"]
    promised = _LEAN_PATH.fullmatch(path.name)
    if promised and (promised["date"], promised["kind"].lower()) != (found["date"], kind.lower()):
        raise _not_lean(path, f"its name says {promised['date']} {promised['kind']}, but it holds {names[0]}")
    try:
        day = date.fromisoformat(found["date"])
    except ValueError:
        raise _not_lean(path, f"{found['date']} is no date") from None
    symbol = found["symbol"].upper()
    return LeanFile(path, names[0], "trades" if kind.lower() == "trade" else "quotes", symbol, day)


def open_lean(file: LeanFile) -> LineSource:
    """Make a source of a zip that `identify_lean` has looked into."""
    midnight_ns = local_midnight_ns(file.day, ZONE)

    def time_of(line: bytes) -> int | None:
        ms = line_time_ms(line)
        return None if ms is None else midnight_ns + round(ms * NS_PER_MS)

    date_number = int(file.day.strftime("%Y%m%d"))
    name = f"{file.path.parent.name}/{file.path.name}"
    return LineSource(
        path=file.path,
        open_file=lambda: open_zip_entry(file.path, file.entry),
        time_of=time_of,
        section=Section("lean", file.kind, 0, 0, name, file.symbol, date_number),
        start_ns=midnight_ns,
    )


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "") or "nothing"


def _not_lean(path: Path, why: str) -> FileFormatError:
    return FileFormatError(
        what=f"{path} is no LEAN tick file",
        why=why,
        next_step="Expected a zip of one file such as 20131007_ibm_Trade_Tick.csv; give the tick folder.",
        path=str(path),
    )
