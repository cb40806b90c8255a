"""Stages as child processes: started, watched, started again, stopped.

A child is a `ticktrail` command of its own with a session of its own, so that Ctrl-C reaches only the parent,
which then stops the children in the right order. A child ends by itself when its parent is gone: it holds the
read end of a pipe that only the parent keeps open.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from ticktrail.clock import NS_PER_SECOND, Backoff, Clock
from ticktrail.errors import StageFailed
from ticktrail.telemetry import get_logger

__all__ = ["Child", "Children"]

_log = get_logger("supervisor")

_STOP_TIMEOUT_S = 40.0
_BACKOFF_S = (0.5, 10.0)
# A child that fails that often without a steady run in between will not recover by itself.
_FAILURES_MAX = 5
_STEADY_NS = 30 * NS_PER_SECOND
_EXIT_USAGE = 2
_LOG_LINES = 8


@dataclass
class Child:
    """One stage's process.

    Parameters
    ----------
    name
        Also the name of its log.
    arguments
        Of the `ticktrail` command.
    is_finite
        Whether it may end by itself with success (an import).
    """

    name: str
    arguments: Sequence[str]
    log_path: Path
    is_finite: bool = False
    process: subprocess.Popen[bytes] | None = None
    started_ns: int = 0
    restart_at_ns: int | None = None
    restarts: int = 0
    backoff: Backoff = field(default_factory=lambda: Backoff(*_BACKOFF_S))

    @property
    def has_ended(self) -> bool:
        """Whether it ended by itself, with success."""
        return self.process is not None and self.process.poll() == 0 and self.is_finite


class Children:
    """The child processes of one supervisor. Used by one thread."""

    def __init__(self, log_dir: Path, clock: Clock) -> None:
        self._log_dir = log_dir
        self._clock = clock
        self._children: list[Child] = []
        log_dir.mkdir(parents=True, exist_ok=True)

    def __iter__(self) -> Iterator[Child]:
        return iter(self._children)

    def start(
        self, name: str, *arguments: str, is_finite: bool = False, capture_output: bool = False
    ) -> Child:
        """Start a stage: ``ticktrail ARGUMENTS --stop-with-parent``, its words in ``NAME.log``.

        Parameters
        ----------
        capture_output
            Keep its standard output readable, as ``child.process.stdout``; the first line says where an
            exchange listens.
        """
        child = Child(name, arguments, self._log_dir / f"{name}.log", is_finite=is_finite)
        self._children.append(child)
        self._spawn(child, subprocess.PIPE if capture_output else subprocess.DEVNULL)
        return child

    def watch(self) -> None:
        """Start again what has died; call now and then.

        Raises
        ------
        StageFailed
            A stage cannot run: it was called wrongly, or fails again and again.
        """
        now_ns = self._clock.monotonic_ns()
        for child in self._children:
            assert child.process is not None
            code = child.process.poll()
            if code is None or child.has_ended:
                continue
            if child.restart_at_ns is None:
                if now_ns - child.started_ns > _STEADY_NS:
                    child.backoff.reset()
                if child.is_finite or code == _EXIT_USAGE or child.backoff.tries >= _FAILURES_MAX:
                    raise self._failure(child, code)
                delay_s = child.backoff.next_s()
                child.restart_at_ns = now_ns + int(delay_s * NS_PER_SECOND)
                _log.warning("stage.died", stage=child.name, code=code, restart_in_s=round(delay_s, 1))
            elif now_ns >= child.restart_at_ns:
                child.restarts += 1
                self._spawn(child, subprocess.DEVNULL)

    def stop(self, *names: str) -> list[str]:
        """End these stages, or all, together and in order.

        Returns
        -------
        Names of those that had to be killed; a stage that was killed has committed nothing it had not stored.
        """
        chosen = [child for child in self._children if not names or child.name in names]
        for child in chosen:
            assert child.process is not None
            if child.process.poll() is None:
                child.process.send_signal(signal.SIGTERM)
        killed = []
        deadline_ns = self._clock.monotonic_ns() + int(_STOP_TIMEOUT_S * NS_PER_SECOND)
        for child in chosen:
            assert child.process is not None
            left_s = max(0.1, (deadline_ns - self._clock.monotonic_ns()) / NS_PER_SECOND)
            try:
                child.process.wait(left_s)
            except subprocess.TimeoutExpired:
                child.process.kill()
                child.process.wait()
                killed.append(child.name)
            self._close(child)
            self._children.remove(child)
        return killed

    def _spawn(self, child: Child, stdout: int) -> None:
        self._close(child)
        command = [sys.executable, "-m", "ticktrail", *child.arguments, "--stop-with-parent"]
        with child.log_path.open("ab") as log:
            child.process = subprocess.Popen(  # noqa: S603  (our own program)
                command, stdin=subprocess.PIPE, stdout=stdout, stderr=log, start_new_session=True
            )
        child.started_ns = self._clock.monotonic_ns()
        child.restart_at_ns = None

    def _close(self, child: Child) -> None:
        if child.process is None:
            return
        pipes: tuple[IO[bytes] | None, ...] = (child.process.stdin, child.process.stdout)
        for pipe in pipes:
            if pipe is not None:
                pipe.close()

    def _failure(self, child: Child, code: int) -> StageFailed:
        lines = child.log_path.read_text(encoding="utf-8", errors="replace").splitlines()[-_LOG_LINES:]
        return StageFailed(
            what=f"The stage {child.name} ended with code {code}",
            why="\n  " + "\n  ".join(lines) if lines else "it said nothing",
            next_step=f"\nIts whole log is {child.log_path}",
        )
