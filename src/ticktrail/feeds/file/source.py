"""One file as a stretch of rows that can be cut at any time."""

from __future__ import annotations

from typing import Protocol

from ticktrail.feeds.file.section import Section

__all__ = ["Source"]


class Source(Protocol):
    """A file being read. `merge` is its only caller, in a thread of its own; it may block.

    Times are of the rows, nanoseconds since 1970 in UTC. A file is expected to be in their order; where
    it is not, all its rows come nevertheless, in the file's order.

    Parameters
    ----------
    start_ns
        No row is earlier; known before the file is opened.
    """

    start_ns: int

    def fill(self) -> bool:
        """Have at least one row in memory; False at the file's end.

        Raises
        ------
        FileFormatError
            The file is damaged.
        """
        ...

    @property
    def next_ns(self) -> int:
        """Time of the first row in memory."""
        ...

    @property
    def last_ns(self) -> int:
        """Time of the last row in memory."""
        ...

    def cut(self, until_ns: int) -> int:
        """Find the position behind the rows up to and including a time; all rows if that is `last_ns`."""
        ...

    def size_to(self, position: int) -> int:
        """Tell the bytes between the first row in memory and a position."""
        ...

    def take(self, position: int) -> tuple[Section, bytes]:
        """Hand over the rows up to a position."""
        ...

    def grow(self, size_bytes_max: int) -> None:
        """Hold twice as much in memory from now on, up to that."""
        ...
