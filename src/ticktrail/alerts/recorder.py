"""Alerts and states into the store, on a thread of its own: a slow store delays no evaluation."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

from ticktrail.alerts import metrics
from ticktrail.bus import Partition
from ticktrail.clock import Backoff, Clock
from ticktrail.errors import TicktrailError, Transient, WriteRejected
from ticktrail.model import Alert
from ticktrail.store import AlertStore
from ticktrail.telemetry import get_logger

__all__ = ["Recorder", "StateDone"]

_log = get_logger("alerts")

_BACKOFF_S = (0.1, 10.0)
# Whose alerts are written together.
_JOBS_MAX = 500


class StateDone(NamedTuple):
    """A state that the store has acknowledged, after all alerts that were found before it.

    Parameters
    ----------
    done_ns
        When, on the monotonic clock.
    """

    done_ns: int
    partition: Partition
    offset: int


class _Job(NamedTuple):
    alerts: Sequence[Alert]
    partition: Partition | None = None
    offset: int = 0
    state: bytes = b""


class Recorder:
    """Writes what it is given in its order, and tries for ever where the store is away.

    Parameters
    ----------
    group
        Under which states are stored.
    """

    def __init__(self, store: AlertStore, group: str, clock: Clock) -> None:
        self._store = store
        self._group = group
        self._clock = clock
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._done: deque[StateDone] = deque()
        self._over = threading.Event()
        self._error: TicktrailError | None = None
        self._lock = threading.Lock()
        self._waiting = 0
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to write; what is put before waits."""
        self._thread = threading.Thread(target=self._run, name="alert-recorder", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """How many alerts and states are not acknowledged yet."""
        return self._waiting

    def put(self, alerts: Sequence[Alert]) -> None:
        """Have alerts stored."""
        self._put(_Job(alerts), len(alerts))

    def put_state(self, partition: Partition, offset: int, state: bytes) -> None:
        """Have a state stored, once everything that was put before is."""
        self._put(_Job((), partition, offset, state), 1)

    def done(self) -> list[StateDone]:
        """Give the states that were stored since the last call, in their order.

        Raises
        ------
        TicktrailError
            Something can never be stored.
        """
        if self._error is not None:
            raise self._error
        return [self._done.popleft() for _ in range(len(self._done))]

    def close(self) -> None:
        """Stop at once; what waits is not stored."""
        self._over.set()
        self._jobs.put(None)
        if self._thread is not None:
            self._thread.join()

    def _put(self, job: _Job, count: int) -> None:
        with self._lock:
            self._waiting += count
        self._jobs.put(job)

    def _run(self) -> None:
        while not self._over.is_set() and self._error is None:
            self._write(self._taken())

    def _taken(self) -> list[_Job]:
        """Wait for a job, and take what has gathered behind it."""
        jobs = [self._jobs.get()]
        while not self._jobs.empty() and len(jobs) < _JOBS_MAX:
            jobs.append(self._jobs.get())
        return [job for job in jobs if job is not None]

    def _write(self, jobs: Sequence[_Job]) -> None:
        """Write in the order given, as a state stands for the alerts before it; alerts in a row together."""
        for is_state, group in groupby(jobs, key=lambda job: job.partition is not None):
            if is_state:
                for job in group:
                    self._write_state(job)
            else:
                self._write_alerts([alert for job in group for alert in job.alerts])

    def _write_alerts(self, alerts: Sequence[Alert]) -> None:
        backoff = Backoff(*_BACKOFF_S)
        while not self._over.is_set() and self._error is None:
            try:
                self._store.write(alerts)
            except WriteRejected as error:
                if len(alerts) > 1:
                    # It is one of them.
                    for alert in alerts:
                        self._write_alerts([alert])
                    return
                # It stands in Kafka; the others must not wait for it for ever.
                _log.error("alerts.refused", id=alerts[0].id, error=str(error))
            except Transient as error:
                self._pause(backoff, error)
                continue
            except TicktrailError as error:
                self._error = error
                return
            else:
                metrics.RECORDED.inc(len(alerts))
            self._finished(len(alerts))
            return

    def _write_state(self, job: _Job) -> None:
        partition = job.partition
        assert partition is not None
        backoff = Backoff(*_BACKOFF_S)
        while not self._over.is_set() and self._error is None:
            try:
                self._store.write_state(self._group, partition.topic, partition.number, job.offset, job.state)
            except Transient as error:
                self._pause(backoff, error)
            except TicktrailError as error:
                self._error = error
                return
            else:
                self._done.append(StateDone(self._clock.monotonic_ns(), partition, job.offset))
                self._finished(1)
                return

    def _finished(self, count: int) -> None:
        with self._lock:
            self._waiting -= count

    def _pause(self, backoff: Backoff, error: TicktrailError) -> None:
        delay_s = backoff.next_s()
        metrics.RETRIES.inc()
        _log.warning("alerts.retry", error=str(error), delay_s=round(delay_s, 2), waiting=self._waiting)
        self._clock.wait(self._over, delay_s)
