"""The settings of ``[feeds.file]``."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Any, Literal

import msgspec

from ticktrail.model import Quote, Trade, column_names
from ticktrail.reference import local_midnight_ns

__all__ = ["FEED_NAME", "LEAN_FEED_NAME", "FileSettings", "Format", "RowKind", "speed_factor"]

Format = Literal["lean", "csv", "parquet", "capture"]
RowKind = Literal["trades", "quotes"]

FEED_NAME = "file"
LEAN_FEED_NAME = "lean"

_ANY_DAY = date(2000, 1, 1)
_SPEED = re.compile(r"(\d+(?:\.\d+)?)x?")
_FIELDS = frozenset(column_names(Trade)) | frozenset(column_names(Quote))


class FileSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which files to replay, and how to read them.

    Parameters
    ----------
    path
        A file or a directory, which is searched through; or several.
    format
        ``"auto"`` tells it by the files' names. All files of one feed have one format.
    speed
        ``"max"``, or event time per wall time: ``"1x"``, ``"10x"``, ``"0.5x"``.
    feed_name
        The `feed` of the records; empty: ``"lean"`` for LEAN files, ``"file"`` for CSV and Parquet.
        Captures keep the name that they were recorded under.
    kind
        Whether rows of CSV and Parquet are trades or quotes; ``"auto"`` tells it by their columns.
    columns
        Field of `Trade` or `Quote` → name of the file's column, where the two differ.
    zone
        IANA name of the venue's time zone, in which CSV and Parquet rows get their trading date.
    time_unit
        Of a time column of integers since 1970; empty: by the column's name (``…_ns``, ``…_us``,
        ``…_ms``, ``…_s``), else times are ISO 8601 text with an offset.
    captured
        For captures: settings of the captured feed that its parser needs (``encoding``).
    """

    path: str | list[str]
    format: Literal["auto", "lean", "csv", "parquet", "capture"] = "auto"
    speed: Annotated[str, msgspec.Meta(min_length=1)] | float = "max"
    feed_name: Annotated[str, msgspec.Meta(max_length=32)] = ""
    kind: Literal["auto", "trades", "quotes"] = "auto"
    columns: dict[str, str] = {}
    zone: str = "America/New_York"
    time_unit: Literal["", "ns", "us", "ms", "s"] = ""
    captured: dict[str, Any] = {}

    def __post_init__(self) -> None:
        speed_factor(self.speed)
        if not self.path:
            raise ValueError("path is empty; name a file or a directory")
        if unknown := self.columns.keys() - _FIELDS:
            raise ValueError(f"columns maps {sorted(unknown)}, which are no fields of a trade or quote")
        if not re.fullmatch(r"[a-z0-9_.-]*", self.feed_name):
            raise ValueError("feed_name may hold small letters, digits, and the signs _ . - only")
        try:
            local_midnight_ns(_ANY_DAY, self.zone)
        except (KeyError, OSError) as error:  # ZoneInfoNotFoundError is a KeyError
            raise ValueError(f"zone is no IANA time zone: {error}") from None

    @property
    def paths(self) -> list[str]:
        """What `path` names, as a list."""
        return [self.path] if isinstance(self.path, str) else list(self.path)


def speed_factor(speed: str | float) -> float:
    """Read a speed: event seconds per wall second, 0 for as fast as possible.

    Raises
    ------
    ValueError
        It is neither ``"max"`` nor a positive number, with or without an ``x`` behind it.
    """
    text = str(speed).strip().lower()
    if text == "max":
        return 0.0
    found = _SPEED.fullmatch(text)
    if found is None or float(found[1]) == 0.0:
        raise ValueError("speed must be max, or a positive factor such as 1x or 10x")
    return float(found[1])
