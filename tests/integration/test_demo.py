"""`ticktrail demo`, whole: its own servers, a market, the pipeline; and nothing left of it afterwards."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]

DEADLINE_S = 200.0


def demo_command(data_dir: Path, *arguments: str) -> list[str]:
    memory = ("--set", "stack.kafka_memory_mib=600", "--set", "stack.cassandra_memory_mib=1600")
    return [sys.executable, "-m", "ticktrail", "demo", "--data-dir", str(data_dir), *memory, *arguments]


def left_running(data_dir: Path) -> list[str]:
    found = []
    for process in psutil.process_iter(["cmdline"]):
        line = " ".join(process.info["cmdline"] or [])
        if str(data_dir) in line:
            found.append(line)
    return found


def test_it_runs_by_itself_and_falls_back_where_yahoo_is_away(tmp_path: Path) -> None:
    away = ("--live", "--set", "feeds.yahoo.url=ws://127.0.0.1:1/")
    command = demo_command(tmp_path, "--seconds", "8", "--rate", "500", "--json", *away)
    result = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert result.returncode == 0, result.stderr
    outcome = json.loads(result.stdout)
    assert outcome["received"] == outcome["stored"] > 4_000
    assert outcome["bars"] > 0
    assert outcome["dead_letters"] == 0
    assert outcome["is_drained"]
    assert "Yahoo cannot be reached" in result.stderr
    assert "Falling back to the simulated market" in result.stderr
    assert "SIMULATED MARKET" in result.stderr
    assert left_running(tmp_path) == []


def test_interrupt_ends_it_in_order(tmp_path: Path) -> None:
    command = demo_command(tmp_path, "--rate", "500", "--headless")
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        snapshot = tmp_path / "run" / "capture.json"
        deadline = time.monotonic() + DEADLINE_S
        while not snapshot.exists() or b"sent_records_total" not in snapshot.read_bytes():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.2)  # the pause of a wait with a deadline
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=DEADLINE_S)
    finally:
        process.kill()
    assert process.returncode == 0, err
    assert "stored" in out
    assert "ticktrail sql" in out
    assert "Nothing is left running." in err
    assert left_running(tmp_path) == []
