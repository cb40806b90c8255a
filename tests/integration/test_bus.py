"""The real Kafka, looked at with other clients (kafka-python, the admin client of confluent-kafka)."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice

import msgspec
import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType
from fixtures_servers import Servers
from kafka_proxy import kafka_proxy
from plain_kafka import plain_partition, read_plainly

from ticktrail.bus import (
    MESSAGE_BYTES_MAX,
    Consumer,
    LiveProducer,
    Partition,
    PartitionBatch,
    Position,
    Producer,
    Receipt,
    Tail,
    Topics,
    admin,
    ensure_topics,
    partition_counts,
    partition_of,
)
from ticktrail.clock import SystemClock
from ticktrail.config import KafkaSettings, Settings
from ticktrail.errors import ConfigError, RecordsLost, SchemaMismatch, TicktrailError, Unreachable

pytestmark = pytest.mark.servers

DEADLINE_S = 30.0
AWAY = KafkaSettings(bootstrap_servers="127.0.0.1:1")


@pytest.fixture(scope="module")
def kafka(installation: Settings) -> KafkaSettings:
    return installation.kafka


@pytest.fixture
def topic(kafka: KafkaSettings) -> str:
    """Make a topic for one test."""
    name = f"{kafka.topic_prefix}.{uuid.uuid4().hex[:8]}"
    ensure_topics(kafka, [name])
    return name


class Member:
    """A consumer that keeps everything it got and was told."""

    def __init__(self, kafka: KafkaSettings, group: str, topic: str) -> None:
        self.assigned: dict[Partition, Position] = {}
        self.revoked: list[Partition] = []
        self.batches: list[PartitionBatch] = []
        self.before_revoked: Callable[[Sequence[Partition]], None] = lambda partitions: None
        self.consumer = Consumer(kafka, group, [topic], self._assigned, self._revoked)

    def _assigned(self, positions: Mapping[Partition, Position]) -> None:
        self.assigned |= positions

    def _revoked(self, partitions: Sequence[Partition]) -> None:
        self.before_revoked(partitions)
        self.revoked += partitions
        for partition in partitions:
            del self.assigned[partition]

    @property
    def values(self) -> list[bytes]:
        return [value for batch in self.batches for value in batch.values]

    def poll(self) -> None:
        self.batches += self.consumer.poll(1_000, 0.02)

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < deadline, "it did not come to that in time"
            self.poll()


@contextmanager
def member(kafka: KafkaSettings, group: str, topic: str) -> Iterator[Member]:
    made = Member(kafka, group, topic)
    try:
        yield made
    finally:
        made.consumer.close()


def produce(kafka: KafkaSettings, topic: str, values: Sequence[bytes], key: bytes | None = None) -> None:
    producer = Producer(kafka, SystemClock())
    keys = [key or value for value in values]
    producer.send(topic, keys, values)
    producer.flush(DEADLINE_S)
    assert producer.queued == 0


# --- topics ------------------------------------------------------------------------------------------


def test_topics_are_made_once_with_their_settings(servers: Servers, kafka: KafkaSettings) -> None:
    ensure_topics(kafka)
    ensure_topics(kafka)
    topics = Topics.of(kafka)
    client = AdminClient({"bootstrap.servers": servers.kafka})
    names = [*topics.records, topics.dead_letters]
    futures = client.describe_configs([ConfigResource(ResourceType.TOPIC, name) for name in names])
    for resource, future in futures.items():
        config = {name: entry.value for name, entry in future.result().items()}
        assert config["message.timestamp.type"] == "LogAppendTime"
        # The ledger of gaps is kept for three months at least.
        hours = 2_160 if resource.name == topics.gaps else kafka.retention_hours
        assert config["retention.ms"] == str(hours * 3_600_000)
        assert config["cleanup.policy"] == "delete"
        large = resource.name == topics.dead_letters
        assert (config["max.message.bytes"] == str(MESSAGE_BYTES_MAX)) is large
    assert partition_counts(kafka, [*names, "no-such-topic"]) == dict.fromkeys(names, 2) | {
        "no-such-topic": 0
    }


def test_live_values_go_where_their_keys_belong_in_their_order(
    servers: Servers, kafka: KafkaSettings, topic: str
) -> None:
    producer, receipt = LiveProducer(kafka), Receipt()
    sent = [(b"test|S%d" % (n % 7), b"%d" % n) for n in range(2_000)]
    producer.send(topic, [key for key, _ in sent[:1_000]], [value for _, value in sent[:1_000]])
    producer.send(topic, [key for key, _ in sent[1_000:]], [value for _, value in sent[1_000:]], receipt)
    deadline = time.monotonic() + DEADLINE_S
    while receipt.open:
        assert time.monotonic() < deadline
        producer.poll(wait=True)
    producer.check(receipt)
    found = read_plainly(servers.kafka, topic, len(sent))
    for number in range(2):
        there = [(each.key, each.value) for each in found if each.partition == number]
        assert there == [pair for pair in sent if plain_partition(pair[0], 2) == number]


def test_a_live_value_that_is_too_large_is_an_error(kafka: KafkaSettings, topic: str) -> None:
    producer = LiveProducer(kafka)
    with pytest.raises(TicktrailError, match="too large"):
        producer.send(topic, [b"a", b"b"], [b"small", b"x" * (MESSAGE_BYTES_MAX + 1)])
    producer.close()


def test_another_partition_count_is_refused(kafka: KafkaSettings) -> None:
    with pytest.raises(SchemaMismatch, match=r"has 2 partitions, not 3.*kafka\.partitions = 2"):
        ensure_topics(msgspec.structs.replace(kafka, partitions=3))


def test_kafka_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin, "_TIMEOUT_S", 0.5)
    for call in (lambda: ensure_topics(AWAY), lambda: partition_counts(AWAY, ["x"])):
        with pytest.raises(Unreachable, match="ticktrail up") as caught:
            call()
        assert (caught.value.service, caught.value.address) == ("Kafka", "127.0.0.1:1")


def test_no_kafka_is_set() -> None:
    with pytest.raises(ConfigError) as caught:
        ensure_topics(KafkaSettings())
    assert caught.value.key == "kafka.bootstrap_servers"


# --- producer ----------------------------------------------------------------------------------------


def test_keys_go_where_every_client_expects_them(kafka: KafkaSettings, topic: str) -> None:
    keys = [f"sim|S{number}ü".encode() for number in range(200)]
    producer = Producer(kafka, SystemClock())
    producer.send(topic, keys, keys)
    producer.flush(DEADLINE_S)
    found = read_plainly(kafka.bootstrap_servers, topic, len(keys))
    assert sorted(each.key or b"" for each in found) == sorted(keys)
    for each in found:
        assert each.partition == partition_of(each.key or b"", 2) == plain_partition(each.key or b"", 2)
    assert {each.partition for each in found} == {0, 1}


def test_values_of_a_key_keep_their_order(kafka: KafkaSettings, topic: str) -> None:
    values = [str(number).encode() for number in range(5_000)]
    produce(kafka, topic, values, key=b"one")
    assert [each.value for each in read_plainly(kafka.bootstrap_servers, topic, 5_000)] == values


def test_a_value_goes_to_the_partition_that_is_named(kafka: KafkaSettings, topic: str) -> None:
    producer = Producer(kafka, SystemClock())
    for partition in (1, 0, 1):
        producer.send_to_partition(topic, partition, b"beat", {"reason": b"none"})
    producer.flush(DEADLINE_S)
    found = read_plainly(kafka.bootstrap_servers, topic, 3)
    assert sorted(each.partition for each in found) == [0, 1, 1]
    assert {(each.key, each.value, *each.headers.items()) for each in found} == {
        (None, b"beat", ("reason", b"none"))
    }


def test_dead_letters_may_be_as_large_as_any_frame(kafka: KafkaSettings, topic: str) -> None:
    frame = bytes(8 * 1024 * 1024)
    producer = Producer(kafka, SystemClock())
    producer.send_to_partition(topic, 0, frame)
    producer.flush(DEADLINE_S)
    (found,) = read_plainly(kafka.bootstrap_servers, topic, 1)
    assert found.value == frame


def test_flush_tells_what_a_kafka_that_is_away_did_not_take() -> None:
    producer = Producer(AWAY, SystemClock())
    producer.send("topic", [b"k"] * 3, [b"v"] * 3)
    with pytest.raises(Unreachable, match="did not acknowledge 3 values"):
        producer.flush(0.2)
    assert producer.queued == 3


def test_who_is_in_a_hurry_does_not_wait_for_room() -> None:
    producer = Producer(AWAY, SystemClock())
    value = bytes(1024 * 1024)
    producer.hurry(0.2)
    with pytest.raises(Unreachable, match="takes no more"):
        producer.send("topic", [b"k"] * 100, [value] * 100)


def test_a_value_that_was_refused_is_told_once(kafka: KafkaSettings) -> None:
    """Incompressible, and more than the topic takes."""
    producer = Producer(kafka, SystemClock())
    topics = Topics.of(kafka)
    producer.send_to_partition(topics.trades, 0, b"".join(uuid.uuid4().bytes for _ in range(150_000)))
    with pytest.raises(Exception, match=r"1 values were not delivered.*too large"):
        producer.flush(DEADLINE_S)
    producer.send_to_partition(topics.trades, 0, b"small")
    producer.flush(DEADLINE_S)


# --- consumer ----------------------------------------------------------------------------------------


def test_a_new_group_reads_from_the_start_with_all_that_belongs_to_a_value(
    kafka: KafkaSettings, topic: str
) -> None:
    begin_ms = time.time_ns() // 1_000_000
    values = [f"v{number}".encode() for number in range(100)]
    produce(kafka, topic, values)
    with member(kafka, topic, topic) as each:
        each.until(lambda: len(each.values) == 100)
        assert sorted(each.values) == sorted(values)
        assert set(each.assigned) == {Partition(topic, 0), Partition(topic, 1)}
        offsets: dict[Partition, list[int]] = {}
        for batch in each.batches:
            assert batch.keys == batch.values
            offsets.setdefault(batch.partition, []).extend(batch.offsets.tolist())
            assert (abs(batch.append_ts_ms - begin_ms) < 600_000).all()
        assert all(found == list(range(len(found))) for found in offsets.values())
        assert each.consumer.lag() == dict.fromkeys(each.assigned, 0)


def test_lag_counts_what_is_not_taken(kafka: KafkaSettings, topic: str) -> None:
    produce(kafka, topic, [b"x"] * 10, key=b"k")
    where = Partition(topic, partition_of(b"k", 2))
    taken: list[PartitionBatch] = []
    with member(kafka, topic, topic) as each:
        deadline = time.monotonic() + DEADLINE_S
        while not taken and time.monotonic() < deadline:
            taken = each.consumer.poll(4, 0.05)
        assert each.consumer.lag()[where] == 10 - len(taken[0].values)


def test_positions_come_back_with_their_state(kafka: KafkaSettings, topic: str) -> None:
    produce(kafka, topic, [f"v{number}".encode() for number in range(100)])
    state = '{"bars": "ü"}' * 50
    with member(kafka, topic, topic) as each:
        each.until(lambda: len(each.values) == 100)
        positions = {Partition(topic, 0): Position(3, state), Partition(topic, 1): Position(1)}
        each.consumer.commit(positions)
    with member(kafka, topic, topic) as each:
        each.until(lambda: len(each.values) == 96)
        assert each.assigned == positions
        assert {batch.partition: int(batch.offsets[0]) for batch in reversed(each.batches)} == {
            Partition(topic, 0): 3,
            Partition(topic, 1): 1,
        }


def test_nothing_is_committed_by_itself(kafka: KafkaSettings, topic: str) -> None:
    produce(kafka, topic, [b"a", b"b", b"c"])
    for _ in range(2):
        with member(kafka, topic, topic) as each:
            each.until(lambda: len(each.values) == 3)


def test_a_pause_loses_and_repeats_nothing(kafka: KafkaSettings, topic: str) -> None:
    values = [str(number).encode() for number in range(3_000)]
    produce(kafka, topic, values, key=b"k")
    with member(kafka, topic, topic) as each:
        deadline = time.monotonic() + DEADLINE_S
        while len(each.values) < 100:
            assert time.monotonic() < deadline
            each.batches += each.consumer.poll(50, 0.02)
        each.consumer.pause()
        held = len(each.values)
        for _ in range(20):
            assert each.consumer.poll(1_000, 0.01) == []
        produce(kafka, topic, [b"late"], key=b"k")
        each.consumer.pause()
        each.consumer.resume()
        each.until(lambda: len(each.values) == 3_001)
        each.poll()
        assert held < 3_000
        assert each.values == [*values, b"late"]


def test_partitions_that_come_during_a_pause_wait_too(kafka: KafkaSettings, topic: str) -> None:
    produce(kafka, topic, [b"a", b"b"])
    with member(kafka, topic, topic) as each:
        each.consumer.pause()
        each.until(lambda: len(each.assigned) == 2)
        for _ in range(20):
            each.poll()
        assert each.values == []
        each.consumer.resume()
        each.until(lambda: len(each.values) == 2)


def test_what_was_taken_away_during_a_pause_is_read_when_it_comes_back(
    kafka: KafkaSettings, topic: str
) -> None:
    with member(kafka, topic, topic) as first:
        first.until(lambda: len(first.assigned) == 2)
        first.consumer.pause()
        with member(kafka, topic, topic) as second:
            deadline = time.monotonic() + DEADLINE_S
            while not (len(first.assigned) == len(second.assigned) == 1):
                assert time.monotonic() < deadline
                first.poll()
                second.poll()
            first.consumer.resume()  # only what it still has
        first.until(lambda: len(first.assigned) == 2)
        produce(kafka, topic, [f"v{number}".encode() for number in range(40)])
        first.until(lambda: len(first.values) == 40)
        assert {batch.partition.number for batch in first.batches} == {0, 1}


def test_a_member_can_leave_while_kafka_is_away(kafka: KafkaSettings, topic: str) -> None:
    """librdkafka would wait for ever for the answer to a commit while it leaves."""
    produce(kafka, topic, [b"a"], key=b"k")
    refused: list[TicktrailError] = []
    with kafka_proxy(kafka.bootstrap_servers) as proxy:
        each = Member(msgspec.structs.replace(kafka, bootstrap_servers=proxy.bootstrap), topic, topic)
        each.until(lambda: len(each.values) == 1)

        def commit(partitions: Sequence[Partition]) -> None:
            try:
                each.consumer.commit({partition: Position(1) for partition in partitions})
            except Unreachable as error:
                refused.append(error)

        each.before_revoked = commit
        proxy.cut()
        began = time.monotonic()
        each.consumer.close()
        assert time.monotonic() - began < DEADLINE_S
    assert len(refused) == 1
    assert each.assigned == {}


def test_seek_reads_again(kafka: KafkaSettings, topic: str) -> None:
    produce(kafka, topic, [b"a", b"b", b"c"], key=b"k")
    with member(kafka, topic, topic) as each:
        each.until(lambda: len(each.values) == 3)
        each.consumer.seek(Partition(topic, partition_of(b"k", 2)), 1)
        each.until(lambda: len(each.values) == 5)
        assert each.values == [b"a", b"b", b"c", b"b", b"c"]


def test_a_position_that_the_log_no_longer_has_is_an_error(
    servers: Servers, kafka: KafkaSettings, topic: str
) -> None:
    produce(kafka, topic, [b"x"] * 10, key=b"k")
    number = partition_of(b"k", 2)
    with member(kafka, topic, topic) as each:
        each.until(lambda: len(each.values) == 10)
        each.consumer.commit({Partition(topic, number): Position(5)})
    client = AdminClient({"bootstrap.servers": servers.kafka})
    (deleted,) = client.delete_records([TopicPartition(topic, number, 8)]).values()
    assert deleted.result().low_watermark == 8
    with (
        member(kafka, topic, topic) as each,
        pytest.raises(RecordsLost, match=r"no longer has.*kafka\.retention_hours.*persist\.group"),
    ):
        each.until(lambda: False)
    # Another group goes on with what is left.
    with member(kafka, f"{topic}-2", topic) as each:
        each.until(lambda: len(each.values) == 2)


def test_two_members_share_and_hand_over(kafka: KafkaSettings, topic: str) -> None:
    with member(kafka, topic, topic) as first:
        first.until(lambda: len(first.assigned) == 2)
        committed: list[Partition] = []

        def commit(partitions: Sequence[Partition]) -> None:
            first.consumer.commit({partition: Position(0, "handed over") for partition in partitions})
            committed.extend(partitions)

        first.before_revoked = commit
        with member(kafka, topic, topic) as second:
            deadline = time.monotonic() + DEADLINE_S
            while not (len(first.assigned) == len(second.assigned) == 1):
                assert time.monotonic() < deadline
                first.poll()
                second.poll()
            assert first.assigned.keys() | second.assigned.keys() == {
                Partition(topic, 0),
                Partition(topic, 1),
            }
            assert first.revoked == committed == list(second.assigned)
            assert list(second.assigned.values()) == [Position(0, "handed over")]
            produce(kafka, topic, [f"v{number}".encode() for number in range(40)])
            while len(first.values) + len(second.values) < 40:
                assert time.monotonic() < deadline
                first.poll()
                second.poll()
            assert {batch.partition for batch in first.batches} == set(first.assigned)
            assert {batch.partition for batch in second.batches} == set(second.assigned)
        first.until(lambda: len(first.assigned) == 2)


def test_errors_of_callbacks_are_not_swallowed(kafka: KafkaSettings, topic: str) -> None:
    def fail(positions: Mapping[Partition, Position]) -> None:
        raise LookupError(f"{len(positions)} partitions")

    consumer = Consumer(kafka, topic, [topic], fail, lambda partitions: None)

    def poll() -> None:
        deadline = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline:
            consumer.poll(10, 0.02)

    with pytest.raises(LookupError, match="2 partitions"):
        poll()
    consumer.close()


# --- tail --------------------------------------------------------------------------------------------


def test_a_tail_shows_all_from_the_start_and_what_comes(kafka: KafkaSettings, topic: str) -> None:
    produce(kafka, topic, [b"a", b"b"], key=b"k")
    with Tail(kafka, topic, from_start=True) as values:
        assert [each.value for each in islice(values, 2)] == [b"a", b"b"]
        produce(kafka, topic, [b"c"])
        assert next(values) == (b"c", {})
        producer = Producer(kafka, SystemClock())
        producer.send_to_partition(topic, 0, b"d", {"reason": b"bad\xff"})
        assert next(values) == (b"d", {"reason": "bad\ufffd"})


def test_a_tail_of_nothing_is_refused(kafka: KafkaSettings) -> None:
    with pytest.raises(SchemaMismatch, match=r"no topic nothing\.here"):
        Tail(kafka, "nothing.here", from_start=True)
