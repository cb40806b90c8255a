"""Parquet files as sources, and their parts to records.

A part travels as an Arrow IPC stream, which keeps the file's own types.
"""

from __future__ import annotations

import zlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pa_parquet

from ticktrail.errors import FileFormatError
from ticktrail.feeds.base import Rejected
from ticktrail.feeds.file.config import FileSettings
from ticktrail.feeds.file.fields import NS_PER_UNIT, times_ns
from ticktrail.feeds.file.opening import READ_ERRORS, unreadable
from ticktrail.feeds.file.section import Section, file_tag
from ticktrail.feeds.file.table import Layout, TableParsed, find_layout, to_columns
from ticktrail.feeds.unknown import UnknownCounts
from ticktrail.model import Array

__all__ = ["ParquetSource", "open_parquet", "parse_parquet"]

_TAG_BYTES = 4096
# Rows decoded together; they are in memory whole, so row groups of millions must be cut.
_BATCH_ROWS = 16 * 1024


class ParquetSource:
    """One Parquet file.

    Parameters
    ----------
    path, layout
        The file, checked by `open_parquet`.
    section
        The form of its sections.
    start_ns
        No row is earlier, so that it need not be open before; 0 where that is not known.
    """

    def __init__(self, path: Path, layout: Layout, section: Section, start_ns: int = 0) -> None:
        self.start_ns = start_ns
        self.kind = section.kind
        self._path = path
        self._layout = layout
        self._section = section
        self._file: Any = None
        self._batches: Any = None
        self._batch: Any = None
        self._times: Array = np.empty(0, np.int64)
        self._position = 0
        self._row = 0
        self._row_bytes = 0.0
        self.next_ns = 0
        self.last_ns = 0

    def fill(self) -> bool:
        while self._batch is None or self._position == self._batch.num_rows:
            try:
                if self._file is None:
                    self._file = pa_parquet.ParquetFile(self._path)
                    self._batches = self._file.iter_batches(_BATCH_ROWS, use_threads=False)
                self._batch = next(self._batches, None)
            except (*READ_ERRORS, pa.ArrowException) as error:
                raise unreadable(self._path, error, self._row + 1) from error
            self._position = 0
            if self._batch is None:
                self._file.close()
                return False
            self._note_times()
        return True

    def cut(self, until_ns: int) -> int:
        if until_ns >= self.last_ns:
            return int(self._batch.num_rows)
        return self._position + int(np.searchsorted(self._times[self._position :], until_ns, side="right"))

    def size_to(self, position: int) -> int:
        return int((position - self._position) * self._row_bytes)

    def take(self, position: int) -> tuple[Section, bytes]:
        part = self._batch.slice(self._position, position - self._position)
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, part.schema) as writer:
            writer.write_batch(part)
        payload: bytes = sink.getvalue().to_pybytes()
        section = msgspec.structs.replace(
            self._section, first_row=self._row, size_bytes=len(payload), check=zlib.crc32(payload)
        )
        self._row += part.num_rows
        self._position = position
        self._note_next()
        return section, payload

    def grow(self, size_bytes_max: int) -> None:
        """Do nothing: a batch is of a good size from the beginning."""

    def _note_times(self) -> None:
        column = self._batch.column(self._layout.columns["ts_event_ns"])
        times, readable = times_ns(column, self._layout.time_unit)
        # Rows without a time share that of the row before them; times that fall wait for the latest.
        self._times = np.maximum.accumulate(np.where(readable, times, self.last_ns))
        self._row_bytes = max(self._batch.nbytes / max(self._batch.num_rows, 1), 1.0)
        if len(self._times):
            self.last_ns = int(self._times[-1])
            self._note_next()

    def _note_next(self) -> None:
        if self._position < len(self._times):
            self.next_ns = int(self._times[self._position])


def open_parquet(path: Path, settings: FileSettings) -> ParquetSource:
    """Check a file's schema.

    Raises
    ------
    FileFormatError
        A required column is missing, times are of no usable type, or it is no Parquet.
    """
    try:
        metadata = pa_parquet.read_metadata(path)
        schema = metadata.schema.to_arrow_schema()
        with path.open("rb") as file:
            head = file.read(_TAG_BYTES)
    except (*READ_ERRORS, pa.ArrowException) as error:
        raise unreadable(path, error) from error
    if len(set(schema.names)) < len(schema.names):
        raise FileFormatError(
            what=f"Cannot read the columns of {path}",
            why="two of them have one name",
            next_step="Rename or drop one of the two.",
            path=str(path),
        )
    layout = find_layout(schema.names, settings, str(path))
    name = layout.columns["ts_event_ns"]
    _check_time_type(path, name, schema.field(name).type, layout)
    section = Section("parquet", layout.kind, 0, 0, path.name, tag=file_tag(head))
    return ParquetSource(path, layout, section, _earliest_ns(metadata, name, layout.time_unit))


def parse_parquet(
    section: Section, payload: bytes, context: tuple[FileSettings, frozenset[str], UnknownCounts]
) -> TableParsed:
    """Read a part of a Parquet file: an Arrow IPC stream. Every row is a record or rejected."""
    settings, symbols, unknown = context
    if zlib.crc32(payload) != section.check:
        return TableParsed(None, [Rejected(payload, "bad_checksum", f"a part of {section.file}")])
    try:
        table = pa.ipc.open_stream(payload).read_all().combine_chunks()
        layout = find_layout(table.column_names, settings, section.file)
        _check_time_type(Path(section.file), "", table[layout.columns["ts_event_ns"]].type, layout)
    except (FileFormatError, pa.ArrowException, OSError) as error:
        return TableParsed(None, [Rejected(payload, "bad_header", str(error))])
    for name in layout.ignored:
        unknown.add("field", name)
    if table.num_rows == 0:
        return TableParsed(None, [])

    def originals(rows: list[int]) -> list[bytes]:
        return [msgspec.json.encode(row, enc_hook=str) for row in table.take(rows).to_pylist()]

    arrays = {field: table[column].combine_chunks() for field, column in layout.columns.items()}
    rows: Array = np.arange(table.num_rows)
    return to_columns(layout, arrays, rows, (section, settings, symbols, unknown), originals)


def _earliest_ns(metadata: Any, name: str, unit: str) -> int:
    """Take a lower bound of the times from the file's statistics; 0 without any."""
    names = [metadata.schema.column(at).path for at in range(metadata.num_columns)]
    if name not in names:
        return 0
    at = names.index(name)
    chunks = [metadata.row_group(group).column(at) for group in range(metadata.num_row_groups)]
    if not all(chunk.is_stats_set and chunk.statistics.has_min_max for chunk in chunks):
        return 0
    least = [chunk.statistics.min for chunk in chunks]
    if unit and all(isinstance(value, int) for value in least):
        return max(min(least, default=0), 0) * NS_PER_UNIT[unit]
    if all(isinstance(value, datetime) for value in least):
        seconds = (value.replace(tzinfo=value.tzinfo or UTC).timestamp() for value in least)
        # A microsecond is lost to the float; statistics of nanoseconds are cut to microseconds too.
        return max(int(min(seconds, default=0.0) * 1e6) - 1, 0) * 1_000
    return 0


def _check_time_type(path: Path, name: str, kind: Any, layout: Layout) -> None:
    why, next_step = "", ""
    if pa.types.is_timestamp(kind):
        if kind.tz is None:
            why = f"column {name} has no time zone ({kind})"
            next_step = "Write it with one: pandas' tz_localize, or cast to timestamp[ns, tz=UTC]."
    elif pa.types.is_integer(kind):
        if not layout.time_unit:
            why = f"column {name} holds numbers of an unknown unit"
            next_step = 'Set time_unit to "ns", "us", "ms" or "s".'
    elif not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        why = f"column {name} is of type {kind}"
        next_step = "Expected a timestamp with time zone, integers with time_unit, or ISO 8601 text."
    if why:
        raise FileFormatError(
            what=f"Cannot read the times of {path}", why=why, next_step=next_step, path=str(path)
        )
