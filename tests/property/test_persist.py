"""The runner of persist, over a log and a store that misbehave in every way they may.

Whatever happens: nothing is committed that is not stored or buried, and in the end everything is.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from typing import Any, cast
from unittest import mock

import msgspec
import pytest
from fakes.memory_producer import MemoryProducer
from fakes.memory_store import POISON, MemoryConsumer, MemoryLog, MemoryProver, MemoryWriter
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ticktrail.bus import Partition
from ticktrail.codec import decode, encode_record
from ticktrail.config import KafkaSettings, Settings
from ticktrail.errors import CodecError, ConfigError, Unreachable
from ticktrail.model import Heartbeat, Status, Trade
from ticktrail.persist import Persist, metrics, runner
from ticktrail.store import SyncProver, Writer
from ticktrail.telemetry import isolated_registry
from ticktrail.testing import FakeClock

AWAY_KAFKA = Unreachable(what="Kafka is away", service="Kafka", address="k:1")
PARTITIONS = [Partition("t.trades.v1", 0), Partition("t.trades.v1", 1), Partition("t.status.v1", 0)]
POLLS_MAX = 3_000


class TickingClock(FakeClock):
    """Moves on by itself, a little with every look at it."""

    on_look: Callable[[], None] = staticmethod(lambda: None)

    def monotonic_ns(self) -> int:
        self.advance(0.1)
        self.on_look()
        return super().monotonic_ns()


def trade(symbol: str, number: int) -> bytes:
    return encode_record(
        Trade(
            feed="sim",
            symbol=symbol,
            day=1,
            ts_ns=number,
            event_id=number,
            ts_event_ns=number,
            ts_recv_ns=number,
            price=1.0,
            size=1.0,
            flags=1,
        )
    )


def status(number: int) -> bytes:
    return encode_record(
        Status(
            feed="sim",
            symbol="A",
            day=1,
            ts_ns=number,
            event_id=number,
            ts_event_ns=number,
            ts_recv_ns=number,
            limit_up=1.0,
            limit_down=1.0,
        )
    )


def value(kind: str, number: int) -> bytes:
    match kind:
        case "trade" | "poison":
            return trade(POISON if kind == "poison" else "ABC"[number % 3], number)
        case "status":
            return status(number)
        case "heartbeat":
            return encode_record(Heartbeat(feed="sim", ts_recv_ns=number))
    return b"garbage %d" % number


kinds = st.sampled_from(["trade", "trade", "trade", "status", "heartbeat", "poison", "garbage"])
logs = st.lists(st.lists(kinds, max_size=14), min_size=1, max_size=3)
outcomes = st.lists(st.sampled_from(["stored", "later", "away", "away later"]), max_size=40)
troubles = st.lists(st.sampled_from(["", "", "", "rebalance", "error", "restart"]), max_size=20)


class World:
    """Persist between a log and a store in memory."""

    def __init__(self, log: MemoryLog, writer: MemoryWriter) -> None:
        self.log = log
        self.writer = writer
        self.producer = MemoryProducer()
        self.stop = threading.Event()
        self.clock = cast("TickingClock", writer.clock)
        log.on_restart = writer.restart
        log.on_commit = self.check_commit
        log.on_poll = self.look

    def run(self) -> None:
        def consumer(*arguments: Any, batch_ms: int) -> MemoryConsumer:
            assert batch_ms
            _kafka, _group, _topics, *callbacks = arguments
            return MemoryConsumer(self.log, *callbacks)

        kafka = KafkaSettings(topic_prefix="t", bootstrap_servers="none")
        with (
            mock.patch.object(runner, "Consumer", consumer),
            mock.patch.object(runner, "Producer", return_value=self.producer),
            mock.patch.object(runner, "_ANSWER_WAIT_S", 0.0001),
        ):
            Persist(
                Settings(kafka=kafka),
                cast("Writer", self.writer),
                cast("SyncProver", MemoryProver(self.writer)),
                self.clock,
                self.stop,
            ).run()

    def look(self) -> None:
        """See to it, at every poll, that answers come and that the run ends."""
        self.writer.answer_one()
        assert self.log.polls < POLLS_MAX, "it does not come to an end"
        if self.log.is_done:
            self.stop.set()

    def is_settled(self, partition: Partition, offset: int) -> bool:
        """Tell whether a value is where it belongs, by looking there."""
        raw = self.log.values[partition][offset]
        where = (partition.topic.encode(), str(partition.number).encode(), str(offset).encode())
        if any(
            (sent.headers["topic"], sent.headers["partition"], sent.headers["offset"]) == where
            and sent.value == raw
            for sent in self.producer.sent
        ):
            return True
        try:
            record = decode(raw)
        except CodecError:
            return False
        if isinstance(record, Trade | Status):
            table = "trades" if isinstance(record, Trade) else "status"
            return self.writer.rows.get((table, record.symbol, record.ts_ns, record.event_id)) == record
        return True  # a heartbeat is stored nowhere

    def check_commit(self, partition: Partition, offset: int) -> None:
        assert all(self.is_settled(partition, each) for each in range(offset)), "committed, but not stored"


def world(contents: list[list[str]], outcomes: list[str], troubles: list[str], batch_max: int) -> World:
    numbered = iter(range(10**6))
    values = {
        partition: [value(kind, next(numbered)) for kind in content]
        for partition, content in zip(PARTITIONS, contents, strict=False)
    }
    return World(MemoryLog(values, batch_max, troubles), MemoryWriter(outcomes, TickingClock()))


@settings(max_examples=150)
@given(logs, outcomes, troubles, st.integers(1, 6))
@example([["trade"] * 14], ["away"] * 30, [], 2)
@example([["trade", "poison", "trade"], ["poison"] * 3], ["later"] * 40, ["rebalance"] * 6, 3)
@example([["garbage"] * 4, ["trade"] * 4], ["away later"] * 10, ["error"] * 4, 4)
@example([["trade"] * 14], [], ["", "", "restart"] * 6, 1)
def test_everything_ends_where_it_belongs_and_nothing_is_committed_before(
    contents: list[list[str]], outcomes: list[str], troubles: list[str], batch_max: int
) -> None:
    with isolated_registry():
        each = world(contents, outcomes, troubles, batch_max)
        each.run()
        assert each.log.is_done
        each.writer.restart()  # what was committed outlives that, too
        for partition, values in each.log.values.items():
            assert all(each.is_settled(partition, offset) for offset in range(len(values)))


@settings(max_examples=60)
@given(logs, outcomes, st.integers(1, 6))
def test_the_counts_add_up(contents: list[list[str]], outcomes: list[str], batch_max: int) -> None:
    with isolated_registry():
        each = world(contents, outcomes, [], batch_max)
        each.run()
        kinds = Counter(kind for content in contents for kind in content)
        assert metrics.RECEIVED.labels().value == kinds.total()
        assert metrics.STORED.labels(table="trades").value == kinds["trade"]
        assert metrics.STORED.labels(table="status").value == kinds["status"]
        assert metrics.NOT_STORED.labels().value == kinds["heartbeat"]
        assert metrics.DEAD_LETTERS.labels().value == kinds["poison"] + kinds["garbage"]
        assert len(each.producer.sent) == kinds["poison"] + kinds["garbage"]


@settings(max_examples=60)
@given(logs, outcomes, st.integers(1, 30), st.integers(1, 6))
def test_a_stop_at_any_moment_leaves_nothing_behind_that_is_not_stored(
    contents: list[list[str]], outcomes: list[str], polls: int, batch_max: int
) -> None:
    with isolated_registry():
        each = world(contents, outcomes, [], batch_max)
        look = each.look

        def look_and_stop() -> None:
            look()
            if each.log.polls >= polls:
                each.stop.set()

        each.log.on_poll = look_and_stop
        each.run()  # `check_commit` has looked at every commit
        again = World(each.log, each.writer)
        again.producer.sent += each.producer.sent
        again.run()
        assert each.log.is_done
        assert all(
            again.is_settled(p, at) for p, values in each.log.values.items() for at in range(len(values))
        )


# --- by example --------------------------------------------------------------------------------------


def test_while_the_store_is_away_nothing_more_is_taken_and_one_write_tries() -> None:
    """Once lost: every failed write waited for its own delay, one behind the other, for minutes."""
    with isolated_registry():
        each = world([["status"] * 100], ["later"] * 4 + ["away"] * 12, [], 2)
        look, taken = each.look, []

        def look_closely() -> None:
            look()
            if 0 < len(each.writer.outcomes) < 12:
                taken.append(each.log.taken)

        each.log.on_poll = look_closely
        each.run()
        assert each.log.is_done
        assert max(taken) <= 2 * 8, "polls that were open when it went away, and none after"
        assert metrics.RETRIES.labels().value <= 12 + 8
        passed_s = (each.clock.now_ns() - FakeClock().now_ns()) / 10**9
        assert passed_s < 120, "delays of one write after the other add up"


def test_a_stop_waits_for_the_answers_that_are_to_come() -> None:
    with isolated_registry():
        each = world([["status"] * 4], ["later"] * 2, [], 2)

        def stop_after_two() -> None:
            if each.log.taken == 4:
                each.stop.set()
                each.clock.on_look = each.writer.answer_one

        each.log.on_poll = stop_after_two
        each.run()
        assert each.log.is_done


def test_what_will_not_pass_ends_the_run_with_nothing_committed() -> None:
    error = ConfigError(what="no login", key="store.user", source="settings")
    with isolated_registry():
        each = world([["trade"] * 3], [], [], 2)

        def submit(_table: Any, _columns: Any, _times: Any, done: Callable[[Any], None]) -> None:
            done(error)

        each.writer.submit = submit  # type: ignore[method-assign, assignment]
        with pytest.raises(ConfigError):
            each.run()
        assert each.log.committed == {}


def test_a_poison_row_takes_only_itself_to_the_dead_letters() -> None:
    with isolated_registry():
        each = world([["trade"] * 6 + ["poison"] + ["trade"] * 6], [], [], 100)
        each.run()
        (letter,) = each.producer.sent
        assert letter.topic == "t.dead-letters"
        assert letter.value == each.log.values[PARTITIONS[0]][6]
        assert letter.key == b"k"
        assert msgspec.structs.asdict(cast("Any", decode(letter.value)))["symbol"] == POISON
        assert {name: text.decode() for name, text in letter.headers.items()} == {
            "topic": "t.trades.v1",
            "partition": "0",
            "offset": "6",
            "reason": "store_rejected",
            "detail": "the store refused the request: poison.",
        }
        assert len(each.writer.rows) == 12


def test_letters_wait_for_kafka() -> None:
    with isolated_registry():
        each = world([["garbage", "trade"]], [], [], 10)
        failures = iter([True, True, False])

        def flush(timeout_s: float) -> None:
            del timeout_s
            if next(failures, False):
                each.producer.sent.clear()
                raise AWAY_KAFKA

        each.producer.flush = flush  # type: ignore[method-assign]
        each.run()
        assert len(each.producer.sent) == 1
        assert metrics.DEAD_LETTERS.labels().value == 1


def test_a_stop_while_letters_wait_ends_the_run() -> None:
    with isolated_registry():
        each = world([["trade", "garbage"]], [], [], 10)

        def flush(timeout_s: float) -> None:
            del timeout_s
            each.producer.sent.clear()
            each.stop.set()
            raise AWAY_KAFKA

        each.producer.flush = flush  # type: ignore[method-assign]
        each.run()
        assert each.log.committed == {}
