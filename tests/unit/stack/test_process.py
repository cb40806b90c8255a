"""Processes that outlive their starter and are known again: with real ones."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from ticktrail.stack.process import is_same, live_process, spawn, spawn_watcher, watchers
from ticktrail.stack.watcher import has_ended, owned_processes, stop_processes

PATIENT = "while :; do sleep 0.05; done"
STUBBORN = "trap '' TERM; echo ready; while :; do sleep 0.05; done"


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    directory = (tmp_path / "data é x").resolve()
    (directory / "conf").mkdir(parents=True)
    yield directory
    for process in (*owned_processes(directory), *watchers(directory)):
        process.kill()


def start_script(data_dir: Path, script: str) -> int:
    """Start a process that is marked as the stack's own."""
    path = data_dir / "conf" / "archive.sh"
    path.write_text(script)
    return spawn(["/bin/sh", str(path)], data_dir / "out")


def wait_until(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        threading.Event().wait(0.01)


def test_spawned_process_has_a_session_of_its_own_and_a_clean_environment(data_dir: Path) -> None:
    pid = start_script(data_dir, "env; while :; do sleep 0.05; done")
    assert os.getsid(pid) == pid
    wait_until(lambda: "LC_ALL" in (data_dir / "out").read_text())
    assert "HOME=" not in (data_dir / "out").read_text()


def test_spawned_process_wakes_lazily_and_its_starter_does_not(data_dir: Path) -> None:
    own_ns = Path("/proc/self/timerslack_ns").read_text()
    start_script(data_dir, f"cat /proc/$$/timerslack_ns; {PATIENT}")
    wait_until(lambda: (data_dir / "out").read_text() == "1000000\n")
    assert Path("/proc/self/timerslack_ns").read_text() == own_ns


def test_own_processes_are_found_by_their_mark(data_dir: Path) -> None:
    pid = start_script(data_dir, PATIENT)
    assert [process.pid for process in owned_processes(data_dir)] == [pid]
    assert owned_processes(data_dir, "kafka.args") == []
    assert owned_processes(data_dir.parent) == []


def test_stop_ends_what_listens_to_the_signal(data_dir: Path) -> None:
    pid = start_script(data_dir, PATIENT)
    assert stop_processes(owned_processes(data_dir), 10) == []
    assert live_process(pid) is None


def test_stop_kills_what_does_not_and_tells(data_dir: Path) -> None:
    pid = start_script(data_dir, STUBBORN)
    wait_until(lambda: "ready" in (data_dir / "out").read_text())
    assert [process.pid for process in stop_processes(owned_processes(data_dir), 0.2)] == [pid]
    assert has_ended(pid)


def test_recycled_id_is_not_taken_for_the_server() -> None:
    me = psutil.Process()
    second_argument = me.cmdline()[1]
    assert not is_same(me, Path(second_argument), me.create_time())  # not a server's command
    assert not is_same(me, Path("/nowhere/kafka.args"), me.create_time() - 3600)


def test_watcher_stops_the_stack_when_its_parent_is_killed(data_dir: Path) -> None:
    (data_dir / "endpoints.json").write_text("{}")
    program = (
        "import sys, pathlib, signal; from ticktrail.stack.process import spawn, spawn_watcher\n"
        "data_dir = pathlib.Path(sys.argv[1])\n"
        "spawn_watcher(data_dir, data_dir / 'watcher.out')\n"
        "spawn(['/bin/sh', str(data_dir / 'conf' / 'archive.sh')], data_dir / 'out')\n"
        "signal.pause()\n"
    )
    (data_dir / "conf" / "archive.sh").write_text(PATIENT)
    parent = spawn([sys.executable, "-c", program, str(data_dir)], data_dir / "parent.out")
    wait_until(lambda: bool(owned_processes(data_dir)) and bool(watchers(data_dir)))
    os.kill(parent, signal.SIGKILL)
    wait_until(lambda: not owned_processes(data_dir) and not (data_dir / "endpoints.json").exists())
    wait_until(lambda: has_ended(parent) and not watchers(data_dir))


def test_watcher_leaves_quietly_when_told_to(data_dir: Path) -> None:
    pid = spawn_watcher(data_dir, data_dir / "watcher.out")
    wait_until(lambda: bool(watchers(data_dir)))
    start_script(data_dir, PATIENT)
    assert stop_processes([psutil.Process(pid)], 10) == []
    assert len(owned_processes(data_dir)) == 1
