"""Who is notified, when it is tried again, and what becomes of what nobody takes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from unittest import mock

import msgspec
import numpy as np
from fakes.memory_producer import MemoryProducer

from ticktrail.alerts import metrics, notifier
from ticktrail.alerts.notifier import Notifier
from ticktrail.bus import Partition, PartitionBatch, Position
from ticktrail.codec import encode_record
from ticktrail.config import AlertsSettings, KafkaSettings, Settings
from ticktrail.errors import ConfigError, TicktrailError, Unreachable
from ticktrail.model import Alert
from ticktrail.telemetry import isolated_registry
from ticktrail.testing import FakeClock

PARTITION = Partition("t.alerts.v1", 0)
CLOCK_NS = FakeClock().now_ns()
ALERT = Alert(
    id="1",
    rule="r",
    rule_kind="lag",
    feed="f",
    symbol="A",
    ts_ns=CLOCK_NS,
    recorded_ns=CLOCK_NS,
    value=1.0,
    threshold=1.0,
    notify="ops",
)


class Box:
    """A target that does what it is told, then takes everything."""

    def __init__(self, name: str, *answers: TicktrailError | None) -> None:
        self.name = name
        self.answers = list(answers)
        self.tries = 0
        self.taken: list[str] = []

    def send(self, alert: Alert) -> None:
        self.tries += 1
        answer = self.answers.pop(0) if self.answers else None
        if answer is not None:
            raise answer
        self.taken.append(alert.id)


class Log:
    """The topic of alerts, as a consumer sees it; ends the notifier when all is committed."""

    def __init__(self, values: Sequence[bytes], stop: threading.Event) -> None:
        self.values, self.stop = values, stop
        self.commits: list[int] = []
        self.at = 0
        self.idle = 0
        self.on_commit: Callable[[int], None] = lambda offset: None

    def __call__(
        self, _kafka: Any, _group: str, _topics: Any, assigned: Any, revoked: Any, *, batch_ms: int
    ) -> Log:
        del revoked, batch_ms
        assigned({PARTITION: Position(0)})
        return self

    def poll(self, _count: int, _timeout_s: float) -> list[PartitionBatch]:
        if self.at == len(self.values):
            self.idle += 1
            assert self.idle < 5_000, "it does not come to an end"
            self.stop.wait(0.001)
            return []
        offsets = np.arange(self.at, len(self.values))
        self.at = len(self.values)
        return [PartitionBatch(PARTITION, offsets, offsets, [None] * len(offsets), list(self.values))]

    def commit(self, due: Mapping[Partition, Position]) -> None:
        self.commits.append(due[PARTITION].offset)
        self.on_commit(due[PARTITION].offset)
        if due[PARTITION].offset == len(self.values):
            self.stop.set()

    def pause(self) -> None:
        pass

    resume = close = pause


class Rules:
    def is_muted(self, rule: str, _now_ns: int) -> bool:
        return rule == "muted"


def run(values: Sequence[Alert | bytes], *targets: Box) -> tuple[Log, MemoryProducer]:
    stop = threading.Event()
    log = Log([encode_record(each) if isinstance(each, Alert) else each for each in values], stop)
    producer = MemoryProducer()
    settings = Settings(kafka=KafkaSettings(topic_prefix="t"), alerts=AlertsSettings(notify_tries_max=3))
    rules: Any = Rules()
    with mock.patch.multiple(notifier, Consumer=log, Producer=lambda *_: producer):
        Notifier(settings, targets, rules, FakeClock(), stop).run()
    return log, producer


def away() -> Unreachable:
    return Unreachable(what="away", service="ops", address="h")


def test_it_is_tried_again_until_it_is_taken_and_only_then_committed() -> None:
    ops = Box("ops", away(), away())
    log, producer = run([ALERT], ops)
    assert (ops.tries, ops.taken, log.commits, producer.sent) == (3, ["1"], [1], [])


def test_what_nobody_takes_is_a_dead_letter_before_it_is_committed() -> None:
    ops, chat = Box("ops", away(), away(), away()), Box("chat")
    with isolated_registry():
        log, producer = run([msgspec.structs.replace(ALERT, notify="ops,chat")], ops, chat)
        assert metrics.DEAD_LETTERS.labels(target="ops").value == 1
    assert (ops.tries, chat.taken, log.commits) == (3, ["1"], [1])
    (letter,) = producer.sent
    assert letter.topic == "t.dead-letters"
    assert letter.headers["topic"] == b"t.alerts.v1"
    assert letter.headers["reason"] == b"not_notified"
    assert letter.headers["detail"].startswith(b"ops: ")
    assert producer.flushes


def test_a_refusal_is_buried_at_once() -> None:
    ops = Box("ops", ConfigError(what="refused", key="alerts.targets", source="settings"))
    _, producer = run([ALERT], ops)
    assert (ops.tries, len(producer.sent)) == (1, 1)


def test_one_target_in_trouble_holds_up_no_other() -> None:
    log, _ = run(
        [msgspec.structs.replace(ALERT, id=str(n), notify="ops,chat") for n in range(3)],
        ops := Box("ops", *[away()] * 2),
        chat := Box("chat"),
    )
    assert ops.taken == chat.taken == ["0", "1", "2"]
    assert log.commits[-1] == 3


def test_repeats_quiet_hours_mutes_old_alerts_and_strangers_are_passed_over() -> None:
    replace = msgspec.structs.replace
    values: list[Alert | bytes] = [
        b"nonsense",
        replace(ALERT, id="quiet", is_quiet=1),
        replace(ALERT, id="muted", rule="muted"),
        replace(ALERT, id="old", recorded_ns=CLOCK_NS - 3_601 * 10**9),
        replace(ALERT, id="gone", notify="nobody"),
        replace(ALERT, id="none", notify=""),
        ALERT,
    ]
    ops = Box("ops")
    with isolated_registry():
        log, producer = run(values, ops)
        for reason in ("no_alert", "quiet", "muted", "no_target"):
            assert metrics.UNNOTIFIED.labels(reason=reason).value == 1
        assert metrics.EXPIRED.labels().value == 1
    assert (ops.taken, log.commits[-1], producer.sent) == (["1"], 7, [])
