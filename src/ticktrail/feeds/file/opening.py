"""Opening files so that thousands can be read side by side."""

from __future__ import annotations

import gzip
import io
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from ticktrail.errors import FileFormatError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["READ_ERRORS", "open_bytes", "open_zip_entry", "unreadable"]

# Everything that a damaged file, or one that vanished, makes these readers raise.
READ_ERRORS = (OSError, EOFError, zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, ValueError)


_BUFFER_BYTES = 64 * 1024


class _HandleFreeFile(io.RawIOBase):
    """A file that holds no handle between reads.

    A day of the whole market is twenty thousand files, each read a little at a time, and a process may
    usually hold a thousand handles. Opening again costs some 20 µs per read of many kilobytes.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._position = 0
        self._size = path.stat().st_size

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise OSError("a position before the file's beginning")
        self._position = base + offset
        return self._position

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        with self._path.open("rb", buffering=0) as file:
            file.seek(self._position)
            found = file.readinto(buffer) or 0
        self._position += found
        return found


def open_bytes(path: Path) -> BinaryIO:
    """Open a file, unpacking ``.gz``."""
    file = io.BufferedReader(_HandleFreeFile(path), _BUFFER_BYTES)
    return cast("BinaryIO", gzip.GzipFile(fileobj=file) if path.suffix == ".gz" else file)


def open_zip_entry(path: Path, entry: str) -> BinaryIO:
    """Open one file inside a zip; its checksum is verified at its end."""
    archive = zipfile.ZipFile(cast("BinaryIO", _HandleFreeFile(path)))
    return cast("BinaryIO", archive.open(entry))


def unreadable(path: Path, error: BaseException, line: int = 0) -> FileFormatError:
    """Build the error for a file that cannot be read, or not to its end."""
    why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return FileFormatError(
        what=f"Cannot read {path}",
        why=why or type(error).__name__,
        next_step="Check that it is whole and readable, or leave it out.",
        path=str(path),
        line=line,
    )
