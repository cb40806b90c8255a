"""Make `jars.lock` anew: a maintainer's command, ``python -m ticktrail.stack.relock``.

It resolves the roots below with jgo, in pure Python, and downloads every jar to hash it (about a minute).
"""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

from ticktrail.stack.lock import LOCK_FILE, Jar, JarLock, ServerJars, maven_context

__all__ = ["ROOTS", "main", "render", "resolve"]

ROOTS = {
    # kafka_2.13 is the whole broker; kafka-tools (46 more jars, for Kafka Connect and the shell tools) is not
    # needed to run it. log4j-slf4j-impl joins Kafka's slf4j-api 1.7 to the log4j-core it brings along.
    "kafka": ("org.apache.kafka:kafka_2.13:4.3.1", "org.apache.logging.log4j:log4j-slf4j-impl:2.25.4"),
    "cassandra": ("org.apache.cassandra:cassandra-all:5.0.9",),
}
OTHER_PLATFORMS = ("osx", "windows", "aarch_64", "riscv64")
"""Classifiers with these words are netty's native parts for other machines; it runs without its own, too."""


def resolve(roots: tuple[str, ...], repository: Path) -> ServerJars:
    """Resolve and download everything that `roots` need at run time on Linux x86-64."""
    context = maven_context(repository)
    # "!": without it jgo lets the parent of log4j, for one, decide which kafka-clients is taken.
    asked = [context.create_dependency(f"{root}!") for root in roots]
    inputs, transitive = context.resolver.resolve(asked)
    jars = []
    for dependency in (*inputs, *transitive):
        artifact = dependency.artifact
        if any(word in artifact.classifier for word in OTHER_PLATFORMS):
            continue
        content = artifact.resolve().read_bytes()
        parts = [artifact.groupId, artifact.artifactId, artifact.version, artifact.classifier]
        jars.append(
            Jar(
                coordinate=":".join(part for part in parts if part),
                sha256=hashlib.sha256(content).hexdigest(),
                size_bytes=len(content),
            )
        )
    return ServerJars(version=roots[0].rsplit(":", 1)[1], roots=roots, jars=tuple(jars))


def render(lock: JarLock) -> str:
    """Write the lock as TOML, one jar a line, so that a change reads well in a diff."""
    lines = ["# Made by `python -m ticktrail.stack.relock`; do not edit."]
    for name, server in (("kafka", lock.kafka), ("cassandra", lock.cassandra)):
        roots = ", ".join(f'"{root}"' for root in server.roots)
        lines += ["", f"[{name}]", f'version = "{server.version}"', f"roots = [{roots}]", "jars = ["]
        lines += [_line(jar) for jar in server.jars]
        lines += ["]"]
    return "\n".join(lines) + "\n"


def _line(jar: Jar) -> str:
    return f'  {{ coordinate = "{jar.coordinate}", size_bytes = {jar.size_bytes}, sha256 = "{jar.sha256}" }},'


def main() -> None:
    """Resolve the roots anew and rewrite the lock beside this module."""
    with tempfile.TemporaryDirectory() as repository:
        servers = {name: resolve(roots, Path(repository)) for name, roots in ROOTS.items()}
    lock = JarLock(**servers)
    Path(__file__).with_name(LOCK_FILE).write_text(render(lock), "utf-8")


if __name__ == "__main__":
    main()
