"""Whose spool is whose: one directory for each running capture, taken over from those that died."""

from __future__ import annotations

import fcntl
import itertools
import os
from pathlib import Path
from urllib.parse import quote

from ticktrail.capture.spool import segment_paths

__all__ = ["SpoolPlace"]

_LOCK = "lock"


class SpoolPlace:
    """A directory below ``<root>/``, held by this process until it closes or dies.

    The first capture of a feed has ``FEED``, the second ``FEED+2`` and so on. What captures of the feed left
    behind that run no more is moved here, in the order in which they wrote it.

    Parameters
    ----------
    root
        ``<data_dir>/spool``.
    feed
        The feed's name.

    Attributes
    ----------
    directory
        Where this process may write.

    Raises
    ------
    OSError
        The disk does not allow it.
    """

    def __init__(self, root: Path, feed: str) -> None:
        name = quote(feed, safe="")
        for number in itertools.count(1):
            self.directory = root / (name if number == 1 else f"{name}+{number}")  # no name has a plus
            lock = _locked(self.directory)
            if lock is not None:
                self._lock = lock
                break
        for other in [*sorted(root.glob(f"{name}+[0-9]*")), root / name]:
            if other != self.directory and segment_paths(other):
                self._take_over(other)

    def close(self) -> None:
        """Let another process have it."""
        os.close(self._lock)

    def _take_over(self, other: Path) -> None:
        lock = _locked(other)
        if lock is None:
            return  # its capture runs
        mine = segment_paths(self.directory)
        number = int(mine[-1].name.partition("-")[0]) if mine else 0
        for path in segment_paths(other):
            number += 1
            path.rename(self.directory / f"{number:010d}-{path.name.partition('-')[2]}")
        os.close(lock)


def _locked(directory: Path) -> int | None:
    """Take a directory for this process, unless another has it; the kernel frees that of one that dies."""
    directory.mkdir(parents=True, exist_ok=True)
    lock = os.open(directory / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock
