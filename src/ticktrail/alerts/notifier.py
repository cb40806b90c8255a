"""Alerts in Kafka to the people whom their rules name.

Guarantee: an offset of the topic `alerts` is committed only after every target of every alert before it
has taken it, or the alert is a dead letter acknowledged by Kafka, or it was withheld on purpose and counted:
in quiet hours, while muted, where its target is gone from the settings, or because it is too old. So each
notification is delivered at least once. It carries the alert's id; one that comes twice has the same.

Each target has a thread, so that none waits for another; and evaluation waits for none of them.
"""

from __future__ import annotations

import queue
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ticktrail.alerts import metrics
from ticktrail.alerts.targets import Target
from ticktrail.alerts.watch import RuleWatch
from ticktrail.bus import Consumer, Partition, PartitionBatch, Position, Producer, Topics
from ticktrail.clock import NS_PER_SECOND, Backoff, Clock
from ticktrail.codec import decode_record
from ticktrail.config import Settings
from ticktrail.errors import CodecError, ConfigError, RecordsLost, TicktrailError, Transient
from ticktrail.model import Alert
from ticktrail.persist.checkpoint import Checkpoint, Span
from ticktrail.telemetry import get_logger

__all__ = ["Notifier"]

_log = get_logger("alerts")

_BACKOFF_S = (0.5, 60.0)
_RESTART_S = (0.1, 10.0)
_POLL_S = 0.05
_POLL_RECORDS = 500
# Alerts with a notification under way; beyond it nothing is taken from Kafka.
_OPEN_MAX = 1_000
# Notifications that were delivered, to be told from their repeats.
_REMEMBERED_MAX = 20_000
_FLUSH_TIMEOUT_S = 30.0


class _Job(NamedTuple):
    ticket: int
    alert: Alert
    value: bytes
    partition: Partition
    offset: int


class _Answer(NamedTuple):
    """What became of a job at a target; `error` where it was given up."""

    job: _Job
    target: str
    error: TicktrailError | None


class _Worker:
    """Delivers to one target, one after the other, each with tries of its own."""

    def __init__(
        self, target: Target, tries_max: int, answers: queue.SimpleQueue[_Answer], clock: Clock
    ) -> None:
        self._target = target
        self._tries_max = tries_max
        self._answers = answers
        self._clock = clock
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"notify-{target.name}", daemon=True)
        self._thread.start()

    def put(self, job: _Job) -> None:
        self._jobs.put(job)

    def close(self) -> None:
        """Stop after the try under way; what waits is left to the next member."""
        self._over.set()
        self._jobs.put(None)

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None and not self._over.is_set():
            backoff = Backoff(*_BACKOFF_S)
            while not self._over.is_set():
                try:
                    self._target.send(job.alert)
                except (Transient, ConfigError) as error:
                    is_hopeless = isinstance(error, ConfigError) or backoff.tries + 1 >= self._tries_max
                    if is_hopeless:
                        self._answers.put(_Answer(job, self._target.name, error))
                        break
                    delay_s = backoff.next_s()
                    _log.warning(
                        "alerts.notify_retry",
                        target=self._target.name,
                        id=job.alert.id,
                        error=str(error),
                        delay_s=round(delay_s, 2),
                    )
                    self._clock.wait(self._over, delay_s)
                else:
                    self._answers.put(_Answer(job, self._target.name, None))
                    break


class Notifier:
    """Runs on the calling thread until told to stop.

    Parameters
    ----------
    targets
        Of the settings.
    rules
        Tells which rules are muted.
    stop
        Set it to end `run` soon.
    """

    def __init__(
        self,
        settings: Settings,
        targets: Sequence[Target],
        rules: RuleWatch,
        clock: Clock,
        stop: threading.Event,
    ) -> None:
        self._settings = settings
        self._targets = targets
        self._rules = rules
        self._clock = clock
        self._stop = stop
        self._topics = Topics.of(settings.kafka)
        self._producer = Producer(settings.kafka, clock)
        self._delivered: OrderedDict[tuple[str, str], None] = OrderedDict()

    def run(self) -> None:
        """Notify until stopped.

        Raises
        ------
        Terminal
            Kafka refuses.
        """
        backoff = Backoff(*_RESTART_S)
        while not self._stop.is_set():
            begun_ns = self._clock.monotonic_ns()
            try:
                self._run_as_member()
            except Transient as error:
                delay_s = backoff.next_s((self._clock.monotonic_ns() - begun_ns) / NS_PER_SECOND)
                _log.warning("alerts.notifier_restarted", error=str(error), delay_s=round(delay_s, 2))
                self._clock.wait(self._stop, delay_s)

    def _run_as_member(self) -> None:
        alerts = self._settings.alerts
        self._checkpoint = Checkpoint()
        self._answers: queue.SimpleQueue[_Answer] = queue.SimpleQueue()
        # How many targets are still to take it, by ticket.
        self._open: dict[int, int] = {}
        self._workers = {
            target.name: _Worker(target, alerts.notify_tries_max, self._answers, self._clock)
            for target in self._targets
        }
        self._consumer = Consumer(
            self._settings.kafka,
            f"{alerts.group}-notify",
            [self._topics.alerts],
            self._assigned,
            self._revoked,
            batch_ms=0,
        )
        try:
            while not self._stop.is_set():
                self._step()
        finally:
            for worker in self._workers.values():
                worker.close()
            self._consumer.close()

    def _step(self) -> None:
        (self._consumer.pause if len(self._open) > _OPEN_MAX else self._consumer.resume)()
        try:
            batches = self._consumer.poll(_POLL_RECORDS, _POLL_S)
        except RecordsLost as loss:
            _log.error("alerts.notifications_lost", error=str(loss))
            metrics.LOST.inc(max(loss.end - loss.first, 0))
            partition = Partition(loss.topic, loss.partition)
            self._checkpoint.release(partition)
            self._checkpoint.hold(partition)
            self._consumer.seek(partition, loss.end)
            return
        for batch in batches:
            self._take(batch)
        while not self._answers.empty():
            self._settle(self._answers.get())
        self._commit()

    def _take(self, batch: PartitionBatch) -> None:
        for offset, value in zip(batch.offsets.tolist(), batch.values, strict=True):
            ticket = self._checkpoint.begin([Span(partition=batch.partition, first=offset, end=offset + 1)])
            names = self._names_of(value)
            if not names:
                self._checkpoint.settle(ticket, self._clock.monotonic_ns())
                continue
            alert, wanted = names
            self._open[ticket] = len(wanted)
            for name in wanted:
                self._workers[name].put(_Job(ticket, alert, value, batch.partition, offset))

    def _names_of(self, value: bytes) -> tuple[Alert, list[str]] | None:
        """Name the targets that are to take an alert; None where nobody is."""
        try:
            alert = decode_record(value).record
        except CodecError:
            alert = None
        if not isinstance(alert, Alert):
            metrics.UNNOTIFIED.inc(reason="no_alert")
            return None
        names = [name for name in alert.notify.split(",") if name]
        now_ns = self._clock.now_ns()
        if not names:
            return None
        if alert.is_quiet or self._rules.is_muted(alert.rule, now_ns):
            metrics.UNNOTIFIED.inc(len(names), reason="quiet" if alert.is_quiet else "muted")
            return None
        if now_ns - alert.recorded_ns > self._settings.alerts.notify_age_s_max * NS_PER_SECOND:
            metrics.EXPIRED.inc(len(names))
            return None
        known = [name for name in names if name in self._workers]
        metrics.UNNOTIFIED.inc(len(names) - len(known), reason="no_target")
        fresh = [name for name in known if (alert.id, name) not in self._delivered]
        metrics.UNNOTIFIED.inc(len(known) - len(fresh), reason="repeat")
        return (alert, fresh) if fresh else None

    def _settle(self, answer: _Answer) -> None:
        job = answer.job
        if answer.error is None:
            metrics.NOTIFIED.inc(target=answer.target)
            self._delivered[job.alert.id, answer.target] = None
            while len(self._delivered) > _REMEMBERED_MAX:
                self._delivered.popitem(last=False)
        else:
            self._bury(job, answer.target, answer.error)
        self._open[job.ticket] -= 1
        if not self._open[job.ticket]:
            del self._open[job.ticket]
            self._checkpoint.settle(job.ticket, self._clock.monotonic_ns())

    def _bury(self, job: _Job, target: str, error: TicktrailError) -> None:
        """Write a dead letter; `ticktrail replay dead-letters` puts the alert before its targets again."""
        headers = {
            "topic": job.partition.topic.encode(),
            "partition": str(job.partition.number).encode(),
            "offset": str(job.offset).encode(),
            "reason": b"not_notified",
            "detail": f"{target}: {error}"[:1_000].encode(),
        }
        key = job.alert.id.encode()
        self._producer.send_to_partition(self._topics.dead_letters, -1, job.value, headers, key)
        self._producer.flush(_FLUSH_TIMEOUT_S)
        metrics.DEAD_LETTERS.inc(target=target)
        _log.error("alerts.not_notified", target=target, id=job.alert.id, error=str(error))

    def _commit(self) -> None:
        self._checkpoint.prove(self._clock.monotonic_ns())
        due = self._checkpoint.due()
        if not due:
            return
        try:
            self._consumer.commit(due)
        except Transient as error:
            _log.warning("alerts.commit_failed", error=str(error))
            return
        self._checkpoint.committed(due)

    def _assigned(self, positions: Mapping[Partition, Position]) -> None:
        for partition in positions:
            self._checkpoint.hold(partition)

    def _revoked(self, partitions: Sequence[Partition]) -> None:
        # Notifications that are under way are made again by the next member.
        for partition in partitions:
            self._checkpoint.release(partition)
