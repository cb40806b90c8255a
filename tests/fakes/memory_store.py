"""A group's log and a store in memory, for the runner of persist, with everything that may go wrong."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ticktrail.bus import Partition, PartitionBatch, Position
from ticktrail.errors import Overloaded, StoreRestarted, TicktrailError, Unreachable, WriteRejected
from ticktrail.model import Columns
from ticktrail.store import Table
from ticktrail.testing import FakeClock

AWAY = Unreachable(what="the store is away", service="Cassandra", address="c:1")
REFUSED = WriteRejected(what="the store refused the request", why="poison")

LAG_NS = 1_500_000_000

# Records of symbols that begin so are refused, and with them the whole request that they are in.
POISON = "POISON"


class MemoryWriter:
    """Stands for `ticktrail.store.Writer`.

    Parameters
    ----------
    outcomes
        What becomes of one `submit` after the other: ``"stored"``, ``"later"`` (the answer comes with a
        later call), ``"away"`` (a transient error), ``"away later"``. After the last all are stored.
    """

    def __init__(self, outcomes: Iterable[str] = (), clock: FakeClock | None = None) -> None:
        self.outcomes = deque(outcomes)
        self.rows: dict[tuple[Any, ...], Any] = {}
        self.is_restarted = False
        self.clock = clock or FakeClock()
        self._start_ns = self.clock.now_ns()
        # Acknowledged rows that a restart would forget, with the time of the acknowledgement.
        self._unsynced: dict[tuple[Any, ...], int] = {}
        self._synced: set[tuple[Any, ...]] = set()
        self.submits = 0
        self._later: deque[Callable[[], None]] = deque()

    def submit(
        self,
        table: Table,
        columns: Columns[Any],
        write_ts_us: npt.NDArray[np.int64],
        done: Callable[[TicktrailError | None], None],
    ) -> None:
        assert len(columns) == len(write_ts_us) > 0
        self.submits += 1
        outcome = self.outcomes.popleft() if self.outcomes else "stored"
        if any(symbol.startswith(POISON.encode()) for symbol in columns["symbol"].tolist()):
            self._answer(outcome, lambda: done(REFUSED))
        elif outcome.startswith("away"):
            self._answer(outcome, lambda: done(AWAY))
        else:
            self._answer(outcome, lambda: self._store(table, columns, done))

    def forget(self) -> None:
        """Enter nothing in no catalogue."""

    def restart(self) -> None:
        """Die and come back without what was acknowledged in the last moments, and with no open answer."""
        self.sync()
        for key in self._unsynced:
            if key not in self._synced:
                del self.rows[key]
        self._unsynced.clear()
        self._later.clear()
        self.is_restarted = True

    def sync(self) -> int:
        """Write to disk what is old enough; tell up to which time."""
        until_ns = self.clock.now_ns() - LAG_NS
        self._synced |= {
            key for key, acknowledged_ns in self._unsynced.items() if acknowledged_ns <= until_ns
        }
        self._unsynced = {key: at for key, at in self._unsynced.items() if at > until_ns}
        return until_ns

    def _now_ns(self) -> int:
        # The monotonic time, without a look at it, which moves some clocks.
        return self.clock.now_ns() - self._start_ns

    def answer_one(self) -> None:
        """Let one answer come that was put off."""
        if self._later:
            self._later.popleft()()

    def _answer(self, outcome: str, answer: Callable[[], None]) -> None:
        if outcome.endswith("later"):
            # In no order: the last put off may come first.
            self._later.appendleft(answer) if self.submits % 2 else self._later.append(answer)
        else:
            answer()

    def _store(
        self, table: Table, columns: Columns[Any], done: Callable[[TicktrailError | None], None]
    ) -> None:
        if table.name != "latest":
            for record in columns.to_records():
                key = (table.name, record.symbol, record.ts_ns, record.event_id)
                self.rows[key] = record
                self._unsynced[key] = self._now_ns()
        done(None)


class MemoryProver:
    """Stands for `ticktrail.store.SyncProver`, over a `MemoryWriter` with the same clock."""

    lag_ns = LAG_NS

    def __init__(self, writer: MemoryWriter) -> None:
        self._writer = writer

    def want(self) -> None:
        """Need no thread."""

    def proven_ns(self) -> int:
        if self._writer.is_restarted:
            self._writer.is_restarted = False
            raise StoreRestarted(what="the store was started again", service="Cassandra")
        return self._writer.sync()


class MemoryConsumer:
    """Stands for `ticktrail.bus.Consumer`; a new one begins where the group stands.

    Parameters
    ----------
    log
        The topics' values, and what the group has committed; outlives the consumer.
    """

    def __init__(
        self,
        log: MemoryLog,
        on_assigned: Callable[[Mapping[Partition, Position]], None],
        on_revoked: Callable[[Sequence[Partition]], None],
    ) -> None:
        self._log = log
        self._on_assigned = on_assigned
        self._on_revoked = on_revoked
        self._next: dict[Partition, int] = {}
        self._gone: dict[Partition, int] = {}
        self._is_paused = False

    def poll(self, records_max: int) -> list[PartitionBatch]:
        log = self._log
        log.polls += 1
        log.on_poll()
        trouble = log.trouble.popleft() if log.trouble else ""
        if trouble == "rebalance":
            self._rebalance()
        elif trouble == "error":
            raise Overloaded(what="Kafka did not carry out the request", service="Kafka")
        elif trouble == "restart":
            log.on_restart()
        self._assign()
        if self._is_paused:
            return []
        batches = []
        for partition, at in self._next.items():
            values = log.values[partition][at : at + min(records_max, log.batch_max)]
            if values:
                log.taken += len(values)
                self._next[partition] += len(values)
                offsets = np.arange(at, at + len(values))
                batches.append(PartitionBatch(partition, offsets, offsets + 1, [b"k"] * len(values), values))
        return batches

    def pause(self) -> None:
        self._is_paused = True

    def resume(self) -> None:
        self._is_paused = False

    def commit(self, positions: Mapping[Partition, Position]) -> None:
        for partition, position in positions.items():
            assert partition in self._next, "a partition that was given up is not ours to commit"
            self._log.on_commit(partition, position.offset)
            self._log.committed[partition] = position.offset

    def lag(self) -> dict[Partition, int]:
        return {partition: len(self._log.values[partition]) - at for partition, at in self._next.items()}

    def close(self) -> None:
        if self._next:
            self._on_revoked(list(self._next))

    def _rebalance(self) -> None:
        """Lose one partition; a later poll brings it back, from where the group then stands."""
        if self._next:
            gone = sorted(self._next)[self._log.polls % len(self._next)]
            self._gone[gone] = self._log.polls + 3
            self._on_revoked([gone])
            del self._next[gone]

    def _assign(self) -> None:
        polls = self._log.polls
        missing = [
            each
            for each in self._log.values
            if each not in self._next and self._gone.get(each, polls) <= polls
        ]
        if missing:
            positions = {each: Position(self._log.committed.get(each, 0)) for each in missing}
            self._next |= {each: position.offset for each, position in positions.items()}
            self._on_assigned(positions)


class MemoryLog:
    """The values of all partitions, and how far the group has committed.

    Parameters
    ----------
    trouble
        What happens at one poll after the other: ``""``, ``"rebalance"``, ``"error"``, ``"restart"`` (of the
        store).
    """

    def __init__(
        self, values: Mapping[Partition, list[bytes]], batch_max: int, trouble: Iterable[str] = ()
    ) -> None:
        self.values = dict(values)
        self.batch_max = batch_max
        self.trouble = deque(trouble)
        self.committed: dict[Partition, int] = {}
        self.polls = 0
        self.taken = 0
        self.on_poll: Callable[[], None] = lambda: None
        self.on_restart: Callable[[], None] = lambda: None
        self.on_commit: Callable[[Partition, int], None] = lambda partition, offset: None

    @property
    def is_done(self) -> bool:
        """Whether everything is committed."""
        return all(
            self.committed.get(each, 0) == len(values) for each, values in self.values.items() if values
        )
