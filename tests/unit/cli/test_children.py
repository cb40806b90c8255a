"""Stages as real child processes: small ones, that behave as they are told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from ticktrail.cli import children
from ticktrail.cli.children import Child, Children
from ticktrail.clock import NS_PER_SECOND
from ticktrail.errors import StageFailed
from ticktrail.testing import FakeClock

DEADLINE_S = 30.0

# Stands for `python -m ticktrail COMMAND …`.
STAGE = """
import os, signal, sys, time
from pathlib import Path
command = sys.argv[3]
print("this is", command, file=sys.stderr, flush=True)
if command == "stage":
    from ticktrail.cli.stage import stage, stop_with_parent
    from ticktrail.clock import SystemClock
    from ticktrail.config import Settings, StackSettings
    settings = Settings(stack=StackSettings(data_dir=sys.argv[4]))
    with stage(f"stage-{os.getpid()}", settings, SystemClock()) as stop:
        stop_with_parent()
        print("pid", os.getpid(), flush=True)
        stop.wait(60)
    print("stopped in order", file=sys.stderr)
elif command == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("deaf", flush=True)
    time.sleep(60)
elif command == "fail":
    sys.exit(int(sys.argv[4]))
assert sys.argv[-1] == "--stop-with-parent"
"""

# A supervisor that starts one stage and then does nothing for ever.
PARENT = """
import sys, time
from pathlib import Path
from types import SimpleNamespace
from ticktrail.cli import children
from ticktrail.clock import SystemClock
children.sys = SimpleNamespace(executable=sys.argv[1])
supervisor = children.Children(Path(sys.argv[2]), SystemClock())
child = supervisor.start("one", "stage", sys.argv[2], capture_output=True)
print(child.process.stdout.readline().decode(), end="", flush=True)
time.sleep(60)
"""


@pytest.fixture
def executable(tmp_path: Path) -> str:
    script = tmp_path / "stage.py"
    script.write_text(STAGE)
    wrapper = tmp_path / "python"
    wrapper.write_text(f'#!/bin/sh\nexec {sys.executable} {script} "$@"\n')
    wrapper.chmod(0o755)
    return str(wrapper)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def supervisor(
    executable: str, tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Children]:
    monkeypatch.setattr(children, "sys", SimpleNamespace(executable=executable))
    made = Children(tmp_path / "logs", clock)
    yield made
    for child in made:
        if child.process is not None and child.process.poll() is None:
            child.process.kill()
    made.stop()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that in time"
        time.sleep(0.01)


def is_over(child: Child) -> bool:
    return child.process is not None and child.process.poll() is not None


def first_line(child: Child) -> bytes:
    assert child.process is not None
    assert child.process.stdout is not None
    line: bytes = child.process.stdout.readline()
    return line


def log_of(child: Child) -> str:
    return child.log_path.read_text()


def test_a_stage_runs_until_it_is_stopped(supervisor: Children, tmp_path: Path) -> None:
    child = supervisor.start("one", "stage", str(tmp_path), capture_output=True)
    assert first_line(child).startswith(b"pid ")
    supervisor.watch()
    assert supervisor.stop() == []
    assert child.process is not None
    assert child.process.returncode == 0
    assert "stopped in order" in log_of(child)
    assert list(supervisor) == []


def test_ctrl_c_reaches_the_parent_only(supervisor: Children, tmp_path: Path) -> None:
    child = supervisor.start("one", "stage", str(tmp_path), capture_output=True)
    first_line(child)
    assert child.process is not None
    assert os.getsid(child.process.pid) != os.getsid(0)


def test_a_stage_that_does_not_hear_is_killed_and_named(
    supervisor: Children, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(children, "_STOP_TIMEOUT_S", 0.3)
    deaf = supervisor.start("deaf", "deaf", capture_output=True)
    fine = supervisor.start("fine", "stage", str(tmp_path), capture_output=True)
    first_line(deaf)
    first_line(fine)
    assert supervisor.stop() == ["deaf"]


def test_only_the_stages_named_are_stopped(supervisor: Children, tmp_path: Path) -> None:
    for name in ("one", "two"):
        first_line(supervisor.start(name, "stage", str(tmp_path), capture_output=True))
    supervisor.stop("one", "unknown")
    assert [child.name for child in supervisor] == ["two"]


def test_what_dies_is_started_again_after_a_while(supervisor: Children, clock: FakeClock) -> None:
    child = supervisor.start("one", "fail", "1")
    until(lambda: is_over(child))
    supervisor.watch()
    assert child.restarts == 0
    delay_s = ((child.restart_at_ns or 0) - clock.monotonic_ns()) / NS_PER_SECOND
    assert 0 < delay_s <= 0.5
    supervisor.watch()
    assert child.restarts == 0, "its time has not come"
    clock.advance(delay_s)
    supervisor.watch()
    assert child.restarts == 1
    until(lambda: log_of(child).count("this is fail") == 2)


def test_what_fails_again_and_again_is_given_up(supervisor: Children, clock: FakeClock) -> None:
    child = supervisor.start("one", "fail", "1")

    def watch_for_long() -> None:
        for _ in range(100):
            until(lambda: is_over(child))
            supervisor.watch()
            clock.advance(10)
            supervisor.watch()

    with pytest.raises(StageFailed, match="ended with code 1") as caught:
        watch_for_long()
    assert child.restarts == 5
    assert "this is fail" in str(caught.value)
    assert str(child.log_path) in str(caught.value)


def test_a_steady_run_in_between_clears_the_count(supervisor: Children, clock: FakeClock) -> None:
    child = supervisor.start("one", "fail", "1")
    for _ in range(8):
        until(lambda: is_over(child))
        clock.advance(31)
        supervisor.watch()
        clock.advance(10)
        supervisor.watch()
    assert child.restarts == 8


def test_a_wrong_call_is_not_repeated(supervisor: Children) -> None:
    child = supervisor.start("one", "fail", "2")
    until(lambda: is_over(child))
    with pytest.raises(StageFailed, match="code 2"):
        supervisor.watch()


def test_an_import_may_end(supervisor: Children) -> None:
    child = supervisor.start("import", "fail", "0", is_finite=True)
    until(lambda: is_over(child))
    supervisor.watch()
    assert child.has_ended
    assert child.restarts == 0


def test_a_stage_that_ends_without_being_told_is_started_again(supervisor: Children) -> None:
    child = supervisor.start("one", "fail", "0")
    until(lambda: is_over(child))
    supervisor.watch()
    assert not child.has_ended
    assert child.restart_at_ns is not None


def test_news_give_the_cause_whole_and_in_one_line(supervisor: Children) -> None:
    child = supervisor.start("one", "fail", "0")
    until(lambda: is_over(child) and "this is fail" in log_of(child))
    supervisor.news()
    cause = 'code=1100 [it\'s "late"] message=\n' + "x" * 400
    with child.log_path.open("a") as log:
        log.write(f"2026 [warning  ] persist.retry  component=persist error={cause!r} writes=3\n")
        log.write(json.dumps({"event": "bars.retry", "error": cause, "level": "warning"}) + "\n")
        log.write("2026 [warning  ] feed.mute  component=capture\n")
    expected = 'one: code=1100 [it\'s "late"] message= xx'
    first, second, third = supervisor.news()
    assert first == second
    assert first.startswith(expected)
    assert first.endswith("x…")
    assert third == "one: feed.mute"


def test_a_stage_ends_in_order_when_its_parent_is_killed(executable: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", PARENT, executable, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline().split()[1])
        stage = psutil.Process(pid)
        parent.send_signal(signal.SIGKILL)
    until(lambda: not stage.is_running() or stage.status() == psutil.STATUS_ZOMBIE)
    assert "stopped in order" in (tmp_path / "one.log").read_text()
