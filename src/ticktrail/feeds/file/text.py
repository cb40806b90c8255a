"""Files of lines as sources."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import msgspec

from ticktrail.errors import FileFormatError
from ticktrail.feeds.file.opening import READ_ERRORS, unreadable
from ticktrail.feeds.file.section import Section

__all__ = ["LINE_BYTES_MAX", "LineSource"]

# Far above any row of market data; beyond it the file is no text of lines.
LINE_BYTES_MAX = 64 * 1024

# What is read of a file at first. Busy files grow out of it (`grow`), quiet ones stay there.
_READ_BYTES = 16 * 1024


class LineSource:
    """A file of lines, each with a time.

    Parameters
    ----------
    path
        For errors.
    open_file
        Opens it, once.
    time_of
        Reads a line's time; None where there is none, which a line in memory shares with its neighbours.
    section
        The form of its sections; `first_row` and `size_bytes` are filled in.
    start_ns
        No line is earlier.
    header
        Repeated before every part that is taken, so that each can be read alone; the file begins with
        it and it is no row. Empty: the file has none.
    """

    def __init__(
        self,
        *,
        path: Path,
        open_file: Callable[[], BinaryIO],
        time_of: Callable[[bytes], int | None],
        section: Section,
        start_ns: int,
        header: bytes = b"",
    ) -> None:
        self.start_ns = start_ns
        self.kind = section.kind
        self._path = path
        self._open_file = open_file
        self._time_of = time_of
        self._section = section
        self._header = header
        self._file: BinaryIO | None = None
        self._buffer = b""  # whole lines
        self._position = 0  # of the first line not taken
        self._rest = b""  # the beginning of the line that the last read cut off
        self._row = 0
        self._read_bytes = _READ_BYTES
        self.next_ns = start_ns
        self.last_ns = start_ns

    def fill(self) -> bool:
        while self._position == len(self._buffer):
            try:
                if not self._read():
                    return False
            except READ_ERRORS as error:
                raise unreadable(self._path, error, self._row + 1) from error
        return True

    def cut(self, until_ns: int) -> int:
        if until_ns >= self.last_ns:
            return len(self._buffer)
        low, high = self._position, len(self._buffer)
        while low < high:
            middle = (low + high) // 2
            start = max(self._buffer.rfind(b"\n", low, middle) + 1, low)
            ts_ns, end = self._first_time(start, high)
            if ts_ns is None or ts_ns > until_ns:
                high = start
            else:
                low = end
        return low

    def size_to(self, position: int) -> int:
        return position - self._position

    def take(self, position: int) -> tuple[Section, bytes]:
        rows = self._buffer[self._position : position]
        payload = self._header + rows
        section = msgspec.structs.replace(self._section, first_row=self._row, size_bytes=len(payload))
        self._row += rows.count(b"\n")
        self._position = position
        self._note_next()
        return section, payload

    def grow(self, size_bytes_max: int) -> None:
        self._read_bytes = min(2 * self._read_bytes, max(size_bytes_max, _READ_BYTES))

    def _read(self) -> bool:
        if self._file is None:
            self._file = self._open_file()
            self._file.read(len(self._header))
        found = self._file.read(self._read_bytes)
        text = self._rest + found
        if not found:
            # The last line of many files has no end.
            self._rest = b""
            self._buffer = text + b"\n" if text else b""
        else:
            end = text.rfind(b"\n") + 1
            self._buffer, self._rest = text[:end], text[end:]
            if len(self._rest) > LINE_BYTES_MAX:
                raise _endless_line(self._path, self._row + 1 + self._buffer.count(b"\n"))
        self._position = 0
        if not found and not self._buffer:
            self._file.close()
            return False
        self._note_next()
        self._note_last()
        return True

    def _note_next(self) -> None:
        found, _ = self._first_time(self._position, len(self._buffer))
        self.next_ns = self.last_ns if found is None else found

    def _note_last(self) -> None:
        """Find the last line that has a time; without any, the time stands still."""
        end = len(self._buffer)
        while end > 0:
            start = self._buffer.rfind(b"\n", 0, end - 1) + 1
            if (found := self._time_of(self._buffer[start:end])) is not None:
                self.last_ns = found
                return
            end = start

    def _first_time(self, start: int, high: int) -> tuple[int | None, int]:
        """Read the time of the first line from `start` on that has one, and find the line's end."""
        while start < high:
            end = self._buffer.index(b"\n", start) + 1
            if (found := self._time_of(self._buffer[start:end])) is not None:
                return found, end
            start = end
        return None, high


def _endless_line(path: Path, line: int) -> FileFormatError:
    return FileFormatError(
        what=f"{path} is no text of lines",
        why=f"line {line} is longer than {LINE_BYTES_MAX} bytes",
        next_step="Give files of comma-separated rows.",
        path=str(path),
        line=line,
    )
