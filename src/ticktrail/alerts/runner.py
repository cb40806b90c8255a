"""Records in Kafka to alerts in Kafka and Cassandra.

Guarantee: an alert is in Kafka and in the store, and proven to be on its disk, together with the state of the
evaluation, before the offset at which that state was taken is committed. Whatever dies, the next reader takes
up that state at that offset and finds what follows again (`ticktrail.alerts.engine`): the same alerts, with
the same ids. In the store they replace themselves, so each is recorded once; in the topic `alerts` they may
stand twice, with one id.

The store delays no evaluation: it is written to by a thread of its own, and rules are read by another. Where
it stays away, alerts go on to Kafka until too many wait. Only what needs stored bars (`volume_spike`) asks it
while evaluating, and therefore bars are read by a runner apart from the others.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from ticktrail.alerts import metrics
from ticktrail.alerts.bar_values import Usual
from ticktrail.alerts.engine import Evaluator
from ticktrail.alerts.recorder import Recorder, StateDone
from ticktrail.alerts.watch import RuleWatch
from ticktrail.bus import Consumer, LagGauge, Partition, PartitionBatch, Position, Producer, Topics
from ticktrail.clock import NS_PER_MS, NS_PER_SECOND, Backoff, Clock
from ticktrail.codec import encode_record
from ticktrail.config import Settings
from ticktrail.errors import CodecError, RecordsLost, Transient
from ticktrail.model import Alert
from ticktrail.store import AlertStore, SyncProver
from ticktrail.telemetry import get_logger

__all__ = ["SLOW_SOURCES", "SWIFT_SOURCES", "AlertRunner", "Tools", "topics_of"]

_log = get_logger("alerts")

# Each has a runner, a thread and a consumer group of its own.
SWIFT_SOURCES = ("trades", "quotes", "status", "gaps")
SLOW_SOURCES = ("bars",)

_BACKOFF_S = (0.1, 10.0)
_COMMIT_EVERY_NS = 200 * NS_PER_MS
_FLUSH_TIMEOUT_S = 60.0
# Alerts that the store has not acknowledged; beyond it nothing is taken from Kafka. Some 50 MB.
_WAITING_MAX = 50_000
# How long a stop waits for the store, and for its proof beyond the servers' lag.
_SETTLE_TIMEOUT_S = 15.0
_PROOF_TIMEOUT_S = 2.0
_LOOK_S = 0.05
# Behind the committed offset: that its state is stored.
_WITH_STATE = "state"


def topics_of(topics: Topics) -> dict[str, str]:
    """Name the source of each topic."""
    names = ("trades", "quotes", "status", "gaps", "bars")
    return {f"{topics.prefix}.{name}.v1": name for name in names}


@dataclass(frozen=True, kw_only=True)
class Tools:
    """What a runner works with.

    Parameters
    ----------
    store, prover
        Of one session to a migrated store; each runner needs a prover of its own, as it tells of a restarted
        server once.
    rules, usual
        What to evaluate, and the usual volumes.
    """

    store: AlertStore
    prover: SyncProver
    rules: RuleWatch
    usual: Usual


class AlertRunner:
    """Evaluates some sources on the calling thread until told to stop.

    Parameters
    ----------
    sources
        `SWIFT_SOURCES` or `SLOW_SOURCES`.
    tools
        What it works with.
    stop
        Set it to end `run` soon.
    """

    def __init__(
        self, settings: Settings, sources: Sequence[str], tools: Tools, clock: Clock, stop: threading.Event
    ) -> None:
        self._settings = settings
        self._store = tools.store
        self._prover = tools.prover
        self._rules = tools.rules
        self._usual = tools.usual
        self._clock = clock
        self._stop = stop
        self._topics = Topics.of(settings.kafka)
        self._sources = {
            topic: source for topic, source in topics_of(self._topics).items() if source in sources
        }
        self._name = "bars" if "bars" in sources else "ticks"
        self._group = settings.alerts.group + ("-bars" if "bars" in sources else "")
        self._producer = Producer(settings.kafka, clock)
        self._never = threading.Event()  # its wait is a pause
        self._lag = LagGauge(metrics.LAG)

    def run(self) -> None:
        """Evaluate until stopped.

        Raises
        ------
        Terminal
            Going on cannot help; what was not acknowledged is not committed.
        """
        backoff = Backoff(*_BACKOFF_S)
        while not self._stop.is_set():
            begun_ns = self._clock.monotonic_ns()
            try:
                self._run_as_member()
            except Transient as error:
                # What was found since the last commit is found again.
                delay_s = backoff.next_s((self._clock.monotonic_ns() - begun_ns) / NS_PER_SECOND)
                _log.warning("alerts.restarted", error=str(error), delay_s=round(delay_s, 2))
                self._clock.wait(self._stop, delay_s)

    def _run_as_member(self) -> None:
        alerts = self._settings.alerts
        self._begins: dict[Partition, Position] = {}
        self._committed: dict[Partition, int] = {}
        self._evaluators: dict[Partition, Evaluator] = {}
        self._offsets: dict[Partition, int] = {}
        # What is stored, or about to be, of each partition.
        self._snapped: dict[Partition, int] = {}
        self._unproven: list[StateDone] = []
        self._version = self._rules.version
        self._next_commit_ns = 0
        self._next_state_ns = self._clock.monotonic_ns() + alerts.snapshot_ms * NS_PER_MS
        with closing(Recorder(self._store, self._group, self._clock)) as self._recorder:
            self._recorder.start()
            self._consumer = Consumer(
                self._settings.kafka,
                self._group,
                list(self._sources),
                self._assigned,
                self._revoked,
                batch_ms=alerts.batch_ms,
            )
            try:
                while not self._stop.is_set():
                    self._step()
                self._finish()
            finally:
                self._consumer.close()

    def _step(self) -> None:
        try:
            batches = self._consumer.poll(self._settings.alerts.poll_records_max)
        except RecordsLost as loss:
            self._pass_over(loss)
            return
        if self._version != self._rules.version:
            self._version = self._rules.version
            for evaluator in self._evaluators.values():
                evaluator.set_rules(self._rules.scopes)
        for batch in batches:
            self._read(batch)
        now_ns = self._clock.monotonic_ns()
        if now_ns >= self._next_state_ns:
            self._snap()
            self._next_state_ns = now_ns + self._settings.alerts.snapshot_ms * NS_PER_MS
        if now_ns >= self._next_commit_ns:
            self._commit()
            self._observe()
            self._next_commit_ns = now_ns + _COMMIT_EVERY_NS

    def _read(self, batch: PartitionBatch) -> None:
        evaluator = self._evaluator(batch.partition)
        alerts = evaluator.read(batch.values, batch.append_ts_ms)
        self._offsets[batch.partition] = int(batch.offsets[-1]) + 1
        metrics.READ.inc(len(batch.values), source=evaluator.source)
        if alerts:
            self._give_out(alerts)

    def _give_out(self, alerts: Sequence[Alert]) -> None:
        keys = [alert.id.encode() for alert in alerts]
        self._producer.send(self._topics.alerts, keys, [encode_record(alert) for alert in alerts])
        self._recorder.put(alerts)
        times_ns = np.array([alert.recorded_ns for alert in alerts], dtype=np.int64)
        metrics.LATENCY_RECV.observe_ns(self._clock.now_ns() - times_ns)
        for alert in alerts:
            metrics.FIRED.inc(kind=alert.rule_kind)

    def _evaluator(self, partition: Partition) -> Evaluator:
        """Give a partition's evaluator; made when its first values have come, as that asks the store."""
        found = self._evaluators.get(partition)
        if found is not None:
            return found
        position = self._begins[partition]
        evaluator = Evaluator(self._sources[partition.topic], self._usual)
        if position.state:
            state = self._store.read_state(self._group, partition.topic, partition.number, position.offset)
            try:
                if state is None:
                    raise CodecError(what="The state is not there", reason="no_state")
                evaluator.restore(state)
            except CodecError as error:
                # Going on without it is better than not at all: windows and cool-downs begin anew.
                metrics.STATES_LOST.inc()
                _log.error(
                    "alerts.state_lost", topic=partition.topic, partition=partition.number, error=str(error)
                )
                evaluator = Evaluator(self._sources[partition.topic], self._usual)
        evaluator.set_rules(self._rules.scopes)
        self._evaluators[partition] = evaluator
        return evaluator

    def _pass_over(self, loss: RecordsLost) -> None:
        """Go on where the log does, with what is known."""
        _log.error("alerts.records_lost", error=str(loss))
        metrics.LOST.inc(max(loss.end - loss.first, 0))
        partition = Partition(loss.topic, loss.partition)
        self._evaluator(partition)
        self._offsets[partition] = loss.end
        self._consumer.seek(partition, loss.end)

    def _snap(self) -> None:
        """Have the states stored of all partitions that have gone on."""
        moved = [each for each, offset in self._offsets.items() if self._snapped.get(each) != offset]
        if not moved:
            return
        self._producer.flush(_FLUSH_TIMEOUT_S)
        for partition in moved:
            offset = self._snapped[partition] = self._offsets[partition]
            self._recorder.put_state(partition, offset, self._evaluators[partition].state())

    def _commit(self) -> None:
        """Commit what is proven to be on disk.

        Raises
        ------
        StoreRestarted
            Alerts that were acknowledged may be lost: find them again.
        """
        self._producer.check()
        proven_ns = self._prover.proven_ns()
        self._unproven += self._recorder.done()
        due = {
            each.partition: Position(each.offset, _WITH_STATE)
            for each in self._unproven
            # Where a partition was away meanwhile, others or we ourselves may be farther already: never back.
            if each.done_ns <= proven_ns and each.offset > self._committed.get(each.partition, each.offset)
        }
        if self._unproven:
            self._prover.want()
        try:
            self._consumer.commit(due)
        except Transient as error:
            # The same or later positions are committed at the next turn.
            _log.warning("alerts.commit_failed", error=str(error))
            return
        self._unproven = [each for each in self._unproven if each.done_ns > proven_ns]
        for partition, position in due.items():
            self._committed[partition] = position.offset
            self._forget_states(partition, position.offset)

    def _forget_states(self, partition: Partition, before: int) -> None:
        try:
            self._store.drop_states(self._group, partition.topic, partition.number, before)
        except Transient as error:
            # The next one drops these, too.
            _log.warning("alerts.states_kept", error=str(error))

    def _finish(self) -> None:
        """Store and commit where everything stands, so that the next reader need not find it again."""
        self._snap()
        settle_ns = int(_SETTLE_TIMEOUT_S * NS_PER_SECOND)
        deadline_ns = self._clock.monotonic_ns() + settle_ns
        while self._recorder.waiting and self._clock.monotonic_ns() < deadline_ns:
            self._clock.wait(self._never, _LOOK_S)
        deadline_ns = self._clock.monotonic_ns() + self._prover.lag_ns + int(_PROOF_TIMEOUT_S * NS_PER_SECOND)
        self._commit()
        while self._unproven and self._clock.monotonic_ns() < deadline_ns:
            self._clock.wait(self._never, _LOOK_S)
            self._commit()

    def _observe(self) -> None:
        (self._consumer.pause if self._recorder.waiting > _WAITING_MAX else self._consumer.resume)()
        evaluators = self._evaluators.values()
        metrics.ASSIGNED.set(len(self._begins), reader=self._name)
        metrics.RULES.set(len(self._rules.scopes))
        metrics.SUPPRESSED.set(sum(each.suppressed for each in evaluators), reader=self._name)
        metrics.REJECTED.set(sum(each.rejected for each in evaluators), reader=self._name)
        self._lag.set(self._consumer.lag())
        oldest_ns = min((each.done_ns for each in self._unproven), default=self._clock.monotonic_ns())
        age_s = (self._clock.monotonic_ns() - oldest_ns) / NS_PER_SECOND
        metrics.CHECKPOINT_AGE.set(age_s, reader=self._name)

    def _assigned(self, positions: Mapping[Partition, Position]) -> None:
        self._begins |= positions
        self._committed |= {partition: position.offset for partition, position in positions.items()}
        _log.info("alerts.assigned", partitions=[f"{p.topic}/{p.number}" for p in positions])

    def _revoked(self, partitions: Sequence[Partition]) -> None:
        # What is not committed yet is found again by the next reader.
        for partition in partitions:
            for known in (self._begins, self._committed, self._evaluators, self._offsets, self._snapped):
                known.pop(partition, None)
        _log.info("alerts.revoked", partitions=[f"{p.topic}/{p.number}" for p in partitions])
