"""`ticktrail run` and `demo`, as a user starts them: real processes, real servers, a real websocket."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest
from fixtures_servers import flags_of

from ticktrail.config import Settings, StackSettings

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]


@pytest.fixture
def settings(installation: Settings, tmp_path: Path) -> Settings:
    """Give the module's installation with a data directory of the test's own."""
    return msgspec.structs.replace(installation, stack=StackSettings(data_dir=str(tmp_path)))


TICKTRAIL = [sys.executable, "-m", "ticktrail"]
DEADLINE_S = 120.0


def _run(settings: Settings, *arguments: str) -> dict[str, Any]:
    command = [*TICKTRAIL, "run", "--feed", "sim", "--json", *arguments, *flags_of(settings)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert result.returncode == 0, result.stderr[-3_000:] + result.stdout[-3_000:]
    outcome: dict[str, Any] = json.loads(result.stdout)
    return outcome


@contextmanager
def _running(settings: Settings, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [*TICKTRAIL, "run", "--feed", "sim", "--json", *arguments, *flags_of(settings)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _stage_pids(settings: Settings) -> dict[str, int]:
    pids = {}
    for stage in ("capture", "persist", "bars", "exchange"):
        path = Path(settings.stack.data_dir) / "run" / f"{stage}.json"
        if path.exists():
            snapshot = json.loads(path.read_bytes())
            if not snapshot["is_final"] and psutil.pid_exists(snapshot["pid"]):
                pids[stage] = snapshot["pid"]
    return pids


def _wait_for(condition: Any, what: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.1)  # the pause of a wait with a deadline


def _stored(settings: Settings) -> int:
    path = Path(settings.stack.data_dir) / "run" / "persist.json"
    if not path.exists():
        return 0
    counters = json.loads(path.read_bytes())["counters"]
    return sum(c["value"] for c in counters if c["name"] == "ticktrail_persist_stored_records_total")


def test_stored_is_sent_and_bars_are_right(settings: Settings) -> None:
    outcome = _run(settings, "--symbols", "50", "--rate", "1000", "--seconds", "10", "--verify")
    assert outcome["is_drained"]
    assert outcome["dead_letters"] == 0
    assert outcome["received"] == outcome["stored"] > 5_000
    found = outcome["verification"]
    assert found["is_equal"], found
    assert found["bars"] > 200


def test_interrupt_stores_everything_and_leaves_nothing_running(settings: Settings) -> None:
    with _running(settings, "--symbols", "20", "--rate", "500") as process:
        _wait_for(lambda: _stored(settings) > 500, "500 records stored")
        pids = _stage_pids(settings)
        assert pids.keys() == {"capture", "persist", "bars", "exchange"}
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0, err
    outcome = json.loads(out)
    assert outcome["is_drained"]
    assert outcome["received"] == outcome["stored"]
    assert not [name for name, pid in pids.items() if psutil.pid_exists(pid)]


def test_stages_end_with_a_killed_supervisor(settings: Settings) -> None:
    with _running(settings, "--symbols", "20", "--rate", "500") as process:
        _wait_for(lambda: len(_stage_pids(settings)) == 4, "four stages")
        pids = _stage_pids(settings)
        os.kill(process.pid, signal.SIGKILL)
        _wait_for(lambda: not any(map(psutil.pid_exists, pids.values())), "all stages gone")


def test_a_killed_stage_is_started_again_and_nothing_is_lost(settings: Settings) -> None:
    arguments = ("--symbols", "50", "--rate", "1000", "--seconds", "12", "--verify")
    with _running(settings, *arguments) as process:
        _wait_for(lambda: _stored(settings) > 500 and "persist" in _stage_pids(settings), "storing")
        os.kill(_stage_pids(settings)["persist"], signal.SIGKILL)
        os.kill(_stage_pids(settings)["bars"], signal.SIGKILL)
        out, err = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0, err + out
    outcome = json.loads(out)
    assert outcome["verification"]["is_equal"], outcome
