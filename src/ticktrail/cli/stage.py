"""What every stage's process does besides its work: signals, logs, snapshots, metrics, a last word."""

from __future__ import annotations

import fcntl
import itertools
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ticktrail.cli.memory import settled_memory
from ticktrail.clock import Clock
from ticktrail.config import Settings, wants_color
from ticktrail.errors import UsageError
from ticktrail.telemetry import MetricsServer, SnapshotWriter, configure_logging, run_dir

__all__ = ["stage", "stop_with_parent"]

_SNAPSHOT_EVERY_S = 0.5

View = Callable[[], Mapping[str, Any]]


@contextmanager
def stage(
    kind: str,
    settings: Settings,
    clock: Clock,
    view: View = dict,
    on_stop: Callable[[], None] = lambda: None,
    name: str | None = None,
) -> Iterator[threading.Event]:
    """Prepare the process for a stage's work, and say the last word after it.

    Parameters
    ----------
    kind
        ``"persist"``.
    view
        The stage's own part of the snapshot.
    on_stop
        Called from the signal handler, for work that does not watch the event.
    name
        Of the process and its snapshot; by default the kind, or the first of ``persist-2``, ``persist-3`` …
        that no other process of this data directory has.

    Yields
    ------
    The event that SIGINT and SIGTERM set.

    Raises
    ------
    UsageError
        Another process of this data directory has the name given: their snapshots would replace each other.
    """
    telemetry = settings.telemetry
    configure_logging(
        log_format=telemetry.log_format, level=telemetry.log_level, color=wants_color(sys.stderr), clock=clock
    )
    stop = threading.Event()

    def halt(signum: int, frame: object) -> None:
        del signum, frame
        stop.set()
        on_stop()

    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, halt)
    directory = run_dir(Path(settings.stack.data_dir))
    name, lock = _claim(directory, name) if name else _claim_free(directory, kind)
    writer = SnapshotWriter(directory / f"{name}.json", clock, kind)
    done = threading.Event()

    def write_snapshots() -> None:
        while not clock.wait(done, _SNAPSHOT_EVERY_S):
            writer.write(view)

    thread = threading.Thread(target=write_snapshots, name="snapshots", daemon=True)
    thread.start()
    server = MetricsServer(telemetry.metrics_port) if telemetry.metrics_port else None
    try:
        with settled_memory():
            yield stop
    finally:
        done.set()
        thread.join()
        writer.close(view())
        if server is not None:
            server.close()
        os.close(lock)


def _claim(directory: Path, name: str) -> tuple[str, int]:
    lock = _locked(directory, name)
    if lock is None:
        raise UsageError(
            what=f"A stage named {name} already runs in {directory.parent}",
            why="one snapshot, of one process, belongs to each name",
            next_step="Stop it (`ticktrail status` tells its process), or leave --name out.",
        )
    return name, lock


def _claim_free(directory: Path, kind: str) -> tuple[str, int]:
    for number in itertools.count(1):
        name = kind if number == 1 else f"{kind}-{number}"
        if (lock := _locked(directory, name)) is not None:
            return name, lock
    raise AssertionError


def _locked(directory: Path, name: str) -> int | None:
    """Take the name for this process, unless another has it; the kernel frees that of one that dies."""
    directory.mkdir(parents=True, exist_ok=True)
    lock = os.open(directory / f"{name}.lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


def stop_with_parent() -> None:
    """Stop in order when the process that started this one is gone, however it went.

    The parent holds the other end of standard input; reading it ends exactly when the parent ends.
    """

    def watch() -> None:
        # Not through `sys.stdin`: its buffer's lock, held here, would abort the interpreter's own end.
        while os.read(sys.stdin.fileno(), 4096):
            pass
        # To the main thread by name: another thread's signal would not wake it from what it waits for.
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)

    threading.Thread(target=watch, name="parent", daemon=True).start()
