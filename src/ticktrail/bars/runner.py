"""Trades in Kafka to bars in Cassandra and Kafka.

Guarantee: what closes is acknowledged by Kafka and by the store, and proven to be on its disk, before the
offsets of its trades are committed; and so is every rebuild that a late trade, a trade ahead of its time or a
correction calls for, before its offset is. After a crash, also of the store, the same bars are built again
with the same content: in the store they replace themselves, in Kafka they may stand twice.

Rebuilds read the store, and wait until persist has committed what they need. They take a third of the time at
most, and a fifth where reading is behind, so that bars close in time whatever else is to be done; meanwhile
many reasons become one rebuild.
Should too much wait nevertheless, nothing more is taken from Kafka until there is less.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

import msgspec

from ticktrail.bars import metrics
from ticktrail.bars.dirty import Window
from ticktrail.bars.engine import BarBuilder, us_equities
from ticktrail.bars.forming import most_traded
from ticktrail.bars.output import BarOutput
from ticktrail.bars.partition import PartitionBars
from ticktrail.bars.persisted import Patience, PersistWatch
from ticktrail.bars.rebuild import Rebuilder, Rebuilt
from ticktrail.bars.store_archive import StoreArchive
from ticktrail.bars.store_history import StoreHistory
from ticktrail.bus import (
    Consumer,
    GroupPositions,
    LagGauge,
    Partition,
    PartitionBatch,
    Position,
    Producer,
    Topics,
    message_key,
    partition_of,
)
from ticktrail.clock import NS_PER_MS, NS_PER_SECOND, Backoff, Clock
from ticktrail.codec import Decoded, decode_columns
from ticktrail.config import Settings
from ticktrail.config.settings import BarsSettings
from ticktrail.errors import RecordsLost, StoreRestarted, Transient
from ticktrail.model import Columns, Flag, Trade
from ticktrail.store import Reader, SyncProver, Writer
from ticktrail.telemetry import get_logger

__all__ = ["BarRunner", "kept_intervals"]

_log = get_logger("bars")

_COMMIT_EVERY_NS = 200 * NS_PER_MS
_BACKOFF_S = (0.1, 10.0)
# How long a stop waits beyond the servers' lag for the proof of what they acknowledged.
_PROOF_TIMEOUT_NS = 2 * NS_PER_SECOND
_PROOF_LOOK_S = 0.05
# Bars close a second late anyway: fewer, fuller polls spare the processor.
_POLL_TIMEOUT_S = 0.02

# Rebuilds in one go; where reading is behind, it then has its turn for as much longer as this was.
_REBUILD_NS = 100 * NS_PER_MS
_REBUILD_REST = 4
_BEHIND_S = 0.5
# What a rebuild has read is trusted for so long only: while this process was stopped, another one may have
# taken the partition over and written the same bars.
_REBUILD_AGE_NS_MAX = 30 * NS_PER_SECOND
# Some 10 MB; a re-import of a day makes as many in a second.
_DIRTY_MAX = 20_000


def kept_intervals(settings: BarsSettings) -> BarsSettings:
    """Add 1m where a longer interval is wanted: those are rolled up from stored minutes."""
    if {"5m", "1h", "1d"} & set(settings.intervals) and "1m" not in settings.intervals:
        return msgspec.structs.replace(settings, intervals=("1m", *settings.intervals))
    return settings


class BarRunner:
    """Runs the stage on the calling thread until told to stop.

    Parameters
    ----------
    writer, prover, reader
        Of one session to a migrated store.
    stop
        Set it to end `run` soon.
    """

    def __init__(
        self,
        settings: Settings,
        writer: Writer,
        prover: SyncProver,
        reader: Reader,
        clock: Clock,
        stop: threading.Event,
    ) -> None:
        self._settings = settings
        self._bars_settings = kept_intervals(settings.bars)
        self._writer = writer
        self._prover = prover
        self._reader = reader
        self._clock = clock
        self._stop = stop
        self._topics = Topics.of(settings.kafka)
        self._output = BarOutput(writer, Producer(settings.kafka, clock), self._topics, clock, stop)
        self._archive = StoreArchive(reader)
        self._rebuilder = Rebuilder(self._archive, self._bars_settings.intervals, us_equities)
        self._partitions: dict[Partition, PartitionBars] = {}
        # The log's time of the last record read, milliseconds since 1970.
        self._read_ms: dict[Partition, int] = {}
        self._never = threading.Event()  # its wait is a pause
        self._lock = threading.Lock()
        self._next_commit_ns = 0
        self._next_rebuild_ns = 0
        self._turn = 0
        self._backoff = Backoff(*_BACKOFF_S)
        self._patience = Patience(settings.persist.group, clock.monotonic_ns())
        self._is_paused = False
        self._lag = LagGauge(metrics.LAG)

    def run(self) -> None:
        """Build bars until stopped.

        Raises
        ------
        Terminal
            Going on cannot help; what was not acknowledged is not committed.
        """
        backoff = Backoff(*_BACKOFF_S)
        positions = GroupPositions(self._settings.kafka, self._settings.persist.group)
        with closing(PersistWatch(positions, self._clock)) as self._watch:
            while not self._stop.is_set():
                begun_ns = self._clock.monotonic_ns()
                try:
                    self._run_as_member()
                except Transient as error:
                    # What was closed and not acknowledged is built again, from the last commit on.
                    delay_s = backoff.next_s((self._clock.monotonic_ns() - begun_ns) / NS_PER_SECOND)
                    _log.warning("bars.restarted", error=str(error), delay_s=round(delay_s, 2))
                    self._clock.wait(self._stop, delay_s)

    def _run_as_member(self) -> None:
        settings = self._settings
        self._writer.forget()
        self._is_paused = False
        self._consumer = Consumer(
            settings.kafka,
            settings.bars.group,
            [self._topics.trades],
            self._assigned,
            self._revoked,
            batch_ms=settings.bars.batch_ms,
        )
        try:
            while not self._stop.is_set():
                self._step()
            self._await_proof()
        except BaseException:
            # They are ahead of what was acknowledged: closing the consumer must not commit their offsets.
            with self._lock:
                self._partitions.clear()
            raise
        finally:
            self._consumer.close()

    def _step(self) -> None:
        try:
            batches = self._consumer.poll(self._settings.bars.poll_records_max, _POLL_TIMEOUT_S)
        except RecordsLost as loss:
            self._pass_over(loss)
            return
        closed = []
        with self._lock:
            for batch in batches:
                decoded = decode_columns(batch.values)
                bars = self._partitions[batch.partition].read(decoded, batch.offsets)
                if len(bars):
                    closed.append(bars)
                self._measure(batch, decoded)
        if batches:
            metrics.BATCH.observe(sum(len(batch.values) for batch in batches))
        if closed:
            self._output.put(Columns.concat(closed))
        if self._clock.monotonic_ns() >= self._next_commit_ns:
            self._rebuild()
            self._commit()
            self._observe()
            self._next_commit_ns = self._clock.monotonic_ns() + _COMMIT_EVERY_NS

    def _pass_over(self, loss: RecordsLost) -> None:
        """Go on where the log does, without what was open: bars with a hole would be wrong."""
        _log.error(
            "bars.records_lost",
            error=str(loss),
            mend="build the days in question again from what persist has stored: "
            "ticktrail bars --rebuild FEED DAY --write",
        )
        metrics.LOST.inc(max(loss.end - loss.first, 0))
        partition = Partition(loss.topic, loss.partition)
        dirty = self._partitions[partition].dirty
        metrics.FORGOTTEN.inc(len(dirty) + dirty.waiting)
        self._begin(partition, Position(loss.end))
        self._consumer.commit({partition: Position(loss.end)})
        self._consumer.seek(partition, loss.end)

    def _measure(self, batch: PartitionBatch, decoded: Decoded) -> None:
        self._read_ms[batch.partition] = int(batch.append_ts_ms[-1])
        if (trades := decoded.kinds.get(Trade)) is not None:
            columns = trades.columns
            is_live = (columns["flags"] & Flag.NO_RECV_TIME) == 0
            metrics.LATENCY_RECV.observe_ns(self._clock.now_ns() - columns["ts_recv_ns"][is_live])

    def forming(self) -> list[dict[str, Any]]:
        """Sum up the most traded minutes that are open; any thread may ask."""
        with self._lock:
            bars = [each.builder.forming() for each in self._partitions.values()]
        return most_traded(bars)

    def _rebuild(self) -> None:
        """Rebuild some of what is dirty; what fails for now is tried again."""
        dirty = {partition: each for partition, each in self._partitions.items() if each.dirty}
        started_ns = self._clock.monotonic_ns()
        if not dirty or started_ns < self._next_rebuild_ns:
            return
        persisted = self._watch.offsets(dirty)
        self._patience.wait(persisted, sum(len(each.dirty) for each in dirty.values()), started_ns)
        lag = self._consumer.lag()
        try:
            for partition, each in self._in_turn(dirty):
                committed = persisted.get(partition, 0)
                for _ in each.look_up(committed, each.builder.position + lag.get(partition, 0)):
                    if self._clock.monotonic_ns() - started_ns > _REBUILD_NS:
                        break
                each.settle()
                self._rebuild_partition(each, committed, started_ns)
        except StoreRestarted:
            raise
        except Transient as error:
            delay_s = self._backoff.next_s()
            metrics.RETRIES.inc()
            _log.warning("bars.rebuild_retry", error=str(error), delay_s=round(delay_s, 2))
            self._next_rebuild_ns = self._clock.monotonic_ns() + int(delay_s * NS_PER_SECOND)
        else:
            self._backoff.reset()
            took_ns = self._clock.monotonic_ns() - started_ns
            has_time = self._is_paused or self._lag_age_s(lag) < _BEHIND_S
            self._next_rebuild_ns = started_ns + took_ns * (1 if has_time else 1 + _REBUILD_REST)

    def _in_turn(self, dirty: dict[Partition, PartitionBars]) -> list[tuple[Partition, PartitionBars]]:
        """Begin with another partition each time, as there may not be time for all."""
        self._turn += 1
        first = self._turn % len(dirty)
        items = list(dirty.items())
        return items[first:] + items[:first]

    def _rebuild_partition(self, partition: PartitionBars, persisted: int, started_ns: int) -> None:
        """Rebuild as much of a partition as there is time for.

        Raises
        ------
        StoreRestarted
            The store may have been read without bars that it had acknowledged; nothing was written.
        """
        read_ns = self._clock.monotonic_ns()
        done: dict[tuple[str, str, int], tuple[list[Window], Rebuilt]] = {}
        for windows, job in partition.jobs(persisted):
            if done and self._clock.monotonic_ns() - started_ns > _REBUILD_NS:
                break
            # Two jobs of one date may concern the same longer bar: the second must read what the first wrote.
            if (key := (job.feed, job.symbol, job.date)) not in done:
                done[key] = windows, self._rebuilder.rebuild(job)
        if not done:
            return
        self._prover.confirm()
        if self._clock.monotonic_ns() - read_ns > _REBUILD_AGE_NS_MAX:
            return
        revised = Columns.concat([rebuilt.revised for _, rebuilt in done.values()])
        if len(revised):
            self._output.revise(revised)
        with self._lock:
            partition.finish(list(done.values()), self._clock.monotonic_ns())
        metrics.REBUILT.inc(sum(len(windows) for windows, _ in done.values()))

    def _observe(self) -> None:
        for each in self._partitions.values():
            each.settle()
        dirty = sum(len(each.dirty) for each in self._partitions.values())
        if dirty > _DIRTY_MAX and not self._is_paused:
            _log.warning("bars.paused", dirty=dirty)
            self._consumer.pause()
            self._is_paused = True
        elif dirty < _DIRTY_MAX // 2 and self._is_paused:
            self._consumer.resume()
            self._is_paused = False
        if not dirty:
            self._patience.content(self._clock.monotonic_ns())
        # Before the lag: who sees that there is none must see what is left to be done.
        metrics.DIRTY.set(dirty)
        metrics.WAITING.set(sum(each.dirty.waiting for each in self._partitions.values()))
        metrics.ASSIGNED.set(len(self._partitions))
        metrics.CHECKPOINT_AGE.set(self._checkpoint_age_s())
        lags = self._consumer.lag()
        metrics.LAG_AGE.set(self._lag_age_s(lags))
        self._lag.set(lags)

    def _checkpoint_age_s(self) -> float:
        now_ns = self._clock.monotonic_ns()
        oldest_ns = (each.commits.oldest_ns for each in self._partitions.values())
        return (now_ns - min((ns for ns in oldest_ns if ns is not None), default=now_ns)) / NS_PER_SECOND

    def _lag_age_s(self, lags: Mapping[Partition, int]) -> float:
        self._read_ms = {each: read_ms for each, read_ms in self._read_ms.items() if each in lags}
        behind_ms = [read_ms for each, read_ms in self._read_ms.items() if lags[each] > 0]
        if not behind_ms:
            return 0.0
        return max(0, self._clock.now_ns() - min(behind_ms) * NS_PER_MS) / NS_PER_SECOND

    def _commit(self) -> None:
        """Commit what is proven to be on disk.

        Raises
        ------
        StoreRestarted
            Bars that were acknowledged may be lost: build them again.
        """
        now_ns = self._clock.monotonic_ns()
        for each in self._partitions.values():
            each.note(now_ns)
        self._commit_proven()

    def _commit_proven(self) -> None:
        until_ns = self._prover.proven_ns()
        found = {partition: each.due(until_ns) for partition, each in self._partitions.items()}
        due = {partition: position for partition, position in found.items() if position is not None}
        if any(each.commits.is_open for each in self._partitions.values()):
            self._prover.want()
        try:
            self._consumer.commit(due)
        except Transient as error:
            # The same or later positions are committed at the next turn.
            _log.warning("bars.commit_failed", error=str(error))
            return
        for partition, position in due.items():
            if partition in self._partitions:
                self._partitions[partition].commits.committed(position)

    def _await_proof(self) -> None:
        """Wait for the proof of all that is acknowledged, so that the next reader need not build it again."""
        timeout_ns = self._prover.lag_ns + _PROOF_TIMEOUT_NS
        deadline_ns = self._clock.monotonic_ns() + timeout_ns
        self._commit()
        while self._is_open() and self._clock.monotonic_ns() < deadline_ns:
            self._clock.wait(self._never, _PROOF_LOOK_S)
            self._rebuild()
            self._commit()

    def _is_open(self) -> bool:
        return any(each.commits.is_open for each in self._partitions.values())

    def _assigned(self, positions: Mapping[Partition, Position]) -> None:
        for partition, position in positions.items():
            self._begin(partition, position)
        _log.info("bars.assigned", partitions=[f"{p.topic}/{p.number}" for p in positions])

    def _begin(self, partition: Partition, position: Position) -> None:
        count, number = self._settings.kafka.partitions, partition.number
        history = StoreHistory(self._reader, number, count)
        builder = BarBuilder(self._bars_settings, history=history)
        if position.state:
            builder.restore(position.state, position.offset)

        def is_ours(feed: str, symbol: str) -> bool:
            return partition_of(message_key(feed, symbol), count) == number

        made = PartitionBars(builder, self._archive, is_ours, us_equities)
        with self._lock:
            self._partitions[partition] = made

    def _revoked(self, partitions: Sequence[Partition]) -> None:
        # What is not proven yet is built again by the next reader.
        with self._lock:
            for partition in partitions:
                self._partitions.pop(partition, None)
        _log.info("bars.revoked", partitions=[f"{p.topic}/{p.number}" for p in partitions])
