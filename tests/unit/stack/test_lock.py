"""The committed lock: complete, pinned, without addresses."""

from __future__ import annotations

import re
from collections import Counter
from importlib import resources

from ticktrail.stack.lock import LOCK_FILE, Jar, load_lock
from ticktrail.stack.relock import ROOTS, render

TEXT = resources.files("ticktrail.stack").joinpath(LOCK_FILE).read_text("utf-8")


def test_every_jar_is_pinned_by_version_size_and_hash() -> None:
    for jar in load_lock().jars:
        assert re.fullmatch(r"[\w.-]+:[\w.-]+:[\w.-]+(:[\w.-]+)?", jar.coordinate)
        assert re.fullmatch(r"[0-9a-f]{64}", jar.sha256)
        assert jar.size_bytes > 0
        assert "SNAPSHOT" not in jar.coordinate


def test_no_address_is_written() -> None:
    assert "://" not in TEXT


def test_versions_are_those_of_the_design() -> None:
    lock = load_lock()
    assert (lock.kafka.version, lock.cassandra.version) == ("4.3.1", "5.0.9")


def test_roots_are_those_that_relock_resolves() -> None:
    lock = load_lock()
    assert {"kafka": lock.kafka.roots, "cassandra": lock.cassandra.roots} == ROOTS


def test_no_artifact_stands_twice_on_a_class_path() -> None:
    for server in (load_lock().kafka, load_lock().cassandra):
        without_version = Counter(
            (*jar.coordinate.split(":")[:2], *jar.coordinate.split(":")[3:]) for jar in server.jars
        )
        assert max(without_version.values()) == 1


def test_file_is_what_relock_would_write() -> None:
    assert render(load_lock()) == TEXT


def test_paths_are_those_of_a_maven_repository() -> None:
    plain = Jar(coordinate="org.slf4j:slf4j-api:1.7.36", sha256="", size_bytes=1)
    native = Jar(coordinate="io.netty:netty-x:4.1.Final:linux-x86_64", sha256="", size_bytes=1)
    assert plain.path == "org/slf4j/slf4j-api/1.7.36/slf4j-api-1.7.36.jar"
    assert native.path == "io/netty/netty-x/4.1.Final/netty-x-4.1.Final-linux-x86_64.jar"
