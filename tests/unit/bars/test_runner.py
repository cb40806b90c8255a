"""The stage while it waits for others. What happens to bars is in ``property/test_bars_corrected.py``."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any, cast
from unittest import mock

import pytest
from fakes.memory_bars import BarsWorld, Record
from structlog.testing import capture_logs

from ticktrail.bars import metrics, runner
from ticktrail.bars.persisted import PersistWatch
from ticktrail.bars.runner import kept_intervals
from ticktrail.bus import GroupPositions, Partition, Position
from ticktrail.clock import SystemClock
from ticktrail.config.settings import BarsSettings
from ticktrail.errors import Unreachable
from ticktrail.model import Flag, Heartbeat, Trade
from ticktrail.telemetry import isolated_registry

S = 10**9
# 2013-10-07 09:30 in New York.
OPEN = 1_381_152_600 * S
DAY = 15_985
ALL = int(Flag.UPDATES_LAST | Flag.UPDATES_HIGH_LOW | Flag.UPDATES_VOLUME)


def trade(at_s: float, number: int, recv_s: float) -> Trade:
    ts_ns = OPEN + int(at_s * S)
    return Trade(
        feed="f",
        symbol="A",
        day=DAY,
        ts_ns=ts_ns,
        event_id=number,
        ts_event_ns=ts_ns,
        ts_recv_ns=OPEN + int(recv_s * S),
        price=10.0,
        size=1.0,
        flags=ALL,
    )


def late_log(count: int) -> list[Record]:
    """A minute that closes, and trades that are late for it and those after it."""
    late = [trade(60.0 * n, n, 60.0 * count + 120) for n in range(1, count + 1)]
    return [trade(0, 0, 0), Heartbeat(feed="f", ts_recv_ns=OPEN + (60 * count + 120) * S), *late]


def test_without_persist_rebuilds_wait_hold_the_commit_and_are_told_once() -> None:
    world = BarsWorld(late_log(3), 1)
    world.persist_may_go_on = lambda: False
    world.is_over = lambda: world.polls > 800
    with isolated_registry(), capture_logs() as logs:
        world.run()
        assert metrics.DIRTY.labels().value == 3
        assert metrics.REBUILT.labels().value == 0
        # 800 polls of 50 ms at least, and the commit has stood still for nearly all of them.
        assert metrics.CHECKPOINT_AGE.labels().value > 30
    told = [entry for entry in logs if entry["event"] == "bars.persist_is_quiet"]
    assert [entry["dirty"] for entry in told] == [3]
    assert world.committed is None or world.committed.offset <= 2


def test_too_much_that_waits_stops_the_reading_until_there_is_less() -> None:
    world = BarsWorld(late_log(200), 1)
    world.persist_may_go_on = lambda: world.polls > 300
    with isolated_registry(), mock.patch.object(runner, "_DIRTY_MAX", 20), capture_logs() as logs:
        read_before: list[float] = []
        look = world.turn

        def turn() -> None:
            if world.polls == 300:
                read_before.append(metrics.TRADES.labels().value)
                # The log's own times are of 1970.
                now_s = world.clock.now_ns() / S
                assert metrics.LAG_AGE.labels().value == pytest.approx(now_s, abs=2)
            look()

        world.turn = turn  # type: ignore[method-assign]
        world.run()
        # A commit's turn comes every few polls, each of at most nine values.
        assert read_before[0] < 100
        assert metrics.TRADES.labels().value >= 201
        assert metrics.DIRTY.labels().value == 0
    assert "bars.paused" in [entry["event"] for entry in logs]
    assert world.is_settled()


def test_what_it_reads_is_measured() -> None:
    log = late_log(20)
    world = BarsWorld(log, 1)
    with isolated_registry():
        world.run()
        batches, latencies = metrics.BATCH.labels().value, metrics.LATENCY_RECV.labels().value
        assert (batches.total, latencies.count) == (len(log), 21)
        assert 1 < batches.mean < len(log)
        assert metrics.LAG_AGE.labels().value == 0
        assert metrics.CHECKPOINT_AGE.labels().value == 0


def test_longer_intervals_need_minutes() -> None:
    assert kept_intervals(BarsSettings(intervals=("5m",))).intervals == ("1m", "5m")
    for alone in (("1s",), ("1s", "1m", "1d"), ()):
        assert kept_intervals(BarsSettings(intervals=alone)).intervals == alone


class Positions:
    """Stands for `GroupPositions`."""

    def __init__(self) -> None:
        self.offsets: dict[Partition, int] = {}
        self.is_away = False
        self.is_closed = False
        self.reads = 0

    def read(self, partitions: Iterable[Partition]) -> dict[Partition, Position]:
        self.reads += 1
        if self.is_away:
            raise Unreachable(what="away", service="Kafka", address="k:1")
        return {each: Position(self.offsets[each]) for each in partitions if each in self.offsets}

    def close(self) -> None:
        self.is_closed = True


def test_how_far_persist_is_is_asked_only_when_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ticktrail.bars.persisted._ASK_EVERY_S", 0.001)
    positions, one = Positions(), Partition("t", 1)
    clock, never = SystemClock(), threading.Event()
    watch = PersistWatch(cast("GroupPositions", positions), clock)

    def until(condition: Any) -> None:
        deadline_ns = clock.monotonic_ns() + 10 * S
        while not condition():
            assert clock.monotonic_ns() < deadline_ns, "waited in vain"
            clock.wait(never, 0.001)

    assert positions.reads == 0
    assert watch.offsets([one]) == {}
    until(lambda: positions.reads)
    positions.offsets[one] = 7
    until(lambda: watch.offsets([one]) == {one: 7})
    positions.is_away = True
    reads = positions.reads
    until(lambda: watch.offsets([one]) == {one: 7} and positions.reads > reads + 2)
    watch.close()
    assert positions.is_closed
