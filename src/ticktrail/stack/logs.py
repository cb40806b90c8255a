"""Read the servers' logs: their ends, their growth, and what in them explains a death."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from ticktrail.clock import Clock

__all__ = ["follow", "last_lines", "telling_lines"]

FOLLOW_POLL_S = 0.2
TAIL_BYTES = 1 << 20
TELLING_WORDS = ("ERROR", "FATAL", "Exception", "Error:", "Caused by", "No space left", "already in use")
TELLING_LINES = 6
LINE_CHARACTERS = 300


def last_lines(path: Path, lines: int, after_byte: int = 0) -> list[str]:
    """Return the last lines of a file that may be absent.

    Parameters
    ----------
    path
        The file.
    lines
        At most so many.
    after_byte
        Ignore what stands before.
    """
    try:
        with path.open("rb") as handle:
            size_bytes = handle.seek(0, 2)
            if size_bytes < after_byte:
                after_byte = 0  # rolled over since
            handle.seek(max(after_byte, size_bytes - TAIL_BYTES))
            text = handle.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return []
    return list(deque(text.splitlines(), maxlen=lines))


def follow(path: Path, clock: Clock) -> Iterator[str]:
    """Yield the lines that are added to a file from now on, across its roll-overs; never ends by itself."""
    never = threading.Event()
    position = path.stat().st_size if path.exists() else 0
    inode = path.stat().st_ino if path.exists() else 0
    rest = b""
    while True:
        if path.exists():
            stat = path.stat()
            if stat.st_ino != inode or stat.st_size < position:
                position, inode, rest = 0, stat.st_ino, b""
            with path.open("rb") as handle:
                handle.seek(position)
                added = handle.read(TAIL_BYTES)
            position += len(added)
            *whole, rest = (rest + added).split(b"\n")
            yield from (line.decode("utf-8", "replace") for line in whole)
            if len(added) == TAIL_BYTES:
                continue
        clock.wait(never, FOLLOW_POLL_S)


def telling_lines(lines: list[str]) -> list[str]:
    """Pick the few lines that say why a server died, shortened."""
    telling = [line for line in lines if any(word in line for word in TELLING_WORDS)]
    return [line.strip()[:LINE_CHARACTERS] for line in (telling or lines)[-TELLING_LINES:]]
