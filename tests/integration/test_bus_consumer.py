"""Groups at the real Kafka: positions, pauses, hand-overs."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import msgspec
import pytest
from bus_kit import DEADLINE_S, Member, member, produce, share
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from fixtures_servers import Servers
from kafka_proxy import kafka_proxy

from ticktrail.bus import (
    Consumer,
    Partition,
    PartitionBatch,
    Position,
    partition_of,
)
from ticktrail.config import KafkaSettings
from ticktrail.errors import RecordsLost, TicktrailError, Unreachable

pytestmark = pytest.mark.servers


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
            share(first, second)
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
            share(first, second)
            assert first.assigned.keys() | second.assigned.keys() == {
                Partition(topic, 0),
                Partition(topic, 1),
            }
            assert first.revoked == committed == list(second.assigned)
            assert list(second.assigned.values()) == [Position(0, "handed over")]
            produce(kafka, topic, [f"v{number}".encode() for number in range(40)])
            deadline = time.monotonic() + DEADLINE_S
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
