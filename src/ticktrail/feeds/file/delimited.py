"""CSV files with a header."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv

from ticktrail.errors import FileFormatError
from ticktrail.feeds.base import Rejected
from ticktrail.feeds.file.config import FileSettings
from ticktrail.feeds.file.fields import times_ns
from ticktrail.feeds.file.opening import READ_ERRORS, open_bytes, unreadable
from ticktrail.feeds.file.section import Section, file_tag
from ticktrail.feeds.file.table import Layout, TableParsed, find_layout, to_columns
from ticktrail.feeds.file.text import LINE_BYTES_MAX, LineSource
from ticktrail.feeds.unknown import UnknownCounts
from ticktrail.model import Array

__all__ = ["open_csv", "parse_csv"]

_BOM = b"\xef\xbb\xbf"


def open_csv(path: Path, settings: FileSettings) -> LineSource:
    """Check a file's header and first row.

    Raises
    ------
    FileFormatError
        A required column is missing, times are in no known notation, or the file cannot be read.
    """
    try:
        with open_bytes(path) as file:
            header = file.readline(LINE_BYTES_MAX)
            first = file.readline(LINE_BYTES_MAX)
    except READ_ERRORS as error:
        raise unreadable(path, error) from error
    if not header.strip(_BOM + b"\r\n"):
        raise FileFormatError(
            what=f"{path} has no header",
            why="it is empty, or its first line is",
            next_step="The first line must name the columns.",
            path=str(path),
            line=1,
        )
    names = _header_names(header, str(path))
    layout = find_layout(names, settings, str(path))
    time_of = _time_reader(names, layout)
    if first.strip():
        _check_first_time(path, names, layout, first)
    if not header.endswith(b"\n"):
        header += b"\n"
    section = Section("csv", layout.kind, 0, 0, path.name, tag=file_tag(header + first.rstrip(b"\r\n")))
    return LineSource(
        path=path,
        open_file=lambda: open_bytes(path),
        time_of=time_of,
        section=section,
        start_ns=time_of(first) or 0,
        header=header,
    )


def parse_csv(
    section: Section,
    payload: bytes,
    context: tuple[FileSettings, frozenset[str], UnknownCounts],
) -> TableParsed:
    """Read a part of a CSV: its header and whole lines. Every line is a record, rejected, or a blank."""
    settings, symbols, unknown = context
    header, _, text = payload.partition(b"\n")
    try:
        names = _header_names(header, section.file)
        layout = find_layout(names, settings, section.file)
    except FileFormatError as error:
        return TableParsed(None, [Rejected(payload, "bad_header", str(error))])
    for name in layout.ignored:
        unknown.add("field", name)
    if text and not text.endswith(b"\n"):
        text += b"\n"
    fields = list(layout.columns)
    rejected: list[Rejected] = []
    rows: Array = np.arange(text.count(b"\n"))
    arrays = _tokenise(text, names, layout, len(rows))
    if arrays is None:
        arrays, rows = _tokenise_lines(text, names, layout, (section, rejected, unknown))
    if len(rows) == 0:
        return TableParsed(None, rejected)

    def originals(chosen: list[int]) -> list[bytes]:
        lines = text.split(b"\n")
        return [lines[rows[at]] for at in chosen]

    parsed = to_columns(
        layout,
        dict(zip(fields, arrays, strict=True)),
        rows,
        (section, settings, symbols, unknown),
        originals,
    )
    return TableParsed(parsed.columns, rejected + parsed.rejected)


def _header_names(header: bytes, path: str) -> list[str]:
    try:
        line = header.removeprefix(_BOM).decode().rstrip("\r\n")
        names = [name.strip() for name in next(csv.reader([line], strict=True))]
    except (UnicodeDecodeError, csv.Error, StopIteration) as error:
        raise _bad_header(path, str(error) or "it is empty") from None
    if len(set(names)) < len(names):
        raise _bad_header(path, "two columns have one name")
    return names


def _bad_header(path: str, why: str) -> FileFormatError:
    return FileFormatError(
        what=f"Cannot read the header of {path}",
        why=why,
        next_step="The first line must name the columns, separated by commas, in UTF-8.",
        path=path,
        line=1,
    )


def _tokenise(text: bytes, names: Sequence[str], layout: Layout, n_rows: int) -> list[Any] | None:
    """Cut text into the layout's columns, as text; None where any line is not plainly a row."""
    if n_rows == 0:
        return None
    columns = list(layout.columns.values())
    try:
        table = pa_csv.read_csv(
            pa.BufferReader(text),
            read_options=pa_csv.ReadOptions(
                use_threads=False, column_names=list(names), block_size=len(text) + 1
            ),
            parse_options=pa_csv.ParseOptions(ignore_empty_lines=False),
            convert_options=pa_csv.ConvertOptions(
                include_columns=columns,
                column_types=dict.fromkeys(columns, pa.string()),
                null_values=[],
                strings_can_be_null=False,
            ),
        )
    except pa.ArrowInvalid:
        return None
    if table.num_rows != n_rows:
        return None
    return [column.chunk(0) for column in table.columns]


def _tokenise_lines(
    text: bytes,
    names: Sequence[str],
    layout: Layout,
    bad: tuple[Section, list[Rejected], UnknownCounts],
) -> tuple[list[Any], Array]:
    """Cut text into columns line by line, leaving out those that are no rows."""
    section, rejected, unknown = bad
    chosen = [names.index(column) for column in layout.columns.values()]
    rows: list[int] = []
    values: list[list[str]] = [[] for _ in chosen]
    for row, line in enumerate(text.split(b"\n")[:-1]):
        if not line.strip():
            unknown.add("line", "blank")
            continue
        cells, why = _cells(line)
        if len(cells) != len(names):
            detail = why or f"{len(cells)} cells for {len(names)} columns"
            where = f"row {section.first_row + row + 1} of {section.file}: {detail}"
            rejected.append(Rejected(line, "bad_line", where))
            continue
        rows.append(row)
        for column, index in zip(values, chosen, strict=True):
            column.append(cells[index])
    arrays = [pa.array(column, type=pa.string()) for column in values]
    return arrays, np.array(rows, dtype=np.int64)


def _cells(line: bytes) -> tuple[list[str], str]:
    """Cut one line; without cells, the second value tells why."""
    try:
        return next(csv.reader([line.rstrip(b"\r").decode()], strict=True), []), ""
    except UnicodeDecodeError:
        return [], "not UTF-8"
    except csv.Error as error:
        return [], str(error)


def _time_reader(names: Sequence[str], layout: Layout) -> Callable[[bytes], int | None]:
    """Build a function that reads the time of one line, for cutting; `parse_csv` decides in the end."""
    index = names.index(layout.columns["ts_event_ns"])

    def time_of(line: bytes) -> int | None:
        cells, _ = _cells(line.rstrip(b"\n"))
        if len(cells) != len(names):
            return None
        found, readable = times_ns(pa.array([cells[index]]), layout.time_unit)
        return int(found[0]) if readable[0] else None

    return time_of


def _check_first_time(path: Path, names: Sequence[str], layout: Layout, first: bytes) -> None:
    """Refuse a file of which no time could be read, before the first of its rows is rejected."""
    cells, _ = _cells(first.rstrip(b"\n"))
    column = layout.columns["ts_event_ns"]
    if len(cells) != len(names):
        return
    text = cells[names.index(column)].strip()
    if times_ns(pa.array([text]), layout.time_unit)[1][0]:
        return
    why, next_step = f"{text!r} in column {column} is no time", ""
    if layout.time_unit:
        next_step = f"Expected whole {layout.time_unit} since 1970-01-01 UTC, as the column's name says."
        if not text.isdecimal():
            next_step += " Times as text want a name without unit: rename it and map it, as in "
            next_step += 'columns = { ts_event_ns = "time" }.'
    elif text.isdecimal():
        why = f"column {column} holds numbers such as {text}, of an unknown unit"
        next_step = 'Set time_unit to "ns", "us", "ms" or "s".'
    elif _is_naive(text):
        why = f"{text!r} in column {column} has no time zone"
        next_step = "Write times with their offset, such as 2024-01-02T09:30:00-05:00 or …Z."
    raise FileFormatError(
        what=f"Cannot read the times of {path}",
        why=why,
        next_step=next_step or "Expected ISO 8601 with an offset, such as 2024-01-02T09:30:00.123-05:00.",
        path=str(path),
        line=2,
    )


def _is_naive(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is None
    except ValueError:
        return False
