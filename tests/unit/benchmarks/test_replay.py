"""Finding and counting recordings."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from benchmarks.replay import Recording, connected_ns, find_recordings
from ticktrail.errors import FileFormatError


def _zip(path: Path, text: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{path.stem}_tick.csv", text)
    return path


def test_lines_are_counted_per_file(tmp_path: Path) -> None:
    trades = _zip(tmp_path / "ibm" / "20131007_trade.zip", "1,2\n3,4\n5,6\n")
    quotes = _zip(
        tmp_path / "ibm" / "20131007_quote.zip", "1,2\n\n3,4"
    )  # a blank line, and no end of the last
    assert find_recordings(tmp_path) == [
        Recording(quotes, "quotes", "IBM", "2013-10-07", lines=2, text_bytes=8),
        Recording(trades, "trades", "IBM", "2013-10-07", lines=3, text_bytes=12),
    ]


def test_absent_recordings_are_told(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError) as caught:
        find_recordings(tmp_path)
    assert caught.value.path == str(tmp_path)
    assert "--data" in caught.value.next_step


def test_the_begin_is_read_from_captures_log() -> None:
    log = (
        '{"event":"kafka.reachable","timestamp":"2026-11-23T09:00:00.000001Z"}\n'
        '{"event":"feed.connected","timestamp":"2026-11-23T09:00:01.500250Z","feed":"lean"}\n'
        '{"event":"capture.finished","timestamp":"2026-11-23T09:00:09.000000Z"}\n'
    )
    assert connected_ns(log) == 1_795_424_401_500_250_000


def test_a_capture_that_never_read_is_told() -> None:
    with pytest.raises(ValueError, match="never"):
        connected_ns('{"event":"x","timestamp":"2026-11-23T09:00:00.000001Z"}\n')
