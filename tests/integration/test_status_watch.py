"""`ticktrail status --watch` as a user runs it: piped, as JSON, on a terminal; it needs no servers."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from ticktrail.telemetry import Snapshot
from ticktrail.telemetry.snapshot import Sample

WATCH = [sys.executable, "-m", "ticktrail", "status", "--watch", "--every", "0.2"]
DEADLINE_S = 30.0
S = 10**9


def write_stage(directory: Path, name: str, kind: str, ts_ns: int, records: int, **gauges: float) -> None:
    """Write what a stage, alive as this process is, would have written."""
    counter = {"capture": "sent_records_total", "persist": "stored_records_total"}[kind]
    word = Snapshot(
        name=name,
        kind=kind,
        pid=os.getpid(),
        started_ns=1,
        ts_ns=ts_ns,
        counters=[Sample(f"ticktrail_{kind}_{counter}", {}, records)],
        gauges=[Sample(f"ticktrail_{kind}_{gauge}", {}, value) for gauge, value in gauges.items()],
    )
    path = directory / f"{name}.json"
    path.with_suffix(".partial").write_bytes(msgspec.json.encode(word))
    path.with_suffix(".partial").replace(path)


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    directory = tmp_path / "run"
    directory.mkdir()
    return directory


@pytest.fixture
def now_ns(run_dir: Path) -> int:
    """Write the first words of three stages; give their time."""
    now_ns = time.time_ns()
    write_all(run_dir, now_ns, 1_000, 400)
    return now_ns


def write_all(directory: Path, ts_ns: int, sent: int, stored: int) -> None:
    write_stage(directory, "capture", "capture", ts_ns, sent, queued_frames=3, spool_bytes=2_048)
    write_stage(directory, "persist", "persist", ts_ns, stored, lag_records=200, lag_seconds=1.5)
    write_stage(directory, "persist-2", "persist", ts_ns, 2 * stored, lag_records=17, lag_seconds=0.5)


class Terminal:
    """A pseudo-terminal of 80 columns and 24 lines."""

    def __init__(self) -> None:
        self.own, self.theirs = pty.openpty()
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.text = ""

    def read_until(self, pattern: str) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while not re.search(pattern, self.text):
            assert time.monotonic() < deadline, self.text
            if select.select([self.own], [], [], 0.2)[0]:
                self.text += os.read(self.own, 65_536).decode()

    def drain(self) -> None:
        while select.select([self.own], [], [], 0)[0]:
            self.text += os.read(self.own, 65_536).decode()


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    terminal = Terminal()
    yield terminal
    os.close(terminal.own)
    os.close(terminal.theirs)


@contextmanager
def watching(data_dir: Path, *more: str, stdout: int = subprocess.PIPE) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [*WATCH, *more, "--data-dir", str(data_dir)],
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"TERM": "xterm", "NO_COLOR": "1", "COLUMNS": "", "LINES": ""},
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def interrupt(process: subprocess.Popen[str], number: int = signal.SIGINT) -> None:
    process.send_signal(number)
    _, err = process.communicate(timeout=DEADLINE_S)
    assert (process.returncode, err) == (0, "")


def test_json_lines_with_the_rates_between_two_words(run_dir: Path, now_ns: int) -> None:
    with watching(run_dir.parent, "--json") as process:
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        write_all(run_dir, now_ns + 2 * S, 7_000, 500)
        deadline = time.monotonic() + DEADLINE_S
        while (last := json.loads(process.stdout.readline()))["stages"][0]["records_per_s"] is None:
            assert time.monotonic() < deadline
        interrupt(process)
    assert [server["state"] for server in first["servers"]] == ["down", "down"]
    assert [stage["records_per_s"] for stage in first["stages"]] == [None, None, None]
    assert [(stage["stage"], stage["state"]) for stage in last["stages"]] == [
        ("capture", "running"),
        ("persist", "running"),
        ("persist-2", "running"),
    ]
    # The files are replaced one by one, so the persists may be a look behind capture.
    assert last["stages"][0]["records_per_s"] == 3_000
    assert {stage["records_per_s"] for stage in last["stages"][1:]} <= {50, 100, None}
    assert last["stages"][0]["spool_bytes"] == 2_048
    (total,) = last["totals"]
    assert (total["stage"], total["lag_records"], total["lag_s"]) == ("persist", 217, 1.5)
    assert last["ts_ns"] > first["ts_ns"] >= now_ns


@pytest.mark.usefixtures("now_ns")
def test_a_pipe_gets_plain_blocks_and_may_close_early(run_dir: Path) -> None:
    with watching(run_dir.parent) as process:
        assert process.stdout is not None
        text = ""
        while (line := process.stdout.readline()).strip():
            text += line
        assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", process.stdout.readline()), "the next block"
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == ""
        assert process.wait(DEADLINE_S) == 1
    assert "\x1b" not in text
    for words in (
        r"kafka .* down",
        r"persist +running",
        r"persist-2 +running",
        r"all persist +2/2 run .* 217 +1\.5 s",
    ):
        assert re.search(words, text), text


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_terminal_gets_a_live_view_and_is_left_as_it_was(
    run_dir: Path, now_ns: int, terminal: Terminal, number: int
) -> None:
    before = termios.tcgetattr(terminal.theirs)
    with watching(run_dir.parent, stdout=terminal.theirs) as process:
        terminal.read_until("all persist")
        write_all(run_dir, now_ns + 2 * S, 7_000, 500)
        terminal.read_until(r"capture +running +3,000 +3 frames")
        interrupt(process, number)
    terminal.drain()
    assert "\x1b[?25l" in terminal.text, "the cursor is hidden while it runs"
    assert terminal.text.rindex("\x1b[?25h") > terminal.text.rindex("\x1b[?25l")
    assert "all persist" not in terminal.text[terminal.text.rindex("\x1b[?25h") :]
    assert termios.tcgetattr(terminal.theirs) == before


def test_every_needs_watch(tmp_path: Path) -> None:
    command = [word for word in WATCH if word != "--watch"]
    result = subprocess.run(
        [*command, "--data-dir", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert result.returncode == 2
    assert "--every is for --watch" in result.stderr
