"""The committed list of the server jars.

`jars.lock` names every jar by its Maven coordinates, size and SHA-256. It holds no address: jgo knows where
Maven Central is. ``python -m ticktrail.stack.relock`` makes it anew.
"""

from __future__ import annotations

import hashlib
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec

__all__ = ["LOCK_FILE", "Jar", "JarLock", "ServerJars", "load_lock", "maven_context"]

LOCK_FILE = "jars.lock"
FETCH_TIMEOUT_S = 30


class Jar(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One file of Maven Central.

    Parameters
    ----------
    coordinate
        ``group:artifact:version`` or ``group:artifact:version:classifier``.
    sha256
        Of the file, hexadecimal.
    size_bytes
        Of the file.
    """

    coordinate: str
    sha256: str
    size_bytes: int

    @property
    def path(self) -> str:
        """Where it lies inside a Maven repository, relative."""
        group, artifact, version, *classifier = self.coordinate.split(":")
        name = "-".join([artifact, version, *classifier])
        return f"{group.replace('.', '/')}/{artifact}/{version}/{name}.jar"


class ServerJars(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The class path of one server, in order.

    Parameters
    ----------
    version
        The server's own.
    roots
        What was asked for; all else follows from it.
    jars
        Every file, roots first.
    """

    version: str
    roots: tuple[str, ...]
    jars: tuple[Jar, ...]


class JarLock(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Both servers' jars."""

    kafka: ServerJars
    cassandra: ServerJars

    @property
    def jars(self) -> tuple[Jar, ...]:
        """Every file once, by path."""
        return tuple({jar.path: jar for jar in (*self.kafka.jars, *self.cassandra.jars)}.values())

    @property
    def digest(self) -> str:
        """Sixteen hexadecimal digits that change with any jar."""
        return hashlib.sha256(msgspec.json.encode(self)).hexdigest()[:16]


def load_lock() -> JarLock:
    """Read the lock that is shipped with the package."""
    text = resources.files("ticktrail.stack").joinpath(LOCK_FILE).read_text("utf-8")
    return msgspec.convert(tomllib.loads(text), JarLock)


def maven_context(repository: Path) -> Any:
    """Make jgo's view of Maven Central, with `repository` as the directory it downloads into.

    Its pure-Python resolver is used: no `mvn` and no Java are needed.
    """
    from jgo.maven import MavenContext  # noqa: PLC0415 - 0.2 s that only a fetch should cost

    return MavenContext(repo_cache=repository, timeout=FETCH_TIMEOUT_S)
