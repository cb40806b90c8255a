"""Which directory a capture may spool to."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from ticktrail.capture.spool import Spool, segment_paths
from ticktrail.capture.spool_place import SpoolPlace
from ticktrail.testing import FakeClock


def spooled(directory: Path, *payloads: bytes) -> None:
    spool = Spool(directory, 10_000, FakeClock(), segment_bytes=30)
    for number, payload in enumerate(payloads):
        spool.append(payload, number)
    spool.end_segment()


def read(directory: Path) -> list[bytes]:
    spool = Spool(directory, 10_000, FakeClock())
    found = []
    while (frame := spool.read()) is not None:
        found.append(frame.payload)
    return found


def test_every_capture_has_its_own(tmp_path: Path) -> None:
    first, second = SpoolPlace(tmp_path, "sim"), SpoolPlace(tmp_path, "sim")
    other = SpoolPlace(tmp_path, "a/b*")
    assert [place.directory.name for place in (first, second, other)] == ["sim", "sim+2", "a%2Fb%2A"]
    first.close()
    assert SpoolPlace(tmp_path, "sim").directory == first.directory


def test_what_the_dead_left_is_taken_over_in_order(tmp_path: Path) -> None:
    first, second = SpoolPlace(tmp_path, "sim"), SpoolPlace(tmp_path, "sim")
    spooled(first.directory, b"a", b"b")
    spooled(second.directory, b"c", b"d", b"e")
    first.close()
    second.close()
    heir = SpoolPlace(tmp_path, "sim")
    assert read(heir.directory) == [b"a", b"b", b"c", b"d", b"e"]
    assert segment_paths(second.directory) == []


def test_a_feed_whose_name_begins_likewise_keeps_its_own(tmp_path: Path) -> None:
    other = SpoolPlace(tmp_path, "sim-2")
    spooled(other.directory, b"a")
    other.close()
    heirs = [SpoolPlace(tmp_path, "sim") for _ in range(2)]
    assert [read(heir.directory) for heir in heirs] == [[], []]
    assert read(SpoolPlace(tmp_path, "sim-2").directory) == [b"a"]


def test_what_a_living_capture_has_stays_there(tmp_path: Path) -> None:
    first = SpoolPlace(tmp_path, "sim")
    spooled(first.directory, b"a")
    second = SpoolPlace(tmp_path, "sim")
    assert read(second.directory) == []
    assert read(first.directory) == [b"a"]


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    program = f"""
import os, signal
from pathlib import Path
from ticktrail.capture.spool_place import SpoolPlace
place = SpoolPlace(Path({str(tmp_path)!r}), "sim")
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == -9
    assert SpoolPlace(tmp_path, "sim").directory.name == "sim"
