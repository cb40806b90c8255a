"""A log, a store and persist in memory, for the runner of bars, with everything that may go wrong."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any
from unittest import mock

import numpy as np
from fakes.memory_producer import MemoryProducer

from ticktrail.bars import output, runner
from ticktrail.bars.archive import Span, StoredTrades
from ticktrail.bars.candles import Times
from ticktrail.bars.progress import Progress
from ticktrail.bars.rows import packed_trades
from ticktrail.bus import Partition, PartitionBatch, Position
from ticktrail.clock import Backoff
from ticktrail.codec import encode_record
from ticktrail.config import KafkaSettings, Settings
from ticktrail.config.settings import BarsSettings
from ticktrail.errors import StoreRestarted, Unreachable
from ticktrail.model import Bar, Columns, Correction, Heartbeat, Trade
from ticktrail.testing import FakeClock

__all__ = ["BarsWorld", "Killed"]

LAG_NS = 1_500_000_000
POLLS_MAX = 20_000

Record = Trade | Correction | Heartbeat
BarKey = tuple[str, str, str, int]


class Killed(Exception):
    """The process is gone, in the midst of whatever it did."""


class TickingClock(FakeClock):
    """Moves on by itself, a little with every look at it."""

    def monotonic_ns(self) -> int:
        self.advance(0.05)
        return super().monotonic_ns()


class BarsWorld:
    """Everything around the bars stage. Partition 0 of the topic has all records.

    Parameters
    ----------
    log
        What is in the topic.
    seed
        Decides when persist goes on, how the log is cut into polls, and what goes wrong.
    troubles
        What may go wrong: ``"killed"`` (bars, anywhere), ``"restart"`` (the store), ``"away"`` (the store,
        for a request), ``"rebalance"``.
    """

    partition = Partition("t.trades.v1", 0)

    def __init__(
        self,
        log: Sequence[Record],
        seed: int,
        troubles: Iterable[str] = (),
        settings: BarsSettings | None = None,
    ) -> None:
        self.log = list(log)
        self.values = [encode_record(record) for record in log]
        self.rng = random.Random(seed)
        self.troubles = frozenset(troubles)
        self.settings = settings or BarsSettings(lateness_ms=1_000)
        self.clock = TickingClock()
        self.stop = threading.Event()
        self.producer = MemoryProducer()
        self.written = 0
        self.persisted = 0
        self.committed: Position | None = None
        self.commits: list[Position] = []
        self.bars: dict[BarKey, tuple[int, Bar]] = {}
        self.undo: list[tuple[int, BarKey, tuple[int, Bar] | None]] = []
        self.is_restarted = False
        self.restarts = 0
        self.polls = 0
        self.persist_may_go_on: Callable[[], bool] = lambda: True
        self.is_over: Callable[[], bool] = self.is_settled
        # How many values a poll gives, by where it begins.
        self.takes: Callable[[int], int] = lambda _: self.rng.randrange(10)
        self.on_read_bars: Callable[[], None] = lambda: None

    # --- running it ----------------------------------------------------------------------------------

    def run(self) -> None:
        """Run the stage until everything is committed, starting it again whenever it was killed."""
        while not self.stop.is_set():
            try:
                self._run_once()
            except Killed:
                continue

    def _run_once(self) -> None:
        kafka = KafkaSettings(topic_prefix="t", bootstrap_servers="none", partitions=1)
        settings = Settings(kafka=kafka, bars=self.settings)

        def consumer(*arguments: Any, batch_ms: int) -> _Consumer:
            assert batch_ms
            _kafka, _group, _topics, *callbacks = arguments
            return _Consumer(self, *callbacks)

        patches: dict[str, Any] = {
            "Consumer": consumer,
            "Producer": lambda *_: self.producer,
            "GroupPositions": lambda *_: None,
            "PersistWatch": lambda *_: _Watch(self),
            "StoreArchive": lambda _: _Archive(self),
            "StoreHistory": lambda *_: _Archive(self),
            "Backoff": self._backoff,
        }
        store: Any = _Writer(self)
        reader: Any = None
        with (
            mock.patch.multiple(runner, **patches),
            mock.patch.object(output, "Backoff", self._backoff),
        ):
            runner.BarRunner(settings, store, store, reader, self.clock, self.stop).run()

    def _backoff(self, first_s: float, cap_s: float) -> Backoff:
        return Backoff(first_s, cap_s, self.rng)

    def is_settled(self) -> bool:
        """Whether nothing is left to be done."""
        return (
            self.persisted == len(self.values)
            and self.committed is not None
            and self.committed.offset == len(self.values)
            and not Progress.from_text(self.committed.state).ahead
        )

    def turn(self) -> None:
        """Let time go on around the stage; called at each poll."""
        self.polls += 1
        assert self.polls < POLLS_MAX, "it does not come to an end"
        if self.persist_may_go_on() and self.rng.random() < 0.5:
            self.written = min(len(self.values), max(self.written, self.persisted) + self.rng.randrange(12))
            self.persisted = self.rng.randint(self.persisted, self.written)
        self.may_fail("killed", 0.02)
        self.may_restart()
        if self.is_over():
            self.stop.set()

    def may_fail(self, trouble: str, probability: float) -> None:
        """Fail now and then."""
        if trouble in self.troubles and self.rng.random() < probability:
            if trouble == "killed":
                raise Killed
            raise Unreachable(what="the store is away", service="Cassandra", address="c:1")

    def may_restart(self) -> None:
        """Restart the store now and then, before or after any request."""
        if "restart" in self.troubles and self.rng.random() < 0.015:
            self.restart_store()

    def restart_store(self) -> None:
        """Kill the store: it forgets what it had not synced."""
        self.sync()
        for _, key, before in reversed(self.undo):
            if before is None:
                del self.bars[key]
            else:
                self.bars[key] = before
        self.undo.clear()
        self.written = self.persisted
        self.is_restarted = True
        self.restarts += 1

    def sync(self) -> int:
        """Bring to disk what is old enough; tell up to which time."""
        until_ns = self.clock.now_ns() - FakeClock().now_ns() - LAG_NS
        self.undo = [entry for entry in self.undo if entry[0] > until_ns]
        return until_ns

    def stored(self, record: type[Any]) -> list[Any]:
        """Give the trades or corrections that the store has, each identity once."""
        rows = {
            (r.feed, r.symbol, r.day, r.ts_ns, r.event_id): r
            for r in self.log[: max(self.written, self.persisted)]
            if isinstance(r, record)
        }
        return list(rows.values())

    def stored_bars(self) -> list[Bar]:
        return [bar for _, bar in self.bars.values()]


class _Consumer:
    """Stands for `ticktrail.bus.Consumer`."""

    def __init__(
        self,
        world: BarsWorld,
        on_assigned: Callable[[Mapping[Partition, Position]], None],
        on_revoked: Callable[[Sequence[Partition]], None],
    ) -> None:
        self._world = world
        self._on_assigned = on_assigned
        self._on_revoked = on_revoked
        self._next: int | None = None
        self.is_paused = False

    def poll(self, records_max: int, timeout_s: float) -> list[PartitionBatch]:
        del records_max, timeout_s
        world = self._world
        world.clock.advance(0.05)
        world.turn()
        if self._next is not None and "rebalance" in world.troubles and world.rng.random() < 0.02:
            self._on_revoked([world.partition])
            self._next = None
        if self._next is None:
            position = world.committed or Position(0)
            self._next = position.offset
            self._on_assigned({world.partition: position})
        if self.is_paused:
            return []
        values = world.values[self._next : self._next + world.takes(self._next)]
        if not values:
            return []
        offsets = np.arange(self._next, self._next + len(values))
        self._next += len(values)
        return [PartitionBatch(world.partition, offsets, offsets + 1, [b"k"] * len(values), values)]

    def pause(self) -> None:
        self.is_paused = True

    def resume(self) -> None:
        self.is_paused = False

    def commit(self, positions: Mapping[Partition, Position]) -> None:
        world = self._world
        for position in positions.values():
            assert self._next is not None, "a partition that was given up is not ours to commit"
            world.may_fail("killed", 0.05)
            assert len(position.state.encode()) <= 4096
            assert world.committed is None or position.offset >= world.committed.offset
            world.committed = position
            world.commits.append(position)
            world.may_fail("killed", 0.05)

    def lag(self) -> dict[Partition, int]:
        world = self._world
        return {} if self._next is None else {world.partition: len(world.values) - self._next}

    def close(self) -> None:
        if self._next is not None:
            self._on_revoked([self._world.partition])


class _Watch:
    """Stands for `ticktrail.bars.persisted.PersistWatch`."""

    def __init__(self, world: BarsWorld) -> None:
        self._world = world

    def offsets(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        return dict.fromkeys(partitions, self._world.persisted)

    def close(self) -> None:
        """Need no thread."""


class _Writer:
    """Stands for `ticktrail.store.Writer` and `SyncProver`."""

    lag_ns = LAG_NS

    def __init__(self, world: BarsWorld) -> None:
        self._world = world

    def forget(self) -> None:
        """Enter nothing in no catalogue."""

    def write(self, table: Any, bars: Columns[Bar], write_ts_us: Times) -> None:
        assert table.name == "bars"
        world = self._world
        world.may_fail("killed", 0.02)
        world.may_fail("away", 0.05)
        world.may_restart()
        for bar, ts_us in zip(bars.to_records(), write_ts_us.tolist(), strict=True):
            key = (bar.feed, bar.symbol, bar.interval, bar.ts_open_ns)
            before = world.bars.get(key)
            # Of two writes with one time Cassandra keeps one, by bytes and not by order.
            wins = before is None or ts_us > before[0] or (ts_us == before[0] and world.rng.random() < 0.5)
            if before is not None and wins:
                assert bar.revision >= before[1].revision
            if wins:
                world.undo.append((world.clock.now_ns() - FakeClock().now_ns(), key, before))
                world.bars[key] = (ts_us, bar)
        world.may_restart()
        world.may_fail("away", 0.05)
        world.may_fail("killed", 0.02)

    def want(self) -> None:
        """Need no thread."""

    def confirm(self) -> None:
        self.proven_ns()

    def proven_ns(self) -> int:
        if self._world.is_restarted:
            self._world.is_restarted = False
            raise StoreRestarted(what="the store was started again", service="Cassandra")
        return self._world.sync()


class _Archive:
    """Stands for `StoreArchive` and `StoreHistory`, strict about what it is asked for."""

    def __init__(self, world: BarsWorld) -> None:
        self._world = world

    def trades(self, feed: str, symbol: str, day: int, spans: Sequence[Span]) -> StoredTrades:
        found = [t for t in self._of(Trade, feed, symbol, day) if any(a <= t.ts_ns < b for a, b in spans)]
        self._world.rng.shuffle(found)
        columns = Columns.from_records(Trade, found)
        return StoredTrades(packed_trades(symbol, columns.data), columns["venue"], columns["trade_id"])

    def find(self, feed: str, symbol: str, day: int, event_ids: Times, near_ns: Times) -> Times:
        assert len(event_ids) == len(near_ns) > 0
        wanted = set(event_ids.tolist())
        return np.array(
            [t.ts_ns for t in self._of(Trade, feed, symbol, day) if t.event_id in wanted], dtype=np.int64
        )

    def corrections(self, feed: str, symbol: str, day: int) -> Columns[Correction]:
        return Columns.from_records(Correction, self._of(Correction, feed, symbol, day))

    def corrected_symbols(self, feed: str, day: int) -> Sequence[str]:
        self._world.may_fail("away", 0.02)
        stored = self._world.stored(Correction)
        return sorted({c.symbol for c in stored if (c.feed, c.day) == (feed, day)})

    def bars(self, feed: str, symbol: str, date: int, spans: Mapping[str, Span]) -> Columns[Bar]:
        self._world.may_fail("away", 0.02)
        self._world.may_restart()
        self._world.on_read_bars()
        found = [
            bar
            for bar in self._world.stored_bars()
            if (bar.feed, bar.symbol, bar.day) == (feed, symbol, date)
            and bar.interval in spans
            and spans[bar.interval][0] <= bar.ts_open_ns < spans[bar.interval][1]
        ]
        return Columns.from_records(Bar, sorted(found, key=lambda bar: bar.ts_open_ns))

    def symbols(self, feed: str, day: int) -> Iterable[str]:
        return {bar.symbol for bar in self._world.stored_bars() if (bar.feed, bar.day) == (feed, day)}

    def minutes(self, keys: Sequence[tuple[str, str, int]]) -> Columns[Bar]:
        self._world.may_fail("away", 0.02)
        found = [bar for bar in self._world.stored_bars() if (bar.feed, bar.symbol, bar.day) in keys]
        return Columns.from_records(Bar, [bar for bar in found if bar.interval == "1m"])

    def _of(self, record: type[Any], feed: str, symbol: str, day: int) -> Iterator[Any]:
        self._world.may_fail("away", 0.02)
        self._world.may_fail("killed", 0.01)
        rows = self._world.stored(record)
        return (r for r in rows if (r.feed, r.symbol, r.day) == (feed, symbol, day))
