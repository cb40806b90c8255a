"""Which archive of classes is used, and how one is made."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from ticktrail.stack.archive import KEPT, ClassArchives
from ticktrail.stack.cassandra import plan_cassandra
from ticktrail.stack.java import Java
from ticktrail.stack.server import Layout, Ports, ServerClassPath

PLAN_JARS = ServerClassPath(version="1", class_path="a.jar")


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    made = Layout(tmp_path / "data é x")
    made.conf_dir.mkdir(parents=True)
    made.logs_dir.mkdir()
    return made


def make_archives(tmp_path: Path, digest: str = "one", program: str = "java") -> ClassArchives:
    return ClassArchives(
        tmp_path / "cache", Java(path=program, version="17", build="b1", source="PATH"), digest
    )


def test_without_an_archive_the_classes_are_noted(tmp_path: Path, layout: Layout) -> None:
    archives = make_archives(tmp_path)
    plan = plan_cassandra(layout, PLAN_JARS, Ports(), 2800)
    assert archives.flags(plan, layout) == (
        f"-XX:DumpLoadedClassList={layout.conf_dir / 'cassandra.classes'}",
    )
    assert archives.noted == [plan]


def test_archive_that_is_there_is_used(tmp_path: Path, layout: Layout) -> None:
    archives = make_archives(tmp_path)
    path = archives.path("cassandra")
    path.parent.mkdir(parents=True)
    path.touch()
    flags = archives.flags(plan_cassandra(layout, PLAN_JARS, Ports(), 2800), layout)
    assert flags == (f"-XX:SharedArchiveFile={path}", "-Xshare:auto")
    assert archives.noted == []


def test_another_set_of_jars_has_another_archive(tmp_path: Path) -> None:
    assert make_archives(tmp_path, "one").path("kafka") != make_archives(tmp_path, "two").path("kafka")


def test_archive_takes_its_place_when_it_is_whole(tmp_path: Path, layout: Layout) -> None:
    """A stand-in for Java writes the file that it is asked for."""
    program = tmp_path / "ja va"
    program.write_text(
        "#!/bin/sh\n"
        """grep -o 'SharedArchiveFile=[^"]*' "${1#@}" | cut -d= -f2 |"""
        """ while read -r f; do echo made > "$f"; done\n"""
    )
    program.chmod(0o755)
    archives = make_archives(tmp_path, program=str(program))
    plan = plan_cassandra(layout, PLAN_JARS, Ports(), 2800)
    archives.flags(plan, layout)
    layout.class_list_path("cassandra").write_bytes(b"java/lang/Object\nhalf/a/li")
    assert archives.make_noted(layout) == ""
    deadline = time.monotonic() + 10
    while not archives.path("cassandra").exists():
        assert time.monotonic() < deadline, layout.output_path("archive").read_text()
        threading.Event().wait(0.01)
    assert archives.path("cassandra").read_text() == "made\n"
    assert (layout.conf_dir / "cassandra-archive.classes").read_bytes() == b"java/lang/Object\n"


def test_cache_that_cannot_be_written_is_told_and_harmless(tmp_path: Path, layout: Layout) -> None:
    (tmp_path / "cache").write_text("a file in the way")
    archives = make_archives(tmp_path)
    archives.flags(plan_cassandra(layout, PLAN_JARS, Ports(), 2800), layout)
    assert "Later starts will not be faster" in archives.make_noted(layout)


def test_archives_of_old_builds_are_removed(tmp_path: Path, layout: Layout) -> None:
    for number in range(KEPT + 3):
        archives = make_archives(tmp_path, f"build {number}")
        archives.flags(plan_cassandra(layout, PLAN_JARS, Ports(), 2800), layout)
        layout.class_list_path("cassandra").write_bytes(b"java/lang/Object\n")
        archives.make_noted(layout)
        assert len(list((tmp_path / "cache" / "archives").iterdir())) <= KEPT
        assert archives.path("cassandra").parent.exists()
