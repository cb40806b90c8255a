"""Stages as child processes: started, watched, started again, stopped.

A child is a `ticktrail` command of its own with a session of its own, so that Ctrl-C reaches only the parent,
which then stops the children in the right order. A child ends by itself when its parent is gone: it holds the
read end of a pipe that only the parent keeps open.
"""

from __future__ import annotations

import ast
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from ticktrail.cli.options import EXIT_TERMINAL, EXIT_TRANSIENT, EXIT_USAGE
from ticktrail.cli.text import printable
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
_LOG_LINES = 8
# Beyond it a log begins anew at the stage's next start; the one before it is kept.
_LOG_BYTES_MAX = 8 * 1024 * 1024
# Of a log's new lines, at one look.
_NEWS_BYTES_MAX = 64 * 1024
_NEWS_CHARACTERS_MAX = 300
# The same trouble of a stage is told again after this long.
_TELL_AGAIN_NS = 10 * NS_PER_SECOND

# What stages warn of, in both forms of their logs; what libraries say stands only in the log.
_WARNING = re.compile(
    r"\[(?:warning|error) *\] ([a-z_]+\.[a-z_]+)|\"event\": \"([a-z_]+\.[a-z_]+)\".*\"(?:warning|error)\""
)
# Quoted as Python or JSON does; both are literals of Python.
_CAUSE = re.compile(
    r"""(?:error|detail)(?:=|": )(?P<text>(?P<quote>['"])(?:\\.|(?!(?P=quote)).)*(?P=quote))"""
)


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
    is_vital
        Whether the others end where this one cannot run; else it is given up, and that is told.
    """

    name: str
    arguments: Sequence[str]
    log_path: Path
    is_finite: bool = False
    is_vital: bool = True
    process: subprocess.Popen[bytes] | None = None
    started_ns: int = 0
    restart_at_ns: int | None = None
    restarts: int = 0
    backoff: Backoff = field(default_factory=lambda: Backoff(*_BACKOFF_S))
    log_begin: int = 0
    log_position: int = 0
    told_ns: dict[str, int] = field(default_factory=dict)

    @property
    def has_ended(self) -> bool:
        """Whether it ended by itself, with success."""
        return self.process is not None and self.process.poll() == 0 and self.is_finite


class Children:
    """The child processes of one supervisor. Used by one thread.

    Attributes
    ----------
    stages
        Process → stage, also of those that have ended.
    restarts
        Stage → how often it was started again, also of those that are stopped.
    failures
        Those that a stop was the end of: what they say is lost, is lost.
    is_patient
        Whether a stage that a server's absence ended is started again, however long that lasts. At the
        beginning it is better to say so and stop.
    """

    def __init__(self, log_dir: Path, clock: Clock) -> None:
        self._log_dir = log_dir
        self._clock = clock
        self._children: list[Child] = []
        self.stages: dict[int, str] = {}
        self.restarts: Counter[str] = Counter()
        self.failures: list[StageFailed] = []
        self._given_up: list[StageFailed] = []
        self.is_patient = False
        log_dir.mkdir(parents=True, exist_ok=True)

    def __iter__(self) -> Iterator[Child]:
        return iter(self._children)

    def start(
        self,
        name: str,
        *arguments: str,
        is_finite: bool = False,
        is_vital: bool = True,
        capture_output: bool = False,
    ) -> Child:
        """Start a stage: ``ticktrail ARGUMENTS --stop-with-parent``, its words in ``NAME.log``.

        Parameters
        ----------
        capture_output
            Keep its standard output readable, as ``child.process.stdout``; the first line says where an
            exchange listens.
        """
        log_path = self._log_dir / f"{name}.log"
        child = Child(name, arguments, log_path, is_finite=is_finite, is_vital=is_vital)
        self._children.append(child)
        self._spawn(child, subprocess.PIPE if capture_output else subprocess.DEVNULL)
        return child

    def is_running(self, name: str) -> bool:
        """Tell whether a stage's process lives."""
        processes = (child.process for child in self._children if child.name == name)
        return any(process is not None and process.poll() is None for process in processes)

    def watch(self) -> None:
        """Start again what has died; call now and then.

        Raises
        ------
        StageFailed
            A vital stage cannot run: it was called wrongly, what it met cannot pass, or it fails again and
            again.
        """
        now_ns = self._clock.monotonic_ns()
        for child in list(self._children):
            assert child.process is not None
            code = child.process.poll()
            if code is None or child.has_ended:
                continue
            if child.restart_at_ns is None:
                is_steady = now_ns - child.started_ns > _STEADY_NS
                if is_steady:
                    child.backoff.reset()
                if self._is_hopeless(child, code, is_steady=is_steady):
                    if child.is_vital:
                        raise self.failure(child)
                    self._give_up(child)
                    continue
                delay_s = child.backoff.next_s()
                child.restart_at_ns = now_ns + int(delay_s * NS_PER_SECOND)
                words = self._last_words(child)
                _log.warning(
                    "stage.died",
                    stage=child.name,
                    code=code,
                    restart_in_s=round(delay_s, 1),
                    **({"error": words[0]} if words[:1] and words[0].startswith("Error: ") else {}),
                )
            elif now_ns >= child.restart_at_ns:
                child.restarts += 1
                self.restarts[child.name] += 1
                self._spawn(child, subprocess.DEVNULL)

    def news(self) -> list[str]:
        """Tell what the stages have warned of since the last call, one line each, the same not too often."""
        lines = [f"{printable(str(failure))} The others go on." for failure in self._given_up]
        self._given_up.clear()
        now_ns = self._clock.monotonic_ns()
        for child in self._children:
            for line in self._new_lines(child):
                if (found := _WARNING.search(line)) is None:
                    continue
                event = found[1] or found[2]
                if now_ns - child.told_ns.get(event, -_TELL_AGAIN_NS) < _TELL_AGAIN_NS:
                    continue
                child.told_ns[event] = now_ns
                cause = _CAUSE.search(line)
                lines.append(f"{child.name}: {_short(ast.literal_eval(cause['text'])) if cause else event}")
        return lines

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
                if child.process.wait(left_s) > 0:
                    self.failures.append(self.failure(child))
            except subprocess.TimeoutExpired:
                child.process.kill()
                child.process.wait()
                killed.append(child.name)
            self._close(child)
            self._children.remove(child)
        return killed

    def failure(self, child: Child) -> StageFailed:
        """Say why a stage that has ended did, in its own last words."""
        assert child.process is not None
        code = child.process.wait()
        words = self._last_words(child)
        return StageFailed(
            what=f"The stage {child.name} ended with code {code}",
            why="\n  " + "\n  ".join(words).rstrip(".") if words else "it said nothing",
            next_step=f"\nIts whole log is {child.log_path}",
            stage=child.name,
            code=code,
        )

    def _give_up(self, child: Child) -> None:
        failure = self.failure(child)
        self.failures.append(failure)
        self._given_up.append(failure)
        self._close(child)
        self._children.remove(child)

    def _is_hopeless(self, child: Child, code: int, *, is_steady: bool) -> bool:
        if child.is_finite or code == EXIT_USAGE:
            return True
        if code == EXIT_TRANSIENT:
            return not self.is_patient
        # After a steady run the world may have changed in a way that a fresh start mends.
        return child.backoff.tries >= _FAILURES_MAX or (code == EXIT_TERMINAL and not is_steady)

    def _spawn(self, child: Child, stdout: int) -> None:
        self._close(child)
        if child.log_path.exists() and child.log_path.stat().st_size > _LOG_BYTES_MAX:
            child.log_path.replace(child.log_path.with_suffix(".log.1"))
        child.log_begin = child.log_path.stat().st_size if child.log_path.exists() else 0
        child.log_position = child.log_begin
        command = [sys.executable, "-m", "ticktrail", *child.arguments, "--stop-with-parent"]
        with child.log_path.open("ab") as log:
            child.process = subprocess.Popen(  # noqa: S603  (our own program)
                command, stdin=subprocess.PIPE, stdout=stdout, stderr=log, start_new_session=True
            )
        self.stages[child.process.pid] = child.name
        child.started_ns = self._clock.monotonic_ns()
        child.restart_at_ns = None

    def _close(self, child: Child) -> None:
        if child.process is None:
            return
        pipes: tuple[IO[bytes] | None, ...] = (child.process.stdin, child.process.stdout)
        for pipe in pipes:
            if pipe is not None:
                pipe.close()

    def _new_lines(self, child: Child) -> list[str]:
        with child.log_path.open("rb") as log:
            log.seek(child.log_position)
            found = log.read(_NEWS_BYTES_MAX)
            is_flood = len(found) == _NEWS_BYTES_MAX
            # What is more than one look takes stands in the log for those who read it.
            child.log_position = log.seek(0, 2) if is_flood else child.log_position + found.rfind(b"\n") + 1
        return found[: found.rfind(b"\n") + 1].decode("utf-8", "replace").splitlines()

    def _last_words(self, child: Child) -> list[str]:
        """Give the error that ended this process of the stage, else the last lines of its log."""
        with child.log_path.open("rb") as log:
            log.seek(max(child.log_begin, log.seek(0, 2) - _NEWS_BYTES_MAX))
            lines = log.read().decode("utf-8", "replace").splitlines()
        errors = [number for number, line in enumerate(lines) if line.startswith("Error: ")]
        return lines[errors[-1] :] if errors else lines[-_LOG_LINES:]


def _short(text: str) -> str:
    """Bring a cause into one line that is not too long."""
    line = printable(" ".join(text.split()))
    return line if len(line) <= _NEWS_CHARACTERS_MAX else f"{line[:_NEWS_CHARACTERS_MAX]}…"
