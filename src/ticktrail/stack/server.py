"""What both servers have in common: where their files are, and the description that starts one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from ticktrail.errors import ConfigError
from ticktrail.stack.watcher import ENDPOINTS_FILE

__all__ = [
    "LOG_FILES",
    "LOG_FILE_MIB",
    "MIB",
    "Layout",
    "Ports",
    "ServerClassPath",
    "ServerPlan",
    "heap_mib",
    "java_properties",
    "write_arguments",
    "write_file",
]

MIB = 1 << 20
LOG_FILE_MIB = 10
LOG_FILES = 4
"""The current file and three older ones: 40 MiB a server, days of a quiet laptop and hours of a noisy one."""


class Layout(msgspec.Struct, frozen=True):
    """The files below a data directory.

    Parameters
    ----------
    data_dir
        Resolved: processes are recognised by paths below it.
    """

    data_dir: Path

    @property
    def conf_dir(self) -> Path:
        """Generated configurations, written anew at every start."""
        return self.data_dir / "conf"

    @property
    def logs_dir(self) -> Path:
        """What the servers log."""
        return self.data_dir / "logs"

    @property
    def kafka_dir(self) -> Path:
        """Kafka's log segments."""
        return self.data_dir / "kafka"

    @property
    def cassandra_dir(self) -> Path:
        """Cassandra's tables, commit log and hints."""
        return self.data_dir / "cassandra"

    @property
    def endpoints_path(self) -> Path:
        """Where the running servers are; absent when they are down."""
        return self.data_dir / ENDPOINTS_FILE

    @property
    def ports_path(self) -> Path:
        """The ports of the last start, to be taken again."""
        return self.data_dir / "ports.json"

    @property
    def lock_path(self) -> Path:
        """Held while one process changes the stack."""
        return self.data_dir / "stack.lock"

    def temporary_dir(self, server: str) -> Path:
        """Where a server unpacks its native libraries; emptied at every start."""
        return self.data_dir / "tmp" / server

    def arguments_path(self, server: str) -> Path:
        """Java's argument file of a server; also the mark by which its process is known."""
        return self.conf_dir / f"{server}.args"

    def log_path(self, server: str) -> Path:
        """Return the server's own log."""
        return self.logs_dir / f"{server}.log"

    def output_path(self, server: str) -> Path:
        """Return what the Java process prints: the last words of one that cannot log any more."""
        return self.logs_dir / f"{server}.out"

    def class_list_path(self, server: str) -> Path:
        """Return the list of classes that a first start loaded."""
        return self.conf_dir / f"{server}.classes"


class Ports(msgspec.Struct, frozen=True, kw_only=True):
    """Every loopback port that the stack uses.

    Parameters
    ----------
    kafka, kafka_controller
        Of the broker's clients, and of its own controller.
    cassandra, cassandra_storage
        Of CQL, and of the (idle) traffic between nodes.
    """

    kafka: int = 0
    kafka_controller: int = 0
    cassandra: int = 0
    cassandra_storage: int = 0


class ServerClassPath(msgspec.Struct, frozen=True, kw_only=True):
    """The jars of a server where they are on this machine.

    Parameters
    ----------
    version
        The server's own.
    class_path
        As Java's ``-cp`` wants it.
    """

    version: str
    class_path: str


class ServerPlan(msgspec.Struct, frozen=True, kw_only=True):
    """How to start one server.

    Parameters
    ----------
    name
        ``"kafka"`` or ``"cassandra"``.
    title
        The same for people.
    version
        The server's own.
    port
        Of its clients.
    port_setting
        The setting that gives the port.
    main
        Java's main class.
    class_path
        As ``-cp`` wants it.
    flags
        Options of the Java process.
    arguments
        Of the main class.
    answers
        Probes a port.
    """

    name: str
    title: str
    version: str
    port: int
    port_setting: str
    main: str
    class_path: str
    flags: tuple[str, ...]
    arguments: tuple[str, ...]
    answers: Callable[[int], bool]


def heap_mib(memory_mib: int, beside_heap_mib: int, least_mib: int, setting: str) -> int:
    """Return the heap that leaves room for all else within a server's resident memory.

    Raises
    ------
    ConfigError
        When the server could not run with what is left.
    """
    if memory_mib < beside_heap_mib + least_mib:
        raise ConfigError(
            what=f"{setting} = {memory_mib} is too small",
            why=f"the server needs at least {beside_heap_mib + least_mib} MiB",
            next_step="Raise it, or leave it out for the default.",
            key=setting,
            source="settings",
        )
    return memory_mib - beside_heap_mib


def write_file(path: Path, content: str | bytes) -> None:
    """Write a file whole or not at all."""
    temporary = path.with_name(path.name + ".new")
    temporary.write_bytes(content.encode() if isinstance(content, str) else content)
    temporary.replace(path)


def write_arguments(path: Path, arguments: Iterable[str]) -> None:
    """Write one of Java's argument files (``java @path``), which leaves a process a short, telling name."""
    quoted = (argument.replace("\\", "\\\\").replace('"', '\\"') for argument in arguments)
    write_file(path, "".join(f'"{argument}"\n' for argument in quoted))


def java_properties(text: str) -> str:
    """Escape what is not ASCII: Java reads a properties file as Latin-1, whatever the locale."""
    units = text.encode("utf-16-be")
    codes = (int.from_bytes(units[at : at + 2]) for at in range(0, len(units), 2))
    return "".join(chr(code) if code < 0x80 else f"\\u{code:04x}" for code in codes)
