"""What is known of a stack: where its servers are, and how they fare."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import msgspec

from ticktrail.stack.process import is_same, live_process
from ticktrail.stack.server import Layout, Ports, write_file

__all__ = ["DownReport", "Endpoints", "ServerEndpoint", "ServerStatus", "StackStatus"]

LOOPBACK = "127.0.0.1"


class ServerEndpoint(msgspec.Struct, frozen=True, kw_only=True):
    """One running server.

    Parameters
    ----------
    name
        ``"kafka"`` or ``"cassandra"``.
    version
        The server's own.
    port
        Where its clients connect, on 127.0.0.1.
    pid
        Its process.
    process_started_s
        When the process began, seconds since 1970 as the system tells; with the id it names one process.
    answered_s
        Seconds from the start of the process until it answered.
    """

    name: str
    version: str
    port: int
    pid: int
    process_started_s: float
    answered_s: float = 0.0

    @property
    def address(self) -> str:
        """``host:port``."""
        return f"{LOOPBACK}:{self.port}"

    def is_alive(self, layout: Layout) -> bool:
        """Return whether this very process still runs."""
        process = live_process(self.pid)
        return process is not None and is_same(
            process, layout.arguments_path(self.name), self.process_started_s
        )


class Endpoints(msgspec.Struct, frozen=True, kw_only=True):
    """Where the servers are; kept in ``endpoints.json`` while they run.

    Parameters
    ----------
    kafka, cassandra
        The servers.
    data_dir
        Their files.
    java
        The Java they run on, with its version and where it was found.
    already_running
        An earlier `up` had started them.
    bound
        They end with the process that started them.
    warm
        Both started from class archives.
    ready_s
        Seconds from the call of `up` until both answered, fetching included.
    fetched_bytes
        Jars that this start had to fetch.
    notices
        Sentences that the user should read.
    """

    kafka: ServerEndpoint
    cassandra: ServerEndpoint
    data_dir: str
    java: str
    already_running: bool = False
    bound: bool = False
    warm: bool = False
    ready_s: float = 0.0
    fetched_bytes: int = 0
    notices: tuple[str, ...] = ()

    @property
    def kafka_bootstrap(self) -> str:
        """Kafka's bootstrap servers."""
        return self.kafka.address

    @property
    def cassandra_host(self) -> str:
        """Cassandra's contact point."""
        return LOOPBACK

    @property
    def cassandra_port(self) -> int:
        """Cassandra's CQL port."""
        return self.cassandra.port


class ServerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How one server fares.

    Parameters
    ----------
    name, version, address, log
        What and where; `address` is empty when it is down.
    state
        ``"healthy"``, ``"unresponsive"`` (runs, does not answer; also while it starts) or ``"down"``.
    pid
        0 when it is down.
    rss_bytes
        Resident memory.
    uptime_s
        Since the process began.
    """

    name: str
    version: str
    state: str
    log: str
    address: str = ""
    pid: int = 0
    rss_bytes: int = 0
    uptime_s: float = 0.0


class StackStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How the stack fares.

    Parameters
    ----------
    state
        ``"up"`` when both servers are healthy, ``"down"`` when neither runs, else ``"degraded"``.
    servers
        Kafka, then Cassandra.
    data_dir
        Their files.
    free_bytes
        Room left on that disk.
    """

    state: str
    servers: tuple[ServerStatus, ...]
    data_dir: str
    free_bytes: int


class DownReport(msgspec.Struct, frozen=True, kw_only=True):
    """What `down` did.

    Parameters
    ----------
    stopped
        Names of the servers that ran.
    seconds
        How long it took.
    notices
        Sentences that the user should read.
    """

    stopped: tuple[str, ...]
    seconds: float
    notices: tuple[str, ...] = ()


def read_endpoints(layout: Layout) -> Endpoints | None:
    """Read the record of running servers; None when there is none, or none that can be read."""
    with suppress(FileNotFoundError, msgspec.DecodeError):
        return msgspec.json.decode(layout.endpoints_path.read_bytes(), type=Endpoints)
    return None


def write_endpoints(layout: Layout, endpoints: Endpoints) -> None:
    """Keep the record of running servers."""
    write_file(layout.endpoints_path, msgspec.json.format(msgspec.json.encode(endpoints)))


def read_ports(layout: Layout) -> Ports:
    """Read the ports of the last start; zeros when there are none."""
    with suppress(FileNotFoundError, msgspec.DecodeError):
        return msgspec.json.decode(layout.ports_path.read_bytes(), type=Ports)
    return Ports()


def write_ports(layout: Layout, ports: Ports) -> None:
    """Keep the ports for the next start."""
    write_file(layout.ports_path, msgspec.json.encode(ports))


def resolve_data_dir(data_dir: str) -> Path:
    """Return the directory as the system names it, links followed."""
    return Path(data_dir).expanduser().resolve()
