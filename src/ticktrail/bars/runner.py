"""Trades in Kafka to bars in Cassandra and Kafka.

Guarantee: what closes is acknowledged by Kafka and by the store, and proven to be on its disk, before the
offsets of its trades are committed. After a crash, also of the store, the same bars are built again with the
same content: in the store they replace themselves, in Kafka they may stand twice.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ticktrail.bars import metrics
from ticktrail.bars.engine import BarBuilder, Step
from ticktrail.bars.store_history import StoreHistory
from ticktrail.bus import Consumer, Partition, PartitionBatch, Position, Producer, Topics, message_key
from ticktrail.clock import NS_PER_MS, NS_PER_SECOND, Backoff, Clock
from ticktrail.codec import DecodedKind, decode_columns, encode_columns
from ticktrail.config import Settings
from ticktrail.errors import Transient
from ticktrail.model import Bar, Columns, Heartbeat, Record, Trade
from ticktrail.store import BARS, Reader, SyncProver, Writer
from ticktrail.telemetry import get_logger

__all__ = ["BarRunner"]

_log = get_logger("bars")

_COMMIT_EVERY_NS = 200 * NS_PER_MS
_BACKOFF_S = (0.1, 10.0)
# Together about half a minute: while it waits the stage does not poll, and after five minutes of that the
# group would take it for dead.
_TRIES_MAX = 8
_FLUSH_TIMEOUT_S = 60.0
# How long a stop waits beyond the servers' lag for the proof of what they acknowledged.
_PROOF_TIMEOUT_NS = 2 * NS_PER_SECOND
_PROOF_LOOK_S = 0.05
# Bars close a second late anyway: fewer, fuller polls spare the processor.
_POLL_TIMEOUT_S = 0.02
_NS_PER_US = 1_000
_SHOWN_BARS_MAX = 40


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
        self._writer = writer
        self._prover = prover
        self._reader = reader
        self._clock = clock
        self._stop = stop
        self._topics = Topics.of(settings.kafka)
        self._producer = Producer(settings.kafka, clock)
        self._builders: dict[Partition, BarBuilder] = {}
        self._committed: dict[Partition, Position] = {}
        # Where the partitions stood, and when: to be committed once that time is proven.
        self._acknowledged: deque[tuple[int, dict[Partition, Position]]] = deque()
        self._never = threading.Event()  # its wait is a pause
        self._next_commit_ns = 0
        self._lock = threading.Lock()

    def run(self) -> None:
        """Build bars until stopped.

        Raises
        ------
        Terminal
            Going on cannot help; what was not acknowledged is not committed.
        """
        backoff = Backoff(*_BACKOFF_S)
        while not self._stop.is_set():
            try:
                self._run_as_member()
            except Transient as error:
                # What was closed and not acknowledged is built again, from the last commit on.
                delay_s = backoff.next_s()
                _log.warning("bars.restarted", error=str(error), delay_s=round(delay_s, 2))
                self._clock.wait(self._stop, delay_s)

    def _run_as_member(self) -> None:
        settings = self._settings
        self._writer.forget()
        self._acknowledged.clear()
        self._consumer = Consumer(
            settings.kafka, settings.bars.group, [self._topics.trades], self._assigned, self._revoked
        )
        try:
            while not self._stop.is_set():
                self._step()
            self._await_proof()
        except BaseException:
            # Builders are ahead of what was acknowledged: closing the consumer must not commit their offsets.
            with self._lock:
                self._builders.clear()
            raise
        finally:
            self._consumer.close()

    def _step(self) -> None:
        batches = self._consumer.poll(self._settings.bars.poll_records_max, _POLL_TIMEOUT_S)
        with self._lock:
            closed = [bars for batch in batches if len(bars := self._read(batch))]
        if closed:
            self._put(Columns.concat(closed))
        now_ns = self._clock.monotonic_ns()
        if now_ns >= self._next_commit_ns:
            self._commit()
            metrics.ASSIGNED.set(len(self._builders))
            metrics.LAG.set(sum(self._consumer.lag().values()))
            self._next_commit_ns = now_ns + _COMMIT_EVERY_NS

    def forming(self) -> list[dict[str, Any]]:
        """Sum up the most traded minutes that are open; any thread may ask."""
        with self._lock:
            bars = [builder.forming() for builder in self._builders.values()]
        whole = Columns.concat(bars) if bars else None
        if whole is None or not len(whole):
            return []
        chosen = whole.take(np.argsort(-whole["trades"], kind="stable")[:_SHOWN_BARS_MAX])
        names = ("symbol", "ts_open_ns", "open", "high", "low", "close", "volume", "vwap", "trades")
        return [{name: getattr(bar, name) for name in names} for bar in chosen.to_records()]

    def _read(self, batch: PartitionBatch) -> Columns[Bar]:
        decoded = decode_columns(batch.values)
        trades, trade_rows = _of_kind(decoded.kinds, Trade)
        beats, beat_rows = _of_kind(decoded.kinds, Heartbeat)
        metrics.TRADES.inc(len(trades))
        metrics.REJECTED.inc(len(decoded.rejected))
        step = self._builders[batch.partition].read(
            trades,
            batch.offsets[trade_rows],
            heartbeats=beats,
            heartbeat_offsets=batch.offsets[beat_rows],
            next_offset=int(batch.offsets[-1]) + 1,
        )
        _count(step)
        return step.bars

    def _put(self, bars: Columns[Bar]) -> None:
        """Store and publish; raises where that is not possible for long, or when told to stop meanwhile."""
        backoff = Backoff(*_BACKOFF_S)
        # A later revision must win, whenever it is written: time and revision decide, not the clock.
        write_ts_us = bars["ts_close_ns"] // _NS_PER_US + bars["revision"]
        while True:
            try:
                self._writer.write(BARS, bars, write_ts_us)
                break
            except Transient as error:
                if self._stop.is_set() or backoff.tries >= _TRIES_MAX:
                    raise
                delay_s = backoff.next_s()
                _log.warning("bars.retry", error=str(error), delay_s=round(delay_s, 2), bars=len(bars))
                metrics.RETRIES.inc()
                self._clock.wait(self._stop, delay_s)
        feeds, symbols = bars["feed"].tolist(), bars["symbol"].tolist()
        keys = [message_key(f.decode(), s.decode()) for f, s in zip(feeds, symbols, strict=True)]
        self._producer.send(self._topics.for_record(Bar), keys, encode_columns(bars))
        self._producer.flush(_FLUSH_TIMEOUT_S)
        intervals, counts = np.unique(bars["interval"], return_counts=True)
        for interval, count in zip(intervals.tolist(), counts.tolist(), strict=True):
            metrics.BARS.inc(count, interval=interval.decode())

    def _commit(self) -> None:
        """Commit what is proven to be on disk.

        Raises
        ------
        StoreRestarted
            Bars that were acknowledged may be lost: build them again.
        """
        self._note_positions()
        self._commit_proven(self._prover.proven_ns())

    def _note_positions(self) -> None:
        """Note where the partitions stand: everything given out before is acknowledged."""
        positions = {
            partition: Position(offset, builder.state())
            for partition, builder in self._builders.items()
            if (offset := builder.commit_offset()) is not None
        }
        if positions != (self._acknowledged[-1][1] if self._acknowledged else self._committed):
            self._acknowledged.append((self._clock.monotonic_ns(), positions))
        if self._acknowledged:
            self._prover.want()

    def _commit_proven(self, until_ns: int) -> None:
        proven: dict[Partition, Position] = {}
        while self._acknowledged and self._acknowledged[0][0] <= until_ns:
            proven |= self._acknowledged.popleft()[1]
        due = {
            partition: position
            for partition, position in proven.items()
            if partition in self._builders and position != self._committed.get(partition)
        }
        try:
            self._consumer.commit(due)
        except Transient as error:
            # The same or later positions are committed at the next turn.
            _log.warning("bars.commit_failed", error=str(error))
            return
        self._committed |= due

    def _await_proof(self) -> None:
        """Wait for the proof of all that is acknowledged, so that the next reader need not build it again."""
        timeout_ns = self._prover.lag_ns + _PROOF_TIMEOUT_NS
        deadline_ns = self._clock.monotonic_ns() + timeout_ns
        self._commit()
        while self._acknowledged and self._clock.monotonic_ns() < deadline_ns:
            self._clock.wait(self._never, _PROOF_LOOK_S)
            self._commit_proven(self._prover.proven_ns())

    def _assigned(self, positions: Mapping[Partition, Position]) -> None:
        for partition, position in positions.items():
            history = StoreHistory(self._reader, partition.number, self._settings.kafka.partitions)
            builder = BarBuilder(self._settings.bars, history=history)
            if position.state:
                builder.restore(position.state)
            self._builders[partition] = builder
            self._committed.pop(partition, None)
        _log.info("bars.assigned", partitions=[f"{p.topic}/{p.number}" for p in positions])

    def _revoked(self, partitions: Sequence[Partition]) -> None:
        # What is not proven yet is built again by the next reader.
        for partition in partitions:
            self._builders.pop(partition, None)
            for _, noted in self._acknowledged:
                noted.pop(partition, None)
        _log.info("bars.revoked", partitions=[f"{p.topic}/{p.number}" for p in partitions])


def _of_kind(kinds: Mapping[type[Record], DecodedKind], record: type[Record]) -> DecodedKind:
    found = kinds.get(record)
    if found is not None:
        return found
    return DecodedKind(Columns.from_records(record, []), np.empty(0, dtype=np.int64))


def _count(step: Step) -> None:
    metrics.LATE.inc(int(np.count_nonzero(step.is_late_for_minute)), interval="1m")
    metrics.LATE.inc(int(np.count_nonzero(~step.is_late_for_minute)), interval="1s")
    metrics.AHEAD.inc(len(step.ahead))
