"""The embedded Kafka and Cassandra as one thing: up, down, status, logs.

Guarantees. One data directory has at most one pair of servers, however many processes call `up` at once. The
servers outlive the process that started them and end by `down`; a *bound* pair ends with that process, even
one that is killed. Data and ports stay from one start to the next. Nothing listens beyond loopback.
"""

from __future__ import annotations

import errno
import fcntl
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import psutil

from ticktrail.clock import NS_PER_SECOND, Clock
from ticktrail.config.settings import StackSettings
from ticktrail.errors import StackError, UsageError
from ticktrail.stack.archive import ClassArchives
from ticktrail.stack.cassandra import plan_cassandra, write_cassandra_config
from ticktrail.stack.fetch import JarStore
from ticktrail.stack.health import cassandra_answers, kafka_answers
from ticktrail.stack.java import find_java
from ticktrail.stack.kafka import plan_kafka, write_kafka_config
from ticktrail.stack.lock import JarLock, load_lock
from ticktrail.stack.logs import follow, last_lines
from ticktrail.stack.ports import choose_port, demand_port, is_free
from ticktrail.stack.process import live_process, spawn_watcher, watchers
from ticktrail.stack.progress import Progress, silent
from ticktrail.stack.server import Layout, Ports, ServerPlan
from ticktrail.stack.start import ServerStarter, check_free_space, disk_full
from ticktrail.stack.state import (
    DownReport,
    Endpoints,
    ServerEndpoint,
    ServerStatus,
    StackStatus,
    read_endpoints,
    read_ports,
    resolve_data_dir,
    write_endpoints,
    write_ports,
)
from ticktrail.stack.watcher import STOP_DEADLINE_S, owned_processes, stop_processes

__all__ = ["SERVERS", "Stack"]

SERVERS = ("kafka", "cassandra")
PROBES = {"kafka": kafka_answers, "cassandra": cassandra_answers}
LOCK_POLL_S = 0.05
PORT_WAIT_NS = NS_PER_SECOND


class Stack:
    """The servers of one data directory.

    Parameters
    ----------
    settings
        Directories, ports, memory, Java.
    clock
        For deadlines.
    lock
        The server jars; the committed ones unless a test gives others.
    """

    def __init__(self, settings: StackSettings, clock: Clock, lock: JarLock | None = None) -> None:
        self._settings = settings
        self._clock = clock
        self._lock = lock if lock is not None else load_lock()
        self._cache_dir = Path(settings.cache_dir).expanduser().resolve()
        self._layout = Layout(resolve_data_dir(settings.data_dir))

    def up(self, progress: Progress = silent, *, bound: bool = False) -> Endpoints:
        """Start what does not run yet and wait until both servers answer.

        Parameters
        ----------
        progress
            Told of each step.
        bound
            Let the servers end with this process, however it ends. Servers that already run stay unbound.

        Raises
        ------
        StackError
            One of its leaves where the cause is known: `JavaMissing`, `PortTaken`, `DiskFull`, `JarCorrupt`.
        Unreachable
            When jars are missing and Maven Central cannot be reached.
        """
        begun_ns = self._clock.monotonic_ns()
        with self._disk_errors_told(), self._exclusive(progress):
            running = self._living()
            if len(running) == len(SERVERS):
                known = read_endpoints(self._layout)
                assert known is not None  # `_living` read it
                notices = tuple(self._other_ports(known))
                return msgspec.structs.replace(known, already_running=True, notices=notices)
            return self._start_missing(running, progress, begun_ns, bound=bound)

    def down(self, progress: Progress = silent) -> DownReport:
        """Stop both servers; their data stays.

        Parameters
        ----------
        progress
            Told of the waiting.
        """
        begun_ns = self._clock.monotonic_ns()
        if not self._layout.data_dir.exists():
            return DownReport(stopped=(), seconds=0.0)
        with self._disk_errors_told(), self._exclusive(progress):
            running = tuple(name for name in SERVERS if self._processes(name))
            notices = self._stop_all(progress)
        return DownReport(
            stopped=running,
            seconds=(self._clock.monotonic_ns() - begun_ns) / NS_PER_SECOND,
            notices=tuple(notices),
        )

    @contextmanager
    def bound(self, progress: Progress = silent) -> Iterator[Endpoints]:
        """Run the servers for the length of a `with` block; those that already ran are left running."""
        endpoints = self.up(progress, bound=True)
        try:
            yield endpoints
        finally:
            if not endpoints.already_running:
                self.down(progress)

    def find(self) -> Endpoints | None:
        """Return the running servers, without starting any; None unless both processes live."""
        if len(self._living()) < len(SERVERS):
            return None
        known = read_endpoints(self._layout)
        return msgspec.structs.replace(known, already_running=True) if known is not None else None

    def status(self) -> StackStatus:
        """Ask both servers how they are."""
        running = self._living()
        servers = tuple(self._server_status(name, running.get(name)) for name in SERVERS)
        states = {server.state for server in servers}
        directory = self._layout.data_dir
        while not directory.exists():
            directory = directory.parent
        return StackStatus(
            state="up" if states == {"healthy"} else "down" if states == {"down"} else "degraded",
            servers=servers,
            data_dir=str(self._layout.data_dir),
            free_bytes=shutil.disk_usage(directory).free,
        )

    def log_path(self, server: str) -> Path:
        """Tell where a server logs, whether it has begun to or not."""
        return self._layout.log_path(server)

    def logs(self, server: str, lines: int = 50, *, follow_on: bool = False) -> Iterator[str]:
        """Yield the last lines of a server's log.

        Parameters
        ----------
        server
            ``"kafka"`` or ``"cassandra"``.
        lines
            At most so many of those that are there.
        follow_on
            Go on with new lines as they come, without end.

        Raises
        ------
        UsageError
            When there is no such server.
        """
        if server not in SERVERS:
            raise UsageError(
                what=f"There is no server {server!r}",
                why=f"the stack runs {' and '.join(SERVERS)}",
                next_step=f"Try `ticktrail logs {SERVERS[0]}`.",
            )
        path = self.log_path(server)
        yield from last_lines(path, lines)
        if follow_on:
            yield from follow(path, self._clock)

    def _start_missing(
        self, running: dict[str, ServerEndpoint], progress: Progress, begun_ns: int, *, bound: bool
    ) -> Endpoints:
        known = read_endpoints(self._layout)
        some_ran = bool(running)
        notices = self._clear_remains(running)
        check_free_space(self._layout.data_dir)
        java = find_java(self._settings.java_home)
        notices += [f"{sentence}; {java.path} is used." for sentence in java.passed_over]
        jars = JarStore(self._lock, self._cache_dir, self._clock)
        fetched_bytes = jars.ensure(progress)
        plans = [plan for plan in self._plan(jars, self._choose_ports(running)) if plan.name not in running]
        archives = ClassArchives(self._cache_dir, java, self._lock.digest)
        if bound and not some_ran:
            spawn_watcher(self._layout.data_dir, self._layout.output_path("watcher"))
        starter = ServerStarter(self._layout, java, self._clock, self._settings.start_timeout_s)
        try:
            started = starter.start(plans, archives, progress)
        except BaseException:
            if not some_ran:
                stop_processes(watchers(self._layout.data_dir), STOP_DEADLINE_S)
            raise
        for server in started:
            running[server.name] = server
        endpoints = Endpoints(
            kafka=running["kafka"],
            cassandra=running["cassandra"],
            data_dir=str(self._layout.data_dir),
            java=f"{java.path} ({java.version}, {java.source})",
            already_running=some_ran,
            bound=known.bound if some_ran and known is not None else bound,
            warm=not archives.noted,
            ready_s=(self._clock.monotonic_ns() - begun_ns) / NS_PER_SECOND,
            fetched_bytes=fetched_bytes,
            notices=tuple(notices),
        )
        write_endpoints(self._layout, endpoints)
        hindrance = archives.make_noted(self._layout)
        return msgspec.structs.replace(endpoints, notices=(*notices, *([hindrance] if hindrance else ())))

    def _plan(self, jars: JarStore, ports: Ports) -> tuple[ServerPlan, ServerPlan]:
        """Write the configurations and say how each server starts; Cassandra, the slower one, first."""
        layout, settings = self._layout, self._settings
        write_kafka_config(layout, ports)
        write_cassandra_config(layout, ports, settings.cassandra_memory_mib)
        return (
            plan_cassandra(layout, jars.server(self._lock.cassandra), ports, settings.cassandra_memory_mib),
            plan_kafka(layout, jars.server(self._lock.kafka), ports, settings.kafka_memory_mib),
        )

    def _choose_ports(self, running: dict[str, ServerEndpoint]) -> Ports:
        """Take the ports that are given, else those of the last start, else free ones."""
        remembered = read_ports(self._layout)
        given = {"kafka": self._settings.kafka_port, "cassandra": self._settings.cassandra_port}
        titles = {"kafka": "Kafka", "cassandra": "Cassandra"}
        chosen: dict[str, int] = {}
        for field in Ports.__struct_fields__:
            last: int = getattr(remembered, field)
            server = field.split("_")[0]
            if server in running:
                chosen[field] = last
            elif given.get(field):
                chosen[field] = demand_port(given[field], titles[server], f"stack.{field}_port")
            else:
                taken = {port for port in (*given.values(), *chosen.values()) if port}
                self._wait_for_port(last)
                chosen[field] = choose_port(last, taken)
        ports = Ports(**chosen)
        write_ports(self._layout, ports)
        return ports

    def _other_ports(self, known: Endpoints) -> Iterator[str]:
        """Name the servers that run elsewhere than the settings say."""
        given = {"kafka": self._settings.kafka_port, "cassandra": self._settings.cassandra_port}
        for server in (known.kafka, known.cassandra):
            if given[server.name] not in {0, server.port}:
                yield (
                    f"{server.name} keeps port {server.port}, as it runs already; "
                    f"for {given[server.name]} stop it first with `ticktrail down`."
                )

    def _wait_for_port(self, port: int) -> None:
        """Let the port of a server that was killed come free: its threads may still be ending."""
        deadline_ns = self._clock.monotonic_ns() + PORT_WAIT_NS
        while port and not is_free(port) and self._clock.monotonic_ns() < deadline_ns:
            self._clock.wait(threading.Event(), LOCK_POLL_S)

    def _living(self) -> dict[str, ServerEndpoint]:
        """Return the recorded servers whose very processes still run."""
        known = read_endpoints(self._layout)
        recorded = () if known is None else (known.kafka, known.cassandra)
        return {server.name: server for server in recorded if server.is_alive(self._layout)}

    def _clear_remains(self, running: dict[str, ServerEndpoint]) -> list[str]:
        """Drop the records of servers that are gone, and stop processes that no record names."""
        known = read_endpoints(self._layout)
        notices = [
            f"{server.name} (process {server.pid}) was recorded as running but is gone; "
            "its record was removed and it is started again."
            for server in (() if known is None else (known.kafka, known.cassandra))
            if server.name not in running
        ]
        pids = {server.pid for server in running.values()}
        names = (*SERVERS, "kafka-format")
        strays = [process for name in names for process in self._processes(name) if process.pid not in pids]
        if strays:
            stop_processes(strays, STOP_DEADLINE_S)
            told = ", ".join(str(process.pid) for process in strays)
            notices.append(f"An earlier start left processes behind ({told}); they were stopped.")
        if not running:
            stop_processes(watchers(self._layout.data_dir), STOP_DEADLINE_S)
            self._layout.endpoints_path.unlink(missing_ok=True)
        return notices

    def _stop_all(self, progress: Progress) -> list[str]:
        progress("Stopping Kafka and Cassandra", 0.0)
        killed = stop_processes(owned_processes(self._layout.data_dir), STOP_DEADLINE_S)
        stop_processes(watchers(self._layout.data_dir), STOP_DEADLINE_S)
        self._layout.endpoints_path.unlink(missing_ok=True)
        progress("Stopping Kafka and Cassandra", 1.0)
        return [
            f"Process {process.pid} did not end within {STOP_DEADLINE_S:.0f} s and was killed; "
            "the next start recovers from its logs and may take longer."
            for process in killed
        ]

    def _processes(self, name: str) -> list[psutil.Process]:
        return owned_processes(self._layout.data_dir, self._layout.arguments_path(name).name)

    def _server_status(self, name: str, server: ServerEndpoint | None) -> ServerStatus:
        version: str = getattr(self._lock, name).version
        log = str(self._layout.log_path(name))
        process = live_process(server.pid) if server is not None else None
        if server is None or process is None:
            return ServerStatus(name=name, version=version, state="down", log=log)
        healthy = PROBES[name](server.port)
        return ServerStatus(
            name=name,
            version=server.version,
            state="healthy" if healthy else "unresponsive",
            log=log,
            address=server.address,
            pid=server.pid,
            rss_bytes=process.memory_info().rss,
            uptime_s=max(0.0, self._clock.now_ns() / NS_PER_SECOND - server.process_started_s),
        )

    @contextmanager
    def _disk_errors_told(self) -> Iterator[None]:
        """Turn what the disk refuses into an error that says what to do."""
        directory = self._layout.data_dir
        try:
            yield
        except OSError as error:
            if error.errno in {errno.ENOSPC, errno.EDQUOT}:
                raise disk_full(directory, "no space left on the disk") from error
            if error.errno in {errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EEXIST}:
                raise StackError(
                    what=f"Cannot write the data directory {directory}",
                    why=error.strerror or str(error),
                    next_step="Make it writable, or set stack.data_dir (TICKTRAIL_STACK__DATA_DIR) "
                    "to another directory.",
                ) from error
            raise

    @contextmanager
    def _exclusive(self, progress: Progress) -> Iterator[None]:
        """Let one process at a time change the stack; the kernel frees the lock of one that dies."""
        layout = self._layout
        for directory in (layout.data_dir, layout.conf_dir, layout.logs_dir, layout.cassandra_dir):
            directory.mkdir(parents=True, exist_ok=True)
        never = threading.Event()
        deadline_ns = self._clock.monotonic_ns() + int(self._settings.start_timeout_s * 2 * NS_PER_SECOND)
        with layout.lock_path.open("w") as handle:
            while True:
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    if self._clock.monotonic_ns() > deadline_ns:
                        raise StackError(
                            what=f"Another process is still starting or stopping {layout.data_dir}",
                            why=f"it holds {layout.lock_path}",
                            next_step="See `ticktrail status`; end that process if it hangs.",
                        ) from None
                    progress("Waiting for another start or stop to end", 0.0)
                    self._clock.wait(never, LOCK_POLL_S)
                    continue
                break
            yield
