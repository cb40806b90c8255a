"""What persist says in Kafka, as it reaches its topics."""

from __future__ import annotations

from typing import cast

import pytest
from fakes.memory_producer import MemoryProducer

from ticktrail.bus import MESSAGE_BYTES_MAX, Producer, Topics
from ticktrail.errors import Unreachable
from ticktrail.model import Gap
from ticktrail.persist.batch import Letter
from ticktrail.persist.letters import Letters


def letter(value: bytes = b"\xff", key: bytes | None = b"f|A") -> Letter:
    return Letter(
        topic="t.trades.v1",
        partition=3,
        offset=77,
        key=key,
        value=value,
        reason="not_protobuf",
        detail="because: ü",
    )


def letters() -> tuple[Letters, MemoryProducer]:
    producer = MemoryProducer()
    return Letters(cast("Producer", producer), Topics(prefix="t")), producer


def test_a_letter_says_where_it_comes_from() -> None:
    made, producer = letters()
    made.send([letter(), letter(key=None)])
    first, second = producer.sent
    assert (first.topic, first.key, first.value) == ("t.dead-letters", b"f|A", b"\xff")
    assert second.key is None
    assert {name: text.decode() for name, text in first.headers.items()} == {
        "topic": "t.trades.v1",
        "partition": "3",
        "offset": "77",
        "reason": "not_protobuf",
        "detail": "because: ü",
    }


def test_it_returns_when_kafka_has_them() -> None:
    made, producer = letters()
    made.send([letter(), letter()])
    assert producer.flushes == 1


def test_what_kafka_does_not_take_is_told() -> None:
    made, producer = letters()
    producer.failure = Unreachable(what="Kafka is away", service="Kafka", address="k:1")
    with pytest.raises(Unreachable):
        made.send([letter()])


def test_of_a_monster_the_beginning_is_kept() -> None:
    """Kafka's limit is for what is compressed; a stranger's value may be any size when it is not."""
    made, producer = letters()
    monster = b"head" + bytes(MESSAGE_BYTES_MAX)
    made.send([letter(monster)])
    (sent,) = producer.sent
    assert sent.value == monster[: len(sent.value)]
    assert len(sent.value) < MESSAGE_BYTES_MAX
    assert sent.headers["cut_from_bytes"] == str(len(monster)).encode()


def test_a_gap_goes_to_the_ledger() -> None:
    made, producer = letters()
    gap = Gap(feed="*", channel="t/0", day=1, from_ns=2, to_ns=3, ts_recv_ns=3, cause="retention")
    made.send_gap(gap)
    (sent,) = producer.sent
    assert (sent.topic, sent.key, sent.record) == ("t.gaps.v1", b"*|t/0", gap)
    assert producer.flushes == 1
