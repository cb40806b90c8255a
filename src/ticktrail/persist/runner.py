"""Kafka to Cassandra.

Guarantee: an offset is committed only after every record before it is acknowledged by the store and proven to
be on its disk, or is a dead letter acknowledged by Kafka. Whatever dies in between, the same records are read
and written again, and writing them again changes nothing.

While the store is away, nothing more is taken from Kafka and one write is tried again and again; once it is
stored, the others follow at once.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ticktrail.bus import Consumer, LagGauge, Partition, Position, Producer, Topics
from ticktrail.clock import NS_PER_MS, NS_PER_SECOND, Backoff, Clock
from ticktrail.config import Settings
from ticktrail.errors import RecordsLost, StoreRestarted, TicktrailError, Transient, WriteRejected
from ticktrail.model import Flag
from ticktrail.persist import metrics
from ticktrail.persist.batch import Letter, Poll, Write
from ticktrail.persist.checkpoint import Checkpoint
from ticktrail.persist.letters import Letters
from ticktrail.persist.loss import LagWatch, gap_of
from ticktrail.store import SyncProver, Writer
from ticktrail.telemetry import get_logger

__all__ = ["Persist"]

_log = get_logger("persist")

_COMMIT_EVERY_NS = 200 * NS_PER_MS
_BACKOFF_S = (0.1, 10.0)
# Polls whose writes are not all acknowledged; beyond it nothing is taken from Kafka.
_OPEN_POLLS_MAX = 64
# How long a partition that is being taken away, or a stop, may wait for answers of the store.
_SETTLE_TIMEOUT_S = 15.0
# How long a stop waits beyond the servers' lag for the proof of what they acknowledged.
_PROOF_TIMEOUT_S = 2.0
_ANSWER_WAIT_S = 0.05


@dataclass
class _Task:
    """A poll's work: how much of it is still to be acknowledged."""

    ticket: int
    poll: Poll
    begun_ns: int
    open_writes: int = 0
    open_records: int = 0


@dataclass(frozen=True)
class _Answer:
    """What became of one write; made on the driver's threads, read on ours."""

    task: _Task
    write: Write
    error: TicktrailError | None


class Persist:
    """Runs the stage on the calling thread until told to stop.

    Parameters
    ----------
    settings
        Where Kafka is, and how much to take at once.
    writer
        Into a migrated store.
    prover
        Of the same session.
    clock
        For latencies and back-off.
    stop
        Set it to end `run` soon; work that was taken is finished first.
    """

    def __init__(
        self, settings: Settings, writer: Writer, prover: SyncProver, clock: Clock, stop: threading.Event
    ) -> None:
        self._settings = settings
        self._writer = writer
        self._prover = prover
        self._clock = clock
        self._stop = stop
        self._topics = Topics.of(settings.kafka)
        self._letters = Letters(Producer(settings.kafka, clock), self._topics)
        self._committed_states: dict[Partition, str] = {}
        self._lag = LagGauge(metrics.LAG)
        self._lag_watch = LagWatch(settings.kafka.retention_hours, clock)
        self._next_commit_ns = 0
        self._never = threading.Event()  # its wait is a pause
        self._begin_anew()

    def run(self) -> None:
        """Store until stopped.

        Raises
        ------
        Terminal
            Going on cannot help. Nothing that was taken and not stored has been committed.
        """
        backoff = Backoff(*_BACKOFF_S)
        while not self._stop.is_set():
            begun_ns = self._clock.monotonic_ns()
            try:
                self._run_as_member()
            except Transient as error:
                # A restarted store, or trouble with Kafka that its client does not mend by itself: go back to
                # what is committed.
                delay_s = backoff.next_s((self._clock.monotonic_ns() - begun_ns) / NS_PER_SECOND)
                _log.warning("persist.restarted", error=str(error), delay_s=round(delay_s, 2))
                self._clock.wait(self._stop, delay_s)
                self._begin_anew()

    def _begin_anew(self) -> None:
        self._writer.forget()
        self._checkpoint = Checkpoint()
        self._tasks: dict[int, _Task] = {}
        self._answers: queue.SimpleQueue[_Answer] = queue.SimpleQueue()
        # Writes that failed for now. While there are any, nothing is taken from Kafka.
        self._failed: deque[tuple[_Task, Write]] = deque()
        self._retry_at_ns: int | None = None
        self._backoff = Backoff(*_BACKOFF_S)
        # Set where waiting for answers makes no sense any more.
        self._is_over = False

    def _run_as_member(self) -> None:
        self._consumer = Consumer(
            self._settings.kafka,
            self._settings.persist.group,
            self._topics.persisted,
            self._assigned,
            self._revoked,
            batch_ms=self._settings.persist.batch_ms,
        )
        try:
            while not self._stop.is_set():
                self._step()
            self._settle_all()
            self._await_proof()
            self._commit()
        except StoreRestarted:
            self._is_over = True  # no answer is worth waiting for
            raise
        finally:
            self._consumer.close()
            for task in self._tasks.values():
                metrics.ABANDONED.inc(task.open_records)

    def _step(self) -> None:
        if self._failed:
            self._consumer.pause()
            self._retry_if_due()
        else:
            self._consumer.resume()
        if self._failed or self._checkpoint.open_tickets < _OPEN_POLLS_MAX:
            # Also while paused, or the group would take this member for dead.
            try:
                batches = self._consumer.poll(self._settings.persist.poll_records_max)
            except RecordsLost as loss:
                self._pass_over(loss)
                return
            for batch in batches:
                self._lag_watch.take(batch.partition, int(batch.append_ts_ms[-1]))
            if batches:
                self._begin(Poll(batches))
        else:
            self._take_answer(_ANSWER_WAIT_S)
        if self._failed:
            self._take_answer(_ANSWER_WAIT_S)
        while self._take_answer(0.0):
            pass
        now_ns = self._clock.monotonic_ns()
        if now_ns >= self._next_commit_ns:
            self._prove()
            self._commit()
            self._observe()
            self._next_commit_ns = now_ns + _COMMIT_EVERY_NS

    def _begin(self, poll: Poll) -> None:
        task = _Task(self._checkpoint.begin(poll.spans()), poll, self._clock.monotonic_ns())
        self._tasks[task.ticket] = task
        metrics.RECEIVED.inc(poll.count)
        metrics.BATCH.observe(poll.count)
        metrics.NOT_STORED.inc(poll.not_stored)
        metrics.UNKNOWN_FIELDS.inc(poll.unknown_fields)
        self._bury(list(poll.letters()))
        writes = list(poll.writes())
        task.open_writes = len(writes)
        task.open_records = sum(len(write.columns) for write in writes if not write.is_copy)
        for write in writes:
            self._submit(task, write)
        if not writes:
            self._settle(task)

    def _pass_over(self, loss: RecordsLost) -> None:
        """Go on where the log does; the ledger keeps what it lost."""
        partition = Partition(loss.topic, loss.partition)
        gap = gap_of(loss, self._committed_states.get(partition, ""), self._clock.now_ns())
        _log.error("persist.records_lost", error=str(loss), detail=gap.detail)
        self._until_taken(lambda: self._letters.send_gap(gap))
        metrics.LOST.inc(max(loss.end - loss.first, 0), topic=loss.topic)
        self._checkpoint.release(partition)
        self._checkpoint.hold(partition)
        self._consumer.commit({partition: Position(loss.end)})
        self._consumer.seek(partition, loss.end)

    def _submit(self, task: _Task, write: Write) -> None:
        """Send a write; its answer comes back through the queue, also when sending itself fails."""
        answers = self._answers
        try:
            self._writer.submit(
                write.table,
                write.columns,
                write.write_ts_us,
                lambda error: answers.put(_Answer(task, write, error)),
            )
        except TicktrailError as error:
            answers.put(_Answer(task, write, error))

    def _take_answer(self, timeout_s: float) -> bool:
        try:
            answer = self._answers.get(timeout=timeout_s) if timeout_s else self._answers.get_nowait()
        except queue.Empty:
            return False
        task, write, error = answer.task, answer.write, answer.error
        if isinstance(error, Transient):
            self._put_aside(task, write, error)
            return True
        if error is None:
            task.open_writes -= 1
            self._count(task, write)
        elif isinstance(error, WriteRejected):
            self._isolate(task, write, error)
        else:
            self._is_over = True
            raise error
        if task.open_writes == 0:
            self._settle(task)
        self._retry_all()  # the store answers
        return True

    def _put_aside(self, task: _Task, write: Write, error: Transient) -> None:
        self._failed.append((task, write))
        if self._retry_at_ns is None:
            delay_s = self._backoff.next_s()
            self._retry_at_ns = self._clock.monotonic_ns() + int(delay_s * NS_PER_SECOND)
            _log.warning(
                "persist.retry", error=str(error), delay_s=round(delay_s, 2), writes=len(self._failed)
            )

    def _retry_if_due(self) -> None:
        """Try one write again; what becomes of it decides about the others."""
        if self._retry_at_ns is not None and self._clock.monotonic_ns() >= self._retry_at_ns:
            self._retry_at_ns = None
            self._resubmit(*self._failed.popleft())

    def _retry_all(self) -> None:
        self._backoff.reset()
        self._retry_at_ns = None
        for _ in range(len(self._failed)):
            self._resubmit(*self._failed.popleft())

    def _resubmit(self, task: _Task, write: Write) -> None:
        metrics.RETRIES.inc()
        self._submit(task, write)

    def _isolate(self, task: _Task, write: Write, error: WriteRejected) -> None:
        """Find the row that the store refuses, by halves; it becomes a dead letter, the others are stored."""
        if len(write.columns) > 1:
            task.open_writes += 1
            for half in write.halves():
                self._submit(task, half)
            return
        task.open_writes -= 1
        if write.is_copy:
            # The row itself is stored in its own table, or refused and buried there.
            _log.warning("persist.copy_refused", table=write.table.name, error=str(error))
            return
        self._bury([task.poll.letter(int(write.rows[0]), "store_rejected", str(error))])
        task.open_records -= 1

    def _bury(self, letters: list[Letter]) -> None:
        """Write dead letters; go on only when Kafka has them."""
        if letters:
            self._until_taken(lambda: self._letters.send(letters))
            metrics.DEAD_LETTERS.inc(len(letters))

    def _until_taken(self, send: Callable[[], None]) -> None:
        """Send until Kafka has acknowledged; raises only where told to stop meanwhile."""
        backoff = Backoff(*_BACKOFF_S)
        while True:
            try:
                return send()
            except Transient as error:
                if self._stop.is_set():
                    self._is_over = True
                    raise
                delay_s = backoff.next_s()
                _log.warning("persist.letters_waiting", error=str(error), delay_s=round(delay_s, 2))
                self._clock.wait(self._stop, delay_s)

    def _settle(self, task: _Task) -> None:
        del self._tasks[task.ticket]
        self._checkpoint.settle(task.ticket, self._clock.monotonic_ns())

    def _prove(self) -> None:
        """Ask what of the acknowledged is on disk; raises `StoreRestarted` where some may be lost."""
        self._checkpoint.prove(self._prover.proven_ns())
        if self._checkpoint.oldest_settled_ns() is not None:
            self._prover.want()

    def _await_proof(self) -> None:
        """Wait for the proof of all that is acknowledged, so that the next reader need not write it again."""
        timeout_ns = self._prover.lag_ns + int(_PROOF_TIMEOUT_S * NS_PER_SECOND)
        deadline_ns = self._clock.monotonic_ns() + timeout_ns
        self._prove()
        while self._checkpoint.oldest_settled_ns() is not None and self._clock.monotonic_ns() < deadline_ns:
            self._clock.wait(self._never, _ANSWER_WAIT_S)
            self._prove()

    def _commit(self) -> None:
        due = self._checkpoint.due()
        if not due:
            return
        try:
            self._consumer.commit(due)
        except Transient as error:
            # The same or later offsets are committed at the next turn.
            _log.warning("persist.commit_failed", error=str(error))
            return
        self._checkpoint.committed(due)
        self._committed_states |= {partition: position.state for partition, position in due.items()}

    def _settle_all(self) -> None:
        """Wait for what is open; what the store does not take meanwhile is left to the next reader."""
        deadline_ns = self._clock.monotonic_ns() + int(_SETTLE_TIMEOUT_S * NS_PER_SECOND)
        while self._checkpoint.open_tickets and not self._is_over:
            gives_up = self._stop.is_set() and self._failed
            if gives_up or self._clock.monotonic_ns() >= deadline_ns:
                _log.warning("persist.gave_up_waiting", open_polls=self._checkpoint.open_tickets)
                return
            self._retry_if_due()
            self._take_answer(_ANSWER_WAIT_S)

    def _count(self, task: _Task, write: Write) -> None:
        if write.is_copy:
            return
        columns = write.columns
        task.open_records -= len(columns)
        metrics.STORED.inc(len(columns), table=write.table.name)
        if "ts_event_ns" not in columns.data:
            return
        is_live = (columns["flags"] & Flag.NO_RECV_TIME) == 0
        now_ns = self._clock.now_ns()
        metrics.LATENCY_RECV.observe_ns(now_ns - columns["ts_recv_ns"][is_live])
        metrics.LATENCY_EVENT.observe_ns(now_ns - columns["ts_event_ns"][is_live])

    def _observe(self) -> None:
        metrics.OPEN_POLLS.set(self._checkpoint.open_tickets)
        metrics.CHECKPOINT_AGE.set(self._checkpoint_age_s())
        metrics.ASSIGNED.set(self._checkpoint.partitions)
        lags = self._consumer.lag()
        metrics.LAG_AGE.set(self._lag_watch.age_s(lags))
        self._lag.set(lags)

    def _checkpoint_age_s(self) -> float:
        now_ns = self._clock.monotonic_ns()
        settled_ns = self._checkpoint.oldest_settled_ns()
        begun_ns = next((task.begun_ns for task in self._tasks.values()), None)  # they stand in their order
        oldest_ns = min((ns for ns in (settled_ns, begun_ns) if ns is not None), default=now_ns)
        return (now_ns - oldest_ns) / NS_PER_SECOND

    def _assigned(self, positions: Mapping[Partition, Position]) -> None:
        for partition, position in positions.items():
            self._checkpoint.hold(partition)
            self._committed_states[partition] = position.state
            if position.state.isdigit():
                self._lag_watch.take(partition, int(position.state))
        _log.info("persist.assigned", partitions=[f"{p.topic}/{p.number}" for p in positions])

    def _revoked(self, partitions: Sequence[Partition]) -> None:
        self._settle_all()
        self._commit()
        for partition in partitions:
            self._checkpoint.release(partition)
        _log.info("persist.revoked", partitions=[f"{p.topic}/{p.number}" for p in partitions])
