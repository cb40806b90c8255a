"""Start servers and wait until they answer; say why when one does not."""

from __future__ import annotations

import shutil
import subprocess
import threading
from pathlib import Path

import msgspec

from ticktrail.clock import NS_PER_SECOND, Clock
from ticktrail.errors import DiskFull, StackError
from ticktrail.stack.archive import ClassArchives
from ticktrail.stack.java import Java
from ticktrail.stack.kafka import format_flags, needs_format
from ticktrail.stack.logs import last_lines, telling_lines
from ticktrail.stack.ports import is_free, port_taken
from ticktrail.stack.process import live_process, spawn
from ticktrail.stack.progress import Progress
from ticktrail.stack.server import MIB, Layout, ServerPlan, write_arguments
from ticktrail.stack.state import ServerEndpoint
from ticktrail.stack.watcher import owned_processes, stop_processes

__all__ = ["MIN_FREE_BYTES", "ServerStarter", "check_free_space", "disk_full"]

MIN_FREE_BYTES = 1024 * MIB
_FULL_BYTES = 16 * MIB
"""A commit log of 256 MiB, Kafka's and Cassandra's first files, and room to compact."""
POLL_S = 0.02
FORMAT_TIMEOUT_S = 60.0
STOP_AFTER_FAILURE_S = 5.0
LOG_LINES_READ = 400
DISK_FULL_WORDS = ("No space left on device", "Insufficient disk space", "Disk quota exceeded")
"""The kernel's words, and Cassandra's, which looks before it writes."""


class _Started(msgspec.Struct, kw_only=True):
    """A server on its way."""

    plan: ServerPlan
    pid: int
    spawned_ns: int
    log_start_byte: int
    answered_s: float = 0.0


class ServerStarter:
    """Starts the servers of one `up`.

    Parameters
    ----------
    layout
        Where their files are.
    java
        What runs them.
    clock
        For the deadline.
    timeout_s
        How long a server may take until it answers.
    """

    def __init__(self, layout: Layout, java: Java, clock: Clock, timeout_s: float) -> None:
        self._layout = layout
        self._java = java
        self._clock = clock
        self._timeout_s = timeout_s

    def start(
        self, plans: list[ServerPlan], archives: ClassArchives, progress: Progress
    ) -> list[ServerEndpoint]:
        """Start servers in parallel and wait until all answer.

        Parameters
        ----------
        plans
            Cassandra first: it takes longest.
        archives
            Of their classes.
        progress
            Told of the waiting.

        Returns
        -------
        list of ServerEndpoint
            Where each is.

        Raises
        ------
        DiskFull, PortTaken, StackError
            When one does not come up; all of them are stopped then.
        """
        started: list[_Started] = []
        try:
            for plan in plans:
                started.append(self._launch(plan, archives.flags(plan, self._layout)))  # noqa: PERF401 - the list is needed on a failure
            self._await(started, progress)
        except BaseException:
            # An interrupt, too, must leave nothing behind.
            for plan in plans:
                stop_processes(
                    owned_processes(self._layout.data_dir, self._layout.arguments_path(plan.name).name),
                    STOP_AFTER_FAILURE_S,
                )
            raise
        return [_endpoint(server) for server in started]

    def _launch(self, plan: ServerPlan, flags: tuple[str, ...]) -> _Started:
        layout = self._layout
        temporary = layout.temporary_dir(plan.name)
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        begun_ns = self._clock.monotonic_ns()
        if plan.name == "kafka" and needs_format(layout):
            self._format_kafka(plan)
        arguments = (
            *plan.flags,
            *flags,
            "-XX:+ExitOnOutOfMemoryError",
            f"-XX:ErrorFile={layout.logs_dir / f'{plan.name}-crash.log'}",
            f"-Djava.io.tmpdir={temporary}",
            "-Dfile.encoding=UTF-8",
            "-cp",
            plan.class_path,
            plan.main,
            *plan.arguments,
        )
        write_arguments(layout.arguments_path(plan.name), arguments)
        log_path = layout.log_path(plan.name)
        return _Started(
            plan=plan,
            log_start_byte=log_path.stat().st_size if log_path.exists() else 0,
            spawned_ns=begun_ns,
            pid=spawn(
                [self._java.path, f"@{layout.arguments_path(plan.name)}"], layout.output_path(plan.name)
            ),
        )

    def _format_kafka(self, plan: ServerPlan) -> None:
        arguments_path = self._layout.arguments_path("kafka-format")
        write_arguments(arguments_path, format_flags(self._layout, plan.class_path))
        output_path = self._layout.output_path("kafka-format")
        with output_path.open("w") as output:
            ran = subprocess.run(  # noqa: S603 - the Java that was found, with arguments of ours
                [self._java.path, f"@{arguments_path}"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=FORMAT_TIMEOUT_S,
                check=False,
            )
        if ran.returncode != 0:
            raise self._death(plan, last_lines(output_path, LOG_LINES_READ), "could not format its storage")

    def _await(self, started: list[_Started], progress: Progress) -> None:
        never = threading.Event()
        begun_ns = self._clock.monotonic_ns()
        waiting = list(started)
        while waiting:
            elapsed_s = (self._clock.monotonic_ns() - begun_ns) / NS_PER_SECOND
            names = " and ".join(server.plan.title for server in waiting)
            progress(f"Starting {names}: {elapsed_s:.0f} s", min(1.0, elapsed_s / self._timeout_s))
            for server in list(waiting):
                if server.plan.answers(server.plan.port):
                    server.answered_s = (self._clock.monotonic_ns() - server.spawned_ns) / NS_PER_SECOND
                    waiting.remove(server)
                elif live_process(server.pid) is None:
                    raise self._death(server.plan, self._words(server), "ended while it started")
                elif elapsed_s > self._timeout_s:
                    raise StackError(
                        what=f"{server.plan.title} did not answer within {self._timeout_s:.0f} s",
                        why="; ".join(telling_lines(self._words(server))) or "it logged nothing",
                        next_step=f"See {self._layout.log_path(server.plan.name)}; if this machine is slow "
                        "or busy, raise stack.start_timeout_s.",
                    )
            self._clock.wait(never, POLL_S)

    def _words(self, server: _Started) -> list[str]:
        """Return what a server said since this start."""
        name = server.plan.name
        logged = last_lines(self._layout.log_path(name), LOG_LINES_READ, server.log_start_byte)
        return [*logged, *last_lines(self._layout.output_path(name), LOG_LINES_READ)]

    def _death(self, plan: ServerPlan, words: list[str], happening: str) -> StackError:
        """Make the error that names the cause of a server's end."""
        text = "\n".join(words)
        is_full = shutil.disk_usage(self._layout.data_dir).free < _FULL_BYTES
        # Cassandra's commit log is mapped: a write that finds no room is a fault of memory to it.
        if is_full or any(word in text for word in DISK_FULL_WORDS):
            return disk_full(self._layout.data_dir, f"{plan.title} {happening}: no space left on the disk")
        if ("already in use" in text or "BindException" in text) and not is_free(plan.port):
            return port_taken(plan.port, plan.title, plan.port_setting)
        return StackError(
            what=f"{plan.title} {happening}",
            why=" | ".join(telling_lines(words)) or "it logged nothing",
            next_step=f"See {self._layout.log_path(plan.name)} and {self._layout.output_path(plan.name)}.",
        )


def _endpoint(server: _Started) -> ServerEndpoint:
    process = live_process(server.pid)
    return ServerEndpoint(
        name=server.plan.name,
        version=server.plan.version,
        port=server.plan.port,
        pid=server.pid,
        process_started_s=process.create_time() if process is not None else 0.0,
        answered_s=server.answered_s,
    )


def check_free_space(data_dir: Path) -> None:
    """Refuse to start on a disk that is all but full.

    Raises
    ------
    DiskFull
        When less than `MIN_FREE_BYTES` are free.
    """
    free_bytes = shutil.disk_usage(data_dir).free
    if free_bytes < MIN_FREE_BYTES:
        raise disk_full(
            data_dir, f"{free_bytes // MIB} MiB are free, and they need at least {MIN_FREE_BYTES // MIB} MiB"
        )


def disk_full(data_dir: Path, why: str) -> DiskFull:
    """Say that the servers have too little room."""
    return DiskFull(
        what=f"Too little room for Kafka and Cassandra in {data_dir}",
        why=why,
        next_step="Free some space, or set stack.data_dir (TICKTRAIL_STACK__DATA_DIR) to another disk.",
        path=str(data_dir),
        free_bytes=shutil.disk_usage(data_dir).free if data_dir.exists() else 0,
    )
