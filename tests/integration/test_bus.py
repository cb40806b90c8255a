"""The real Kafka, looked at with other clients (kafka-python, the admin client of confluent-kafka)."""

from __future__ import annotations

import time
import uuid
from itertools import islice

import msgspec
import pytest
from bus_kit import DEADLINE_S, produce
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType
from fixtures_servers import Servers
from plain_kafka import plain_partition, read_plainly

from ticktrail.bus import (
    MESSAGE_BYTES_MAX,
    LiveProducer,
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
from ticktrail.config import KafkaSettings
from ticktrail.errors import ConfigError, SchemaMismatch, TicktrailError, Unreachable

pytestmark = pytest.mark.servers

AWAY = KafkaSettings(bootstrap_servers="127.0.0.1:1")


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
    producer = LiveProducer(kafka)
    sent = [(b"test|S%d" % (n % 7), b"%d" % n) for n in range(2_000)]
    producer.send(topic, [key for key, _ in sent[:1_000]], [value for _, value in sent[:1_000]])
    receipt = producer.send(topic, [key for key, _ in sent[1_000:]], [value for _, value in sent[1_000:]])
    acknowledge(producer, receipt)
    found = read_plainly(servers.kafka, topic, len(sent))
    for number in range(2):
        there = [(each.key, each.value) for each in found if each.partition == number]
        assert there == [pair for pair in sent if plain_partition(pair[0], 2) == number]


def acknowledge(producer: LiveProducer, *receipts: Receipt) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not all(map(producer.has, receipts)):
        assert time.monotonic() < deadline
        producer.poll(wait=True)


def test_live_values_have_what_they_were_given(servers: Servers, kafka: KafkaSettings, topic: str) -> None:
    producer = LiveProducer(kafka)
    producer.send(topic, [None, b"", b"k\0"], [b"\0", b"", b"x" * 100_000], [1, 1, 1])
    headers = {"reason": b"\0x", "none": b""}
    receipt = producer.send(topic, [b"key", None], [b"with", b""], [0, 0], headers)
    acknowledge(producer, receipt)
    found = read_plainly(servers.kafka, topic, 5)
    assert [(each.key, each.value) for each in found if each.partition == 1] == [
        (None, b"\0"),
        (b"", b""),
        (b"k\0", b"x" * 100_000),
    ]
    zero = [each for each in found if each.partition == 0]
    assert [(each.key, each.value) for each in zero] == [(b"key", b"with"), (None, b"")]
    assert [dict(each.headers) for each in zero] == [headers] * 2
    producer.close()


def test_live_values_without_keys_take_turns(servers: Servers, kafka: KafkaSettings, topic: str) -> None:
    producer = LiveProducer(kafka)
    for _ in range(3):
        receipt = producer.send(topic, [None] * 2, [b"a", b"b"])
    acknowledge(producer, receipt)
    found = read_plainly(servers.kafka, topic, 6)
    assert sorted(each.partition for each in found) == [0, 0, 0, 1, 1, 1]
    producer.close()


def test_a_place_of_a_wider_installation_is_taken_modulo(
    servers: Servers, kafka: KafkaSettings, topic: str
) -> None:
    producer = LiveProducer(kafka)
    acknowledge(producer, producer.send(topic, [b"a", b"b"], [b"1", b"2"], [9, 4]))
    found = read_plainly(servers.kafka, topic, 2)
    assert {(each.partition, each.value) for each in found} == {(1, b"1"), (0, b"2")}
    producer.close()


def test_a_receipt_waits_for_its_own_values(kafka: KafkaSettings, topic: str) -> None:
    producer = LiveProducer(kafka)
    first = producer.send(topic, [b"a"], [b"1"])
    acknowledge(producer, first)
    second = producer.send(topic, [b"a"], [b"2"])
    assert producer.has(first)
    assert not producer.has(second)
    acknowledge(producer, second)
    producer.close()
    producer.close()


def test_a_value_that_is_refused_breaks_a_live_producer(kafka: KafkaSettings, topic: str) -> None:
    producer = LiveProducer(msgspec.structs.replace(kafka, partitions=10))  # the topic has two
    acknowledge(producer, producer.send(topic, [b"a"], [b"1"], [0]))
    with pytest.raises(SchemaMismatch, match="lacks a topic"):
        acknowledge(producer, producer.send(topic, [b"a"], [b"1"], [9]))
    for _ in range(2):
        with pytest.raises(SchemaMismatch, match="lacks a topic"):
            producer.send(topic, [b"a"], [b"1"])
    producer.close()


def test_settings_that_librdkafka_refuses_are_told(kafka: KafkaSettings) -> None:
    with pytest.raises(ConfigError, match=r"ssl\.ca\.location|certificate"):
        LiveProducer(msgspec.structs.replace(kafka, security_protocol="SSL", tls_ca_file="/no/such/file"))


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
