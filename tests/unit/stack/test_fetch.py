"""The jar cache: whole or absent, verified, patient, and clear about what went wrong."""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from ticktrail.errors import DiskFull, JarCorrupt, StackError, Unreachable
from ticktrail.stack.fetch import ATTEMPTS, JarStore
from ticktrail.stack.lock import Jar, JarLock, ServerJars
from ticktrail.stack.ports import choose_port
from ticktrail.stack.progress import silent
from ticktrail.testing import FakeClock

CONTENTS = {f"g:a{number}:1": bytes([number]) * (100 + number) for number in range(5)}


def make_lock(contents: dict[str, bytes]) -> JarLock:
    jars = tuple(
        Jar(coordinate=name, sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content))
        for name, content in contents.items()
    )
    empty = ServerJars(version="1", roots=(), jars=())
    return JarLock(kafka=ServerJars(version="1", roots=(), jars=jars), cassandra=empty)


class Source:
    """Stands for Maven Central.

    Attributes
    ----------
    asked
        The coordinates asked for, in order.
    fail
        Called with each coordinate and how often it was asked for before; may raise, or give other bytes.
    """

    def __init__(self, fail: Callable[[str, int], bytes | None] = lambda _name, _before: None) -> None:
        self.asked: list[str] = []
        self.fail = fail

    def __call__(self, jar: Jar, directory: Path, received: Callable[[int], None]) -> Path:
        before = self.asked.count(jar.coordinate)
        self.asked.append(jar.coordinate)
        path = directory / jar.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"a part")  # as jgo leaves it when a download breaks
        content = self.fail(jar.coordinate, before) or CONTENTS[jar.coordinate]
        path.write_bytes(content)
        received(len(content))
        return path


def make_store(cache_dir: Path, source: Source, clock: FakeClock | None = None) -> JarStore:
    return JarStore(make_lock(CONTENTS), cache_dir, clock or FakeClock(), source)


def unreachable() -> Unreachable:
    return Unreachable(what="Cannot fetch", service="Maven Central", address="somewhere")


def files(cache_dir: Path) -> dict[str, bytes]:
    return {path.stem: path.read_bytes() for path in cache_dir.rglob("*.jar")}


def test_fetches_all_once(tmp_path: Path) -> None:
    source = Source()
    assert make_store(tmp_path, source).ensure(silent) == sum(map(len, CONTENTS.values()))
    assert sorted(files(tmp_path).values()) == sorted(CONTENTS.values())
    assert make_store(tmp_path, source).ensure(silent) == 0
    assert len(source.asked) == len(CONTENTS)
    assert not list(tmp_path.glob("staging-*"))


def test_tells_jars_and_bytes(tmp_path: Path) -> None:
    told: list[tuple[str, float]] = []
    make_store(tmp_path, Source()).ensure(lambda stage, fraction: told.append((stage, fraction)))
    stage, fraction = told[-1]
    assert stage.startswith("Fetching server jars: 5 of 5")
    assert fraction == 1.0
    assert [fraction for _, fraction in told] == sorted(fraction for _, fraction in told)


@pytest.mark.parametrize("damage", [b"short", b"\xff" * 100])
def test_jar_that_changed_on_disk_is_fetched_again(tmp_path: Path, damage: bytes) -> None:
    source = Source()
    make_store(tmp_path, source).ensure(silent)
    victim = next(tmp_path.rglob("a0-1.jar"))
    victim.write_bytes(damage)
    assert make_store(tmp_path, source).ensure(silent) == len(CONTENTS["g:a0:1"])
    assert source.asked.count("g:a0:1") == 2
    assert victim.read_bytes() == CONTENTS["g:a0:1"]


def test_rehash_finds_damage_that_left_size_and_time_alone(tmp_path: Path) -> None:
    import os

    source = Source()
    make_store(tmp_path, source).ensure(silent)
    victim = next(tmp_path.rglob("a0-1.jar"))
    stat = victim.stat()
    victim.write_bytes(b"\xff" * stat.st_size)
    os.utime(victim, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert make_store(tmp_path, source).ensure(silent) == 0
    assert make_store(tmp_path, source).ensure(silent, rehash=True) == stat.st_size


def test_wrong_bytes_once_are_fetched_again(tmp_path: Path) -> None:
    source = Source(lambda name, before: b"wrong" if name == "g:a1:1" and before == 0 else None)
    make_store(tmp_path, source).ensure(silent)
    assert files(tmp_path)["a1-1"] == CONTENTS["g:a1:1"]


def test_wrong_bytes_twice_are_an_error_and_not_kept(tmp_path: Path) -> None:
    source = Source(lambda name, _before: b"wrong" if name == "g:a1:1" else None)
    with pytest.raises(JarCorrupt) as caught:
        make_store(tmp_path, source).ensure(silent)
    assert "g:a1:1" in caught.value.what
    assert "a1-1" not in files(tmp_path)
    assert not list(tmp_path.glob("staging-*"))


def test_network_that_comes_back_is_waited_for(tmp_path: Path) -> None:
    def fail(name: str, before: int) -> None:
        if name == "g:a2:1" and before < ATTEMPTS - 1:
            raise unreachable()

    clock = FakeClock()
    make_store(tmp_path, Source(fail), clock).ensure(silent)
    assert files(tmp_path)["a2-1"] == CONTENTS["g:a2:1"]
    assert len(clock.slept_s) == ATTEMPTS - 1
    for attempt, delay_s in enumerate(clock.slept_s):
        assert (
            0.25 * 2**attempt <= delay_s <= 0.75 * 2**attempt
        )  # half a second, doubled, half as much jitter


def test_machine_without_a_network_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every request goes to a proxy that nobody runs, so jgo itself meets the refusal."""
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{choose_port(0, set())}")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(Unreachable) as caught:
        JarStore(make_lock(CONTENTS), tmp_path, FakeClock()).ensure(silent)
    assert caught.value.service == "Maven Central"
    assert "network" in caught.value.next_step


def test_network_that_stays_away_is_an_error(tmp_path: Path) -> None:
    def fail(_name: str, _before: int) -> None:
        raise unreachable()

    with pytest.raises(Unreachable):
        make_store(tmp_path, Source(fail)).ensure(silent)
    assert files(tmp_path) == {}


def test_what_was_fetched_before_a_failure_is_kept(tmp_path: Path) -> None:
    def fail(name: str, _before: int) -> None:
        if name == "g:a0:1":  # the smallest, so fetched last
            raise unreachable()

    with pytest.raises(Unreachable):
        make_store(tmp_path, Source(fail)).ensure(silent)
    again = Source()
    make_store(tmp_path, again).ensure(silent)
    assert "g:a0:1" in again.asked
    assert len(files(tmp_path)) == len(CONTENTS)


def test_full_disk_is_named(tmp_path: Path) -> None:
    def fail(_name: str, _before: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(DiskFull) as caught:
        make_store(tmp_path, Source(fail)).ensure(silent)
    assert caught.value.path == str(tmp_path)


def test_cache_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StackError, match="Cannot write the jar cache"):
        make_store(tmp_path / "file" / "cache", Source()).ensure(silent)


def test_damaged_stamps_only_cost_a_hash(tmp_path: Path) -> None:
    source = Source()
    make_store(tmp_path, source).ensure(silent)
    (tmp_path / "jars" / "verified.json").write_text("{not json")
    assert make_store(tmp_path, source).ensure(silent) == 0


def test_class_path_keeps_the_order_of_the_lock(tmp_path: Path) -> None:
    lock = make_lock(CONTENTS)
    paths = make_store(tmp_path, Source()).server(lock.kafka).class_path.split(":")
    assert [Path(path).stem for path in paths] == [f"a{number}-1" for number in range(5)]
