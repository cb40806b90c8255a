"""The way out against a list: nothing accepted is lost or reordered, whatever Kafka and the disk do."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, cast

import pytest
from fakes.memory_live import MemoryLiveProducer
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ticktrail.bus import LiveProducer
from ticktrail.capture import metrics
from ticktrail.capture.batch import Batch
from ticktrail.capture.outlet import Outlet
from ticktrail.capture.spool import Spool, segment_paths
from ticktrail.errors import SchemaMismatch, Unreachable
from ticktrail.telemetry import isolated_registry
from ticktrail.testing import FakeClock

STALL_MS = 1_000
SPOOL_BYTES_MAX = 20_000
HEARTBEAT = Batch(ts_ns=0, topics=("t", "q"), keys=[None, None], values=[b"m", b"m"], partitions=[0, 1])


def batch(number: int, count: int = 1) -> Batch:
    values = [b"%d.%d" % (number, index) for index in range(count)]
    return Batch(ts_ns=number, topics=("t",), keys=[b"k"] * count, values=values, records=count)


class Kit:
    """An outlet over a folder, as one process after the other has it."""

    def __init__(self, folder: Path, clock: FakeClock) -> None:
        self.folder = folder
        self.clock = clock
        self.spool: Spool | None = Spool(folder, SPOOL_BYTES_MAX, clock, segment_bytes=2_000)
        self.producer = MemoryLiveProducer(clock)
        self.outlet = self.made()

    def made(self) -> Outlet:
        producer = cast("LiveProducer", self.producer)
        return Outlet(producer, self.spool, feed="sim", stall_ms=STALL_MS, clock=self.clock)

    @property
    def values(self) -> list[bytes]:
        """What Kafka was given, without heartbeats."""
        return [sent.value for sent in self.producer.sent if sent.value != b"m"]


class Machine(RuleBasedStateMachine):
    """`log` is what Kafka has over all processes; `accepted` what any of them took."""

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.registry = isolated_registry()
        self.registry.__enter__()
        self.clock = FakeClock()
        self.kit = Kit(Path(self.folder.name), self.clock)
        self.number = 0
        self.accepted: list[bytes] = []
        self.log: list[bytes] = []
        self.lost = 0

    def counted(self) -> list[bytes]:
        """Give what is in Kafka: everything that was handed over, as far as it is acknowledged."""
        handed = len(self.kit.producer.sent) - self.kit.producer.unacknowledged
        return [sent.value for sent in self.kit.producer.sent[:handed] if sent.value != b"m"]

    @rule(count=st.integers(1, 5))
    def accept(self, count: int) -> None:
        self.number += 1
        made = batch(self.number, count)
        if self.kit.outlet.accept(made):
            self.accepted += made.values
        else:
            self.lost += count

    @rule()
    def beat(self) -> None:
        self.kit.outlet.accept(HEARTBEAT)

    @rule(is_away=st.booleans())
    def kafka_goes_or_comes(self, is_away: bool) -> None:
        self.kit.producer.is_away = is_away

    @rule(seconds=st.floats(0.1, 3.0))
    def time_passes(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.kit.outlet.tick()

    @rule(is_full=st.booleans())
    def the_disk_fills_or_empties(self, is_full: bool) -> None:
        assert self.kit.spool is not None
        self.kit.spool._bytes_max = 0 if is_full else SPOOL_BYTES_MAX

    @precondition(lambda self: self.kit.producer.is_away)
    @rule(count=st.integers(0, 5))
    def some_are_acknowledged(self, count: int) -> None:
        self.kit.producer.acknowledge(count)

    @rule()
    def restart(self) -> None:
        try:
            self.kit.outlet.flush(5.0)
            self.kit.outlet.close()
        except Unreachable:
            # The spool had no room for what was on its way: told, and so known.
            self.accepted = [value for value in self.accepted if value in self.log + self.counted()]
            for path in segment_paths(Path(self.folder.name)):
                path.unlink()
        self.log += self.counted()
        is_away = self.kit.producer.is_away
        self.kit = Kit(Path(self.folder.name), self.clock)
        self.kit.producer.is_away = is_away

    @invariant()
    def what_is_acknowledged_is_in_kafka(self) -> None:
        if not hasattr(self, "kit"):
            return
        outlet = self.kit.outlet
        assert outlet.acknowledged <= outlet.accepted
        assert metrics.LOST.labels(feed="sim", reason="overflow").value == self.lost

    def teardown(self) -> None:
        if not hasattr(self, "kit"):
            return
        self.kit.producer.is_away = False
        for _ in range(50):
            self.clock.advance(0.1)
            self.kit.outlet.tick()
        self.kit.outlet.flush(10.0)
        assert self.kit.outlet.acknowledged == self.kit.outlet.accepted
        self.kit.outlet.close()
        self.log += self.counted()
        assert set(self.log) == set(self.accepted)
        first = list(dict.fromkeys(self.log))
        assert first == self.accepted, "in the order in which it was accepted"
        assert segment_paths(Path(self.folder.name)) == []
        self.registry.__exit__(None, None, None)
        self.folder.cleanup()


Machine.TestCase.settings = settings(max_examples=40, stateful_step_count=40)
TestOutlet = Machine.TestCase


@pytest.fixture
def kit(tmp_path: Path) -> Any:
    with isolated_registry():
        yield Kit(tmp_path, FakeClock())


def test_one_process_sends_nothing_twice(kit: Kit) -> None:
    kit.producer.is_away = True
    for number in range(5):
        kit.outlet.accept(batch(number))
    kit.clock.advance(2)
    for number in range(5, 9):
        kit.outlet.accept(batch(number))
    assert metrics.SPOOLED.labels(feed="sim").value >= 9, "also those that are on their way"
    kit.producer.is_away = False
    kit.outlet.tick()
    kit.outlet.tick()
    assert kit.values == [b"%d.0" % number for number in range(9)]


def test_a_killed_process_loses_nothing_that_was_on_disk(kit: Kit, tmp_path: Path) -> None:
    kit.producer.is_away = True
    for number in range(5):
        kit.outlet.accept(batch(number))
    kit.clock.advance(2)
    for number in range(5, 9):
        kit.outlet.accept(batch(number))
    next_kit = Kit(tmp_path, kit.clock)  # the other one never says a word again
    next_kit.outlet.accept(batch(9))
    next_kit.outlet.flush(1.0)
    assert next_kit.values == [b"%d.0" % number for number in range(10)]


def test_what_nobody_has_room_for_is_counted(tmp_path: Path) -> None:
    with isolated_registry():
        kit = Kit(tmp_path, FakeClock())
        kit.spool = Spool(tmp_path, 400, kit.clock)
        kit.outlet = kit.made()
        kit.producer.is_away = True
        kit.outlet.accept(batch(0))
        kit.clock.advance(2)
        taken = []
        for number in range(1, 20):
            kit.clock.advance(1)
            taken.append(kit.outlet.accept(batch(number, 3)))
        assert True in taken
        assert taken == sorted(taken, reverse=True), "the oldest are kept"
        assert metrics.LOST.labels(feed="sim", reason="overflow").value == 3 * taken.count(False)
        kit.producer.is_away = False
        kit.outlet.tick()
        assert kit.outlet.accept(batch(99))


def test_without_a_disk_memory_is_the_bound(tmp_path: Path) -> None:
    with isolated_registry():
        kit = Kit(tmp_path, FakeClock())
        kit.spool = None
        kit.outlet = kit.made()
        kit.producer.is_away = True
        assert kit.outlet.accept(batch(0))
        kit.outlet.flush(1.0)
        with pytest.raises(Unreachable, match="1 values"):
            kit.outlet.close()


def test_what_kafka_refuses_is_told(kit: Kit) -> None:
    kit.outlet.accept(HEARTBEAT)
    kit.producer.refuses = True
    with pytest.raises(SchemaMismatch):
        kit.outlet.tick()


def test_held_back_nothing_is_sent(kit: Kit) -> None:
    kit.outlet.hold()
    assert kit.outlet.accept(batch(1))
    kit.clock.advance(5)
    kit.outlet.tick()
    assert kit.producer.sent == []
    kit.outlet.release()
    kit.outlet.tick()
    assert kit.values == [b"1.0"]


def test_memory_is_freed_without_heartbeats(kit: Kit) -> None:
    for number in range(300):
        kit.outlet.accept(batch(number, 100))
    kit.outlet.tick()
    assert kit.outlet.acknowledged == 300


def test_of_what_is_acknowledged_only_whole_batches_count_and_in_their_order(kit: Kit) -> None:
    kit.producer.is_away = True
    for number in range(3):
        assert kit.outlet.accept(batch(number, 2))
    for acknowledged, batches in ((1, 0), (1, 1), (1, 1), (2, 2), (1, 3)):
        kit.producer.acknowledge(acknowledged)
        kit.outlet.tick()
        assert kit.outlet.acknowledged == batches


def test_what_the_full_disk_did_not_take_is_written_before_anything_newer(tmp_path: Path) -> None:
    kit = Kit(tmp_path, FakeClock())
    assert kit.spool is not None
    kit.producer.is_away = True
    with isolated_registry():
        kit.outlet.accept(batch(1))
        kit.spool._bytes_max = 0
        kit.clock.advance(2.0)
        assert not kit.outlet.accept(batch(2))
        kit.spool._bytes_max = SPOOL_BYTES_MAX
        assert kit.outlet.accept(batch(3))
        kit.outlet.close()
        again = Kit(tmp_path, kit.clock)
        again.outlet.tick()
    assert again.values == [b"1.0", b"3.0"]


def test_a_batch_that_comes_after_a_refusal_is_kept(tmp_path: Path) -> None:
    kit = Kit(tmp_path, FakeClock())
    kit.producer.is_away = True
    with isolated_registry():
        kit.outlet.accept(batch(1))
        kit.producer.refuses = True
        with pytest.raises(SchemaMismatch):
            kit.outlet.accept(batch(2))
        kit.outlet.close()
        again = Kit(tmp_path, kit.clock)
        again.outlet.tick()
    assert again.values == [b"1.0", b"2.0"]


def test_a_foreign_file_beside_the_segments_is_none(tmp_path: Path) -> None:
    (tmp_path / "foo.spool").write_bytes(b"x")
    assert segment_paths(tmp_path) == []
    assert Spool(tmp_path, SPOOL_BYTES_MAX, FakeClock()).is_read
