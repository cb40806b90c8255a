"""The spool when the disk does not do as it should; see also tests/property/test_spool.py."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from ticktrail.capture.spool import Spool, SpoolFull, segment_paths
from ticktrail.testing import FakeClock


def test_a_disk_that_fills_up_in_the_middle_of_a_frame_loses_only_that_frame(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 10_000, FakeClock())
    spool.append(b"first", 1)
    real = os.write

    def write(file: int, data: Any) -> int:
        if len(data) < 15:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(file, data[:12])

    with mock.patch("os.write", write), pytest.raises(SpoolFull, match="No space left"):
        spool.append(b"second", 2)
    spool.append(b"third", 3)
    for each in (spool, Spool(tmp_path, 10_000, FakeClock())):
        found = []
        while (frame := each.read()) is not None:
            found.append(frame.payload)
        assert found == [b"first", b"third"]
        assert not each.damages
        assert each.torn_bytes == 0
    assert sum(path.stat().st_size for path in segment_paths(tmp_path)) == spool.size_bytes


def test_a_disk_that_takes_nothing_is_a_full_one(tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    folder.mkdir()
    spool = Spool(folder, 10_000, FakeClock())
    shutil.rmtree(folder)
    with pytest.raises(SpoolFull):
        spool.append(b"x", 1)
    assert spool.is_read


def test_a_segment_that_vanished_is_damage(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 10_000, FakeClock(), segment_bytes=10)
    spool.append(b"a", 5)
    spool.append(b"b", 7)
    segment_paths(tmp_path)[0].unlink()
    frame = spool.read()
    assert frame is not None
    assert frame.payload == b"b"
    (damage,) = spool.damages
    assert (damage.from_ns, damage.to_ns) == (5, 7)
    assert spool.lost_frames == 1
