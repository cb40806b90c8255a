"""Start processes that outlive their starter, and know them again."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from ticktrail.stack import watcher

__all__ = ["is_same", "live_process", "spawn", "spawn_watcher", "watchers"]

ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C.UTF-8"}
"""Nothing is inherited: a stray JAVA_TOOL_OPTIONS must not change the servers."""
TIMER_SLACK_NS = 1_000_000
"""How much later than asked a server's thread may wake, instead of the system's 50 us: Cassandra's idle
workers ask to look for work every 10 us, which costs a quarter of a core."""
_PR_SET_TIMERSLACK, _PR_GET_TIMERSLACK = 29, 30  # linux/prctl.h
START_TIME_TOLERANCE_S = 2.0
"""A process's start is derived from the boot time, which moves a little when the clock is set."""


@contextmanager
def _lazy_timers() -> Iterator[None]:
    """Let programs that this thread starts within the block wake a little later than they ask to."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is None:  # not Linux: the same, a little slower
        yield
        return
    slack_ns = prctl(_PR_GET_TIMERSLACK)
    prctl(_PR_SET_TIMERSLACK, ctypes.c_ulong(TIMER_SLACK_NS))
    try:
        yield
    finally:
        prctl(_PR_SET_TIMERSLACK, ctypes.c_ulong(slack_ns))


def spawn(arguments: list[str], output: Path) -> int:
    """Start a program in a session of its own and return its process id.

    `posix_spawn` and not `subprocess`: a `Popen` object complains when it is dropped before its process
    ends, and these processes are meant to outlive the starter.

    Parameters
    ----------
    arguments
        The program's full path, then what it is given.
    output
        Where both its output streams go, from empty.
    """
    with _lazy_timers():
        return os.posix_spawn(
            arguments[0],
            arguments,
            ENVIRONMENT,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, str(output), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setsid=True,
            setsigmask=[],
            setsigdef=[signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE],
        )


def spawn_watcher(data_dir: Path, output: Path) -> int:
    """Start the process that stops the servers once this one is gone; return its id."""
    # -P: the directory of the script, full of modules of ours, stays off its path
    return spawn([sys.executable, "-P", watcher.__file__, str(os.getpid()), str(data_dir)], output)


def watchers(data_dir: Path) -> list[psutil.Process]:
    """Find the watchers of a data directory."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):  # gone meanwhile, or another user's
            command = process.cmdline()
            if command[2:3] == [watcher.__file__] and command[-1] == str(data_dir):
                found.append(process)
    return found


def live_process(pid: int) -> psutil.Process | None:
    """Return the process of that id; None when it has ended."""
    if not watcher.has_ended(pid):
        with suppress(psutil.NoSuchProcess):
            return psutil.Process(pid)
    return None


def is_same(process: psutil.Process, arguments_path: Path, started_s: float) -> bool:
    """Return whether a process is the server that a record names, and not a later one of the same id."""
    try:
        command = process.cmdline()
        drift_s = abs(process.create_time() - started_s)
    except psutil.Error:
        return False
    return drift_s <= START_TIME_TOLERANCE_S and command[1:2] == [f"@{arguments_path}"]
