"""Every error that ticktrail raises on purpose.

::

    TicktrailError                     what / why / next step
    ├── Transient                      may pass by itself: retry with capped, jittered backoff
    │   ├── Unreachable                a server does not answer, or the connection to it broke
    │   ├── Overloaded                 a server answered that it cannot take the load now
    │   ├── StoreRestarted             a server that had acknowledged writes was started again
    │   └── FeedDisconnected           a venue closed or dropped the feed's connection
    └── Terminal                       will fail again the same way: stop, tell the user
        ├── UsageError                 the command or call is wrong (exit code 2)
        │   └── NotFound               there is nothing of the name or id that was given
        ├── ConfigError                a setting is unknown, missing or of the wrong type
        ├── WireError                  bytes from a venue or file that are no valid message
        ├── CodecError                 bytes from Kafka that are no valid ticktrail value
        ├── FeedRejected               a venue refused the key, the plan or the subscription
        ├── FileFormatError            a file is not what its name or header promises
        ├── SchemaMismatch             the store's tables or the topics are not the ones this version writes
        ├── WriteRejected              the store refused these very rows; others may be fine
        ├── RecordsLost                Kafka deleted records before they were read
        ├── QueryError                 a question that cannot be answered
        │   └── UnboundedQuery         a question that would read the whole store
        ├── StageFailed                a stage's process ended and cannot be started again
        └── StackError                 the embedded Kafka or Cassandra cannot run
            ├── JavaMissing            no Java 17 to run them with
            ├── PortTaken              another program listens where a server should
            ├── DiskFull               too little room for the servers' files
            └── JarCorrupt             a server jar is not the one that the lock names

A runner's policy needs one question only, ``isinstance(error, Transient)``; everything else that
a user needs is in the fields. Messages say what happened, why, and what to do next.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

__all__ = [
    "CodecError",
    "ConfigError",
    "DiskFull",
    "FeedDisconnected",
    "FeedRejected",
    "FileFormatError",
    "JarCorrupt",
    "JavaMissing",
    "NotFound",
    "Overloaded",
    "PortTaken",
    "QueryError",
    "RecordsLost",
    "SchemaMismatch",
    "StackError",
    "StageFailed",
    "StoreRestarted",
    "Terminal",
    "TicktrailError",
    "Transient",
    "UnboundedQuery",
    "Unreachable",
    "UsageError",
    "WireError",
    "WriteRejected",
]


@dataclass(kw_only=True, eq=False)
class TicktrailError(Exception):
    """Base of the tree; raise one of the leaves.

    Parameters
    ----------
    what
        What could not be done, without a full stop: ``"Cannot reach Cassandra at db1:9042"``.
    why
        The cause as far as it is known: ``"connection refused"``.
    next_step
        A sentence the user can act on: ``"Start it with `ticktrail up`."``
    """

    what: str
    why: str = ""
    next_step: str = ""

    def __str__(self) -> str:
        sentence = f"{self.what}: {self.why}" if self.why else self.what
        return f"{sentence}. {self.next_step}" if self.next_step else f"{sentence}."

    def __reduce__(self) -> tuple[Callable[..., TicktrailError], tuple[type[TicktrailError], dict[str, Any]]]:
        # BaseException would call the class with positional arguments only, so that an error raised in
        # a worker process could not be read by the one that waits for it.
        return _rebuild, (type(self), {field.name: getattr(self, field.name) for field in fields(self)})


class Transient(TicktrailError):
    """May pass by itself; retry with capped, jittered backoff."""


class Terminal(TicktrailError):
    """Will fail again the same way; stop and tell the user."""


@dataclass(kw_only=True, eq=False)
class Unreachable(Transient):
    """A server does not answer, or the connection to it broke.

    Parameters
    ----------
    service
        ``"Kafka"``, ``"Cassandra"`` or a feed's name.
    address
        ``host:port`` or URL, without credentials.
    """

    service: str
    address: str


@dataclass(kw_only=True, eq=False)
class Overloaded(Transient):
    """A server answered that it cannot take the load now."""

    service: str


@dataclass(kw_only=True, eq=False)
class StoreRestarted(Transient):
    """A server that had acknowledged writes was started again, and may have forgotten the last of them."""

    service: str


@dataclass(kw_only=True, eq=False)
class FeedDisconnected(Transient):
    """A venue closed or dropped the feed's connection.

    Parameters
    ----------
    feed
        The feed's name.
    code
        The vendor's error code or the websocket close code, where one was given.
    """

    feed: str
    code: int | None = None


@dataclass(kw_only=True, eq=False)
class UsageError(Terminal):
    """The command or call is wrong; the command line exits with code 2."""


class NotFound(UsageError):
    """There is nothing of the name or id that was given."""


@dataclass(kw_only=True, eq=False)
class ConfigError(Terminal):
    """A setting is unknown, missing or of the wrong type.

    Parameters
    ----------
    key
        The dotted name of the setting: ``store.hosts``.
    source
        Where the value stood: a file's path, an environment variable, a flag.
    """

    key: str
    source: str


@dataclass(kw_only=True, eq=False)
class WireError(Terminal):
    """Bytes from a venue or file that are no valid message.

    Parameters
    ----------
    feed
        The feed whose parser refused them.
    reason
        A short label from a bounded set, fit to count by: ``"not_json"``, ``"bad_price"``.
    """

    feed: str
    reason: str


@dataclass(kw_only=True, eq=False)
class CodecError(Terminal):
    """Bytes from Kafka that are no valid ticktrail value.

    Parameters
    ----------
    reason
        A short label from a bounded set, fit to count by: ``"truncated"``, ``"unknown_kind"``.
    """

    reason: str


@dataclass(kw_only=True, eq=False)
class FeedRejected(Terminal):
    """A venue refused the key, the plan or the subscription.

    Parameters
    ----------
    feed
        The feed's name.
    code
        The vendor's own error code, where it gives one.
    """

    feed: str
    code: int | None = None


@dataclass(kw_only=True, eq=False)
class FileFormatError(Terminal):
    """A file is not what its name or header promises.

    Parameters
    ----------
    path
        The file.
    line
        1-based number of the first offending line; 0 where the file as a whole is meant.
    """

    path: str
    line: int = 0


@dataclass(kw_only=True, eq=False)
class SchemaMismatch(Terminal):
    """The store's tables or the topics are not the ones that this version writes."""


@dataclass(kw_only=True, eq=False)
class WriteRejected(Terminal):
    """The store refused these very rows; others may be fine."""


@dataclass(kw_only=True, eq=False)
class RecordsLost(Terminal):
    """Kafka deleted records before they were read, or came back without records that were read.

    Parameters
    ----------
    topic, partition
        Where.
    first
        The offset that was to be read next.
    end
        Where the log goes on; below `first` where the log was truncated.
    """

    topic: str
    partition: int
    first: int
    end: int


@dataclass(kw_only=True, eq=False)
class QueryError(Terminal):
    """A question that cannot be answered."""


@dataclass(kw_only=True, eq=False)
class UnboundedQuery(QueryError):
    """A question that would read the whole store."""


@dataclass(kw_only=True, eq=False)
class StageFailed(Terminal):
    """A stage's process ended and cannot be started again.

    Parameters
    ----------
    stage
        Its name.
    code
        Its exit code; negative where a signal ended it.
    """

    stage: str
    code: int


@dataclass(kw_only=True, eq=False)
class StackError(Terminal):
    """The embedded Kafka or Cassandra cannot run."""


@dataclass(kw_only=True, eq=False)
class JavaMissing(StackError):
    """No Java 17 to run the servers with."""


@dataclass(kw_only=True, eq=False)
class PortTaken(StackError):
    """Another program listens where a server should."""

    port: int


@dataclass(kw_only=True, eq=False)
class DiskFull(StackError):
    """Too little room for the servers' files.

    Parameters
    ----------
    path
        The directory that has too little room.
    free_bytes
        What it has.
    """

    path: str
    free_bytes: int


@dataclass(kw_only=True, eq=False)
class JarCorrupt(StackError):
    """A server jar is not the one that the lock names."""

    path: str


def _rebuild(error: type[TicktrailError], values: dict[str, Any]) -> TicktrailError:
    return error(**values)
