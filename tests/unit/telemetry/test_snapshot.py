"""Stages tell their state through files; readers tell who is alive."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from ticktrail.telemetry import (
    Counter,
    Gauge,
    Health,
    Latency,
    Sizes,
    SnapshotWriter,
    isolated_registry,
    read_snapshots,
    run_dir,
)
from ticktrail.testing import FakeClock

STORED = Counter("ticktrail_test_stored_records_total", "Stored.", labels=("feed", "kind"), unit="records")
LAG = Gauge("ticktrail_test_snapshot_lag_records", "Lag.", labels=("partition",), unit="records")
DELAY = Latency("ticktrail_test_snapshot_delay_seconds", "Delay.", labels=("stage",))
BATCH = Sizes("ticktrail_test_snapshot_batch_records", "Batch.", labels=("feed",), unit="records")


@pytest.fixture(autouse=True)
def _isolated() -> Iterator[None]:
    with isolated_registry():
        yield


@pytest.fixture
def clock() -> FakeClock:
    # The process table has real times in it, so the fake time starts after this process did.
    return FakeClock(2_000_000_000 * 1_000_000_000)


def path_of(tmp_path: Path) -> Path:
    return run_dir(tmp_path) / "persist.json"


def write_by_hand(tmp_path: Path, clock: FakeClock, **fields: Any) -> None:
    """Write a snapshot as another process would."""
    snapshot = {"name": "persist", "pid": os.getpid(), "started_ns": 0, "ts_ns": clock.now_ns(), **fields}
    run_dir(tmp_path).mkdir(exist_ok=True)
    path_of(tmp_path).write_text(json.dumps(snapshot), "utf-8")


def health(tmp_path: Path, clock: FakeClock) -> Health:
    (reading,) = read_snapshots(run_dir(tmp_path), clock)
    return reading.health


def test_a_snapshot_holds_metrics_and_view(tmp_path: Path, clock: FakeClock) -> None:
    STORED.inc(10, feed="sim", kind="trade")
    STORED.inc(5, feed="sim", kind="quote")
    LAG.set(3, partition="0")
    LAG.set(4, partition="1")
    DELAY.observe_ns(np.array([1_000_000]), stage="a")
    DELAY.observe_ns(np.array([2_000_000, -1]), stage="b")
    BATCH.observe(3, feed="a")
    BATCH.observe(5, feed="b")
    writer = SnapshotWriter(path_of(tmp_path), clock, "store")
    assert writer.write({"last": {"AAPL": np.float64(1.5)}, "forming": np.array([1, 2])})

    (reading,) = read_snapshots(run_dir(tmp_path), clock)
    snapshot = reading.snapshot
    assert (snapshot.name, snapshot.pid, snapshot.ts_ns) == ("persist", os.getpid(), clock.now_ns())
    assert snapshot.view == {"last": {"AAPL": 1.5}, "forming": [1, 2]}
    assert snapshot.total(STORED.name) == 15
    assert snapshot.total(STORED.name, kind="quote") == 5
    assert snapshot.total("ticktrail_unknown_total") == 0
    assert snapshot.gauge(LAG.name) == 7.0
    assert snapshot.latency(DELAY.name).count == 3
    assert snapshot.latency(DELAY.name, stage="b").negative == 1
    assert snapshot.size(BATCH.name).mean == 4
    assert snapshot.size(BATCH.name, feed="b").total == 5
    assert snapshot.kind == "store"
    assert reading.rss_bytes == pytest.approx(psutil.Process().memory_info().rss, rel=0.2)


def test_writes_are_at_most_two_a_second(tmp_path: Path, clock: FakeClock) -> None:
    writer = SnapshotWriter(path_of(tmp_path), clock)
    written = []
    for _ in range(21):  # two seconds in steps of 100 ms
        written.append(writer.write(dict))
        clock.advance(0.1)
    assert sum(written) == 5
    assert written[0]


def test_a_view_is_built_only_when_due(tmp_path: Path, clock: FakeClock) -> None:
    built = []

    def view() -> dict[str, Any]:
        built.append(1)
        return {}

    writer = SnapshotWriter(path_of(tmp_path), clock)
    writer.write(view)
    writer.write(view)
    assert len(built) == 1


def test_a_wall_clock_set_back_does_not_stop_the_writes(tmp_path: Path, clock: FakeClock) -> None:
    writer = SnapshotWriter(path_of(tmp_path), clock)
    writer.write({})
    clock.step_wall_clock(-3_600)
    clock.advance(0.5)
    assert writer.write({})


def test_readers_never_see_half_a_file(tmp_path: Path, clock: FakeClock) -> None:
    writer = SnapshotWriter(path_of(tmp_path), clock)
    writer.write({})
    assert [path.name for path in run_dir(tmp_path).iterdir()] == ["persist.json"]


def test_health_of_a_living_stage(tmp_path: Path, clock: FakeClock) -> None:
    writer = SnapshotWriter(path_of(tmp_path), clock)
    writer.write({})
    assert health(tmp_path, clock) is Health.RUNNING
    clock.advance(3.1)
    assert health(tmp_path, clock) is Health.SILENT
    writer.write({})
    assert health(tmp_path, clock) is Health.RUNNING


def test_the_last_word_of_a_stage(tmp_path: Path, clock: FakeClock) -> None:
    writer = SnapshotWriter(path_of(tmp_path), clock)
    writer.write({})
    writer.close({"stored": 5})
    clock.advance(60)
    (reading,) = read_snapshots(run_dir(tmp_path), clock)
    assert reading.health is Health.STOPPED
    assert reading.snapshot.view == {"stored": 5}
    assert reading.age_ns == 60 * 1_000_000_000


def test_a_stage_that_was_killed(tmp_path: Path, clock: FakeClock) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    write_by_hand(tmp_path, clock, pid=process.pid)
    assert health(tmp_path, clock) is Health.DEAD


def test_a_process_number_used_again_is_not_the_stage(tmp_path: Path, clock: FakeClock) -> None:
    # Written in 1970, before this process, which has the number now, was born.
    write_by_hand(tmp_path, clock, ts_ns=1)
    assert health(tmp_path, clock) is Health.DEAD


@pytest.mark.parametrize("content", [b"", b"{", b'{"name": 5}', b"\xff"])
def test_what_is_no_snapshot_is_passed_over(tmp_path: Path, clock: FakeClock, content: bytes) -> None:
    writer = SnapshotWriter(path_of(tmp_path), clock)
    writer.write({})
    (run_dir(tmp_path) / "broken.json").write_bytes(content)
    assert [r.snapshot.name for r in read_snapshots(run_dir(tmp_path), clock)] == ["persist"]


def test_no_directory_no_snapshots(tmp_path: Path, clock: FakeClock) -> None:
    assert read_snapshots(tmp_path / "none", clock) == []


def test_a_write_that_fails_is_counted_not_raised(tmp_path: Path, clock: FakeClock) -> None:
    (tmp_path / "run").write_text("a file where the directory should be", "utf-8")
    writer = SnapshotWriter(path_of(tmp_path), clock)
    assert not writer.write({})
    with isolated_registry() as registry:
        clock.advance(1)
        assert not writer.write({})
        values = {series.metric.name: series.value for series in registry.series()}
    assert values == {"ticktrail_failed_snapshots_total": 1}
