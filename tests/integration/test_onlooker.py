"""Reading without a group, over trouble: nothing twice, nothing missed; a client that stalls is noticed."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
import numpy as np
import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from kafka_proxy import kafka_proxy

from ticktrail.bus import Onlooker, Partition, Producer, Topics, message_key
from ticktrail.bus import onlooker as onlooker_module
from ticktrail.bus import standing as standing_module
from ticktrail.clock import NS_PER_SECOND, SystemClock
from ticktrail.codec import encode_record
from ticktrail.config import KafkaSettings
from ticktrail.dashboard.hub import Hub
from ticktrail.dashboard.live import LiveReader
from ticktrail.errors import Overloaded
from ticktrail.model import Flag, Trade

pytestmark = [pytest.mark.servers, pytest.mark.timeout(200)]

S = NS_PER_SECOND
CLOCK = SystemClock()
DEADLINE_S = 60.0
ALL = int(Flag.UPDATES_LAST | Flag.UPDATES_HIGH_LOW | Flag.UPDATES_VOLUME)


def send(kafka: KafkaSettings, topic: str, values: list[bytes]) -> None:
    producer = Producer(kafka, CLOCK)
    producer.send(topic, [value[:4] for value in values], values)
    producer.flush(30)


def taken(one: Onlooker, is_enough: Callable[[list[bytes]], bool]) -> list[bytes]:
    found: list[bytes] = []
    deadline = time.monotonic() + DEADLINE_S
    while not is_enough(found):
        assert time.monotonic() < deadline, f"only {len(found)} have come"
        found += [value for seen in one.poll(1_000, 0.1) for value in seen.values]
    return found


def numbered(first: int, count: int) -> list[bytes]:
    return [b"%06d" % number for number in range(first, first + count)]


def test_who_begins_at_the_positions_of_another_gets_what_that_one_did_not(
    kafka: KafkaSettings, topic: str
) -> None:
    send(kafka, topic, numbered(0, 300))
    before = Onlooker(kafka, {topic: 0}, 0)
    first: list[bytes] = []
    while not first:  # a part of them, of some partitions
        first += [value for seen in before.poll(100, 1.0) for value in seen.values]
    before.close()
    send(kafka, topic, numbered(300, 200))
    # The instant says nothing where a position does.
    after = Onlooker(kafka, {topic: CLOCK.now_ns()}, 0, before.positions)
    rest = taken(after, lambda found: len(found) >= 500 - len(first))
    assert not after.poll(100, 0.5)
    after.close()
    assert sorted(first + rest) == numbered(0, 500)


def test_a_client_that_has_stopped_reading_is_noticed_and_the_next_one_reads_on(
    kafka: KafkaSettings, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onlooker_module, "LOOK_EVERY_NS", S // 5)
    monkeypatch.setattr(standing_module, "_QUIET_NS", S // 2)
    one = Onlooker(kafka, {topic: 0}, 0)
    send(kafka, topic, numbered(0, 100))
    found = taken(one, lambda found: len(found) >= 100)
    # Quiet for long, and rightly so.
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        assert one.poll(100, 0.1) == []
    # As librdkafka does by mistake: it asks for nothing more, and says nothing.
    one._consumer.pause(one._consumer.assignment())
    send(kafka, topic, numbered(100, 100))
    with pytest.raises(Overloaded, match="no more values"):
        taken(one, lambda found: False)
    one.close()
    other = Onlooker(kafka, {topic: 0}, 0, one.positions)
    found += taken(other, lambda found: len(found) >= 100)
    other.close()
    assert sorted(found) == numbered(0, 200)


def test_what_the_log_no_longer_has_is_passed_over_and_counted(kafka: KafkaSettings, topic: str) -> None:
    send(kafka, topic, numbered(0, 200))
    with_all = Onlooker(kafka, {topic: 0}, 0)
    taken(with_all, lambda found: len(found) >= 200)
    with_all.close()
    ends = with_all.positions
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    cut = {partition: end // 2 for partition, end in ends.items()}
    for future in admin.delete_records(
        [TopicPartition(topic, each.number, offset) for each, offset in cut.items()]
    ).values():
        future.result(30)
    one = Onlooker(kafka, {topic: 0}, 0, dict.fromkeys(ends, 0))
    left = sum(end - cut[partition] for partition, end in ends.items())
    found = taken(one, lambda found: len(found) >= left)
    assert not one.poll(100, 0.5)
    one.close()
    assert len(set(found)) == len(found) == left
    assert one.skipped == sum(offset > 0 for offset in cut.values())


def test_a_log_that_began_anew_is_read_from_what_is_later_than_the_last(
    kafka: KafkaSettings, topic: str
) -> None:
    send(kafka, topic, numbered(0, 100))
    one = Onlooker(kafka, {topic: 0}, 0)
    taken(one, lambda found: len(found) >= 100)
    send(kafka, topic, numbered(100, 100))
    # As if it had taken offsets that the log does not reach any more.
    for partition, offset in one.positions.items():
        one.positions[partition] = offset + 10_000
        one._consumer.seek(TopicPartition(partition.topic, partition.number, offset + 10_000))
    found = taken(one, lambda found: len(found) >= 100)
    one.close()
    assert sorted(set(found)) == numbered(100, 100)
    assert one.skipped >= 1


def trade(number: int) -> Trade:
    now_ns = CLOCK.now_ns()
    return Trade(
        feed="f",
        symbol=f"S{number % 4}",
        day=now_ns // (86_400 * S),
        ts_ns=now_ns,
        event_id=number,
        ts_event_ns=now_ns,
        ts_recv_ns=now_ns,
        price=10.0,
        size=1.0,
        trade_id=str(number),
        flags=ALL,
    )


def test_after_trouble_no_trade_counts_twice_and_none_is_missed(
    kafka: KafkaSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kafka is cut off again and again, and at each turn the reader is torn off with values in its hands."""
    count = 600
    troubles = [0]
    poll = Onlooker.poll

    def torn(self: Onlooker, records_max: int, timeout_s: float) -> Any:
        found = poll(self, records_max, timeout_s)
        if found and torn_off.is_set():
            torn_off.clear()
            troubles[0] += 1
            raise Overloaded(what="torn off", service="Kafka")
        return found

    torn_off = threading.Event()
    monkeypatch.setattr(Onlooker, "poll", torn)
    topics = Topics.of(kafka)
    producer = Producer(kafka, CLOCK)

    async def follow(through: KafkaSettings, proxy: Any) -> Hub:
        hub = Hub()
        reader = LiveReader(through, hub, asyncio.get_running_loop(), CLOCK)
        reader.start()
        await hear(reader.has_caught_up.is_set)
        for first in range(0, count, 100):
            torn_off.set()
            if first % 300 == 0:
                proxy.cut()
            trades = [trade(number) for number in range(first, first + 100)]
            keys = [message_key(each.feed, each.symbol) for each in trades]
            producer.send(topics.trades, keys, [encode_record(each) for each in trades])
            await asyncio.to_thread(producer.flush, 30)
            proxy.mend()
            await hear(partial(has_counted, hub, first + 100))
        await asyncio.sleep(0.5)
        reader.stop()
        return hub

    async def hear(condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < deadline, "it did not come in time"
            await asyncio.sleep(0.05)

    with kafka_proxy(kafka.bootstrap_servers) as proxy:
        through = msgspec.structs.replace(kafka, bootstrap_servers=proxy.bootstrap)
        hub = asyncio.run(follow(through, proxy))
    assert counted(hub) == count
    shown = [
        each["trade_id"]
        for code in range(len(hub.board))
        for each in hub.tape.trades_of(code, -1, 10 * count)[0]
    ]
    assert sorted(map(int, shown)) == list(range(count))
    assert troubles[0] == 6


def has_counted(hub: Hub, count: int) -> bool:
    return counted(hub) >= count


def counted(hub: Hub) -> int:
    codes = np.arange(len(hub.board))
    return int(sum(row["trades"] for row in hub.board.rows(codes)))


def test_positions_are_those_of_partitions(kafka: KafkaSettings, topic: str) -> None:
    send(kafka, topic, numbered(0, 50))
    one = Onlooker(kafka, {topic: CLOCK.now_ns() + 10 * S}, 0)
    # Nothing is that young: it begins where the log ends.
    assert set(one.positions) == {Partition(topic, number) for number in range(2)}
    assert sum(one.positions.values()) == 50
    assert one.lag() == 0
    one.close()
