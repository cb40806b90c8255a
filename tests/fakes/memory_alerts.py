"""A log and a store in memory, for the runner of alerts, with everything that may go wrong."""

from __future__ import annotations

import random
import threading
from collections.abc import Mapping, Sequence
from typing import Any
from unittest import mock

import numpy as np

from ticktrail.alerts import runner
from ticktrail.alerts.recorder import Recorder, StateDone
from ticktrail.alerts.rules import Scope
from ticktrail.alerts.runner import AlertRunner, Tools
from ticktrail.bus import Partition, PartitionBatch, Position
from ticktrail.codec import decode, encode_record
from ticktrail.config import AlertsSettings, KafkaSettings, Settings
from ticktrail.errors import StoreRestarted, Unreachable
from ticktrail.model import Alert
from ticktrail.testing import FakeClock

__all__ = ["AlertWorld", "Killed"]

_LAG_NS = 1_000_000_000
_POLLS_MAX = 20_000


class Killed(Exception):
    """The process is gone, in the midst of whatever it did."""


class _Clock(FakeClock):
    def monotonic_ns(self) -> int:
        self.advance(0.02)
        return super().monotonic_ns()


class AlertWorld:
    """Everything around the runner.

    Parameters
    ----------
    logs
        Of each partition of the topic of trades: records and the log's times.
    troubles
        What may go wrong: ``"killed"``, ``"restart"`` (of the store), ``"away"``, ``"rebalance"``.
    """

    def __init__(
        self,
        logs: Sequence[tuple[Sequence[Any], Sequence[int]]],
        scopes: Sequence[Scope],
        seed: int,
        troubles: Sequence[str],
    ) -> None:
        self.logs = {
            Partition("t.trades.v1", number): (
                [encode_record(each) for each in log],
                np.array(times_ns) // 1_000_000,
            )
            for number, (log, times_ns) in enumerate(logs)
        }
        self.scopes = scopes
        self.version = 1
        self.rng = random.Random(seed)
        self.troubles = frozenset(troubles)
        self.clock = _Clock()
        self.stop = threading.Event()
        self.lock = threading.RLock()
        self.committed: dict[Partition, Position] = {}
        self.topic: list[Alert] = []
        self.alerts: dict[str, Alert] = {}
        self.states: dict[tuple[str, int, int], bytes] = {}
        self.undo: list[tuple[int, dict[Any, Any], Any]] = []
        self.is_restarted = False
        self.writes = 0
        self.polls = 0
        self.deaths = 0
        self.happened = 0

    def run(self) -> None:
        settings = Settings(
            kafka=KafkaSettings(topic_prefix="t", bootstrap_servers="none"),
            alerts=AlertsSettings(snapshot_ms=100),
        )
        tools: Any = Tools(store=self, prover=self, rules=self, usual=None)  # type: ignore[arg-type]
        patches: dict[str, Any] = {
            "Consumer": lambda _kafka, _group, _topics, *callbacks, batch_ms: _Consumer(self, *callbacks),
            "Producer": lambda *_: _Producer(self),
            "Recorder": lambda *arguments: _Recorder(self, *arguments),
        }
        while not self.stop.is_set():
            with mock.patch.multiple(runner, **patches):
                try:
                    AlertRunner(settings, ("trades",), tools, self.clock, self.stop).run()
                except Killed:
                    self.deaths += 1

    def happens(self, trouble: str, chance: float) -> bool:
        if trouble not in self.troubles or self.rng.random() >= chance:
            return False
        # It must come to an end.
        self.happened += 1
        return self.happened < 200

    # --- the store -------------------------------------------------------------------------------------

    def write(self, alerts: Sequence[Alert]) -> None:
        with self.lock:
            for alert in alerts:
                self._trouble()
                self.writes += 1
                self._set(self.alerts, alert.id, alert)

    def write_state(self, _group: str, topic: str, partition: int, offset: int, state: bytes) -> None:
        with self.lock:
            self._trouble()
            self._set(self.states, (topic, partition, offset), state)

    def read_state(self, _group: str, topic: str, partition: int, offset: int) -> bytes | None:
        with self.lock:
            self._trouble()
            return self.states.get((topic, partition, offset))

    def drop_states(self, _group: str, topic: str, partition: int, before: int) -> None:
        with self.lock:
            self._trouble()
            for key in [each for each in self.states if each[:2] == (topic, partition) and each[2] < before]:
                del self.states[key]

    def _set(self, table: dict[Any, Any], key: Any, value: Any) -> None:
        self.undo.append((self.clock.monotonic_ns(), table, (key, table.get(key))))
        table[key] = value

    def _trouble(self) -> None:
        if self.happens("away", 0.05):
            raise Unreachable(what="away", service="Cassandra", address="x")
        if self.happens("restart", 0.01):
            # What was not proven to be on disk is gone.
            self.is_restarted = True
            proven_ns = FakeClock.monotonic_ns(self.clock) - _LAG_NS
            while self.undo and self.undo[-1][0] > proven_ns:
                _, table, (key, before) = self.undo.pop()
                if before is None:
                    table.pop(key, None)
                else:
                    table[key] = before

    # --- the prover ------------------------------------------------------------------------------------

    lag_ns = _LAG_NS

    def want(self) -> None:
        pass

    def proven_ns(self) -> int:
        with self.lock:
            if self.is_restarted:
                self.is_restarted = False
                raise StoreRestarted(what="restarted", service="Cassandra")
            return self.clock.monotonic_ns() - _LAG_NS


class _Recorder(Recorder):
    """Writes when it is looked at, some of what waits, so that a seed always gives the same course."""

    def __init__(self, world: AlertWorld, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._world = world

    def start(self) -> None:
        pass

    @property
    def waiting(self) -> int:
        self._work(1)
        return self._waiting

    def done(self) -> list[StateDone]:
        self._work(self._world.rng.choice([0, 1, 5, 50]))
        return super().done()

    def _work(self, count: int) -> None:
        found = [self._jobs.get() for _ in range(min(count, self._jobs.qsize()))]
        self._write([job for job in found if job is not None])


class _Producer:
    def __init__(self, world: AlertWorld) -> None:
        self._world = world

    def send(self, topic: str, keys: Sequence[bytes], values: Sequence[bytes]) -> None:
        assert topic == "t.alerts.v1"
        for key, value in zip(keys, values, strict=True):
            if self._world.happens("killed", 0.02):
                raise Killed
            alert = decode(value)
            assert isinstance(alert, Alert)
            assert alert.id.encode() == key
            self._world.topic.append(alert)

    def flush(self, _timeout_s: float) -> None:
        if self._world.happens("killed", 0.02):
            raise Killed

    def check(self) -> None:
        pass


class _Consumer:
    def __init__(self, world: AlertWorld, on_assigned: Any, on_revoked: Any) -> None:
        self._world = world
        self._on_assigned = on_assigned
        self._on_revoked = on_revoked
        self._at: dict[Partition, int] = {}

    def poll(self, _records_max: int) -> list[PartitionBatch]:
        world = self._world
        world.polls += 1
        assert world.polls < _POLLS_MAX, "it does not come to an end"
        if world.happens("killed", 0.02):
            raise Killed
        ends = {partition: len(values) for partition, (values, _) in world.logs.items()}
        if all(world.committed.get(each, Position(0)).offset == end for each, end in ends.items()):
            world.stop.set()
            return []
        for partition in world.logs:
            if partition not in self._at:
                position = world.committed.get(partition, Position(-2))
                self._at[partition] = max(position.offset, 0)
                self._on_assigned({partition: position})
            elif world.happens("rebalance", 0.03):
                self._on_revoked([partition])
                del self._at[partition]
        return [self._batch(partition) for partition in self._at if self._at[partition] < ends[partition]]

    def _batch(self, partition: Partition) -> PartitionBatch:
        values, times_ms = self._world.logs[partition]
        first = self._at[partition]
        last = min(len(values), first + self._world.rng.choice([1, 3, 20]))
        self._at[partition] = last
        return PartitionBatch(
            partition,
            np.arange(first, last),
            times_ms[first:last],
            [None] * (last - first),
            values[first:last],
        )

    def commit(self, positions: Mapping[Partition, Position]) -> None:
        if positions and self._world.happens("killed", 0.05):
            raise Killed
        for partition, position in positions.items():
            assert position.offset >= self._world.committed.get(partition, Position(0)).offset, "never back"
            self._world.committed[partition] = position
        if positions and self._world.happens("killed", 0.05):
            raise Killed

    def lag(self) -> dict[Partition, int]:
        return {}

    def pause(self) -> None:
        pass

    def resume(self) -> None:
        pass

    def close(self) -> None:
        self._on_revoked(list(self._at))
