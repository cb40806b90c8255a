"""What goes to which topic, under which key."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from fakes.memory_producer import MemoryProducer

from ticktrail.bus import Producer, Topics
from ticktrail.capture import Direct, Sender, metrics
from ticktrail.codec import encode_record
from ticktrail.feeds import Rejected
from ticktrail.model import Bar, Columns, Gap, Heartbeat, Trade
from ticktrail.telemetry import isolated_registry

TOPICS = Topics(prefix="t")
TRADES: Columns[Any] = Columns(
    Trade,
    {
        "feed": b"sim",
        "symbol": np.array([b"A", "Ü".encode(), b"BRK.B"]),
        "day": 20_000,
        "ts_ns": np.array([1, 2, 3]),
        "event_id": 0,
        "ts_event_ns": 0,
        "ts_recv_ns": 0,
        "price": 1.0,
        "size": 1.0,
    },
)
BARS: Columns[Any] = Columns(
    Bar,
    {
        "feed": b"sim",
        "symbol": np.array([b"A"]),
        "interval": b"1m",
        "day": 20_000,
        "ts_open_ns": 0,
        "ts_close_ns": 60_000_000_000,
        **dict.fromkeys(("open", "high", "low", "close", "volume", "vwap"), 1.0),
        "trades": 1,
        "session": b"regular",
    },
)


def sender() -> tuple[Sender, MemoryProducer]:
    producer = MemoryProducer()
    return Sender(Direct(cast("Producer", producer)), TOPICS, "sim", 3), producer


def test_records_are_keyed_by_feed_and_symbol() -> None:
    with isolated_registry():
        made, producer = sender()
        assert made.send(TRADES, 5) == 0
        assert metrics.RECORDS.labels(feed="sim", kind="trade").value == 3
    assert [sent.key for sent in producer.of("t.trades.v1")] == [b"sim|A", "sim|Ü".encode(), b"sim|BRK.B"]
    assert [sent.value for sent in producer.sent] == [encode_record(each) for each in TRADES.to_records()]
    assert {sent.partition for sent in producer.sent} == {-1}


def test_a_vendors_bars_never_mix_with_ours() -> None:
    made, producer = sender()
    assert made.send(BARS, 5) == 0
    (sent,) = producer.sent
    assert (sent.topic, sent.key) == ("t.vendor-bars.v1", b"sim:vendor|A")
    assert isinstance(sent.record, Bar)
    assert sent.record.feed == "sim:vendor"
    assert BARS["feed"].tolist() == [b"sim"]


def test_heartbeats_go_to_every_partition_that_carries_them() -> None:
    made, producer = sender()
    made.send_heartbeat(77, since_ns=70)
    topics = ("t.trades.v1", "t.quotes.v1", "t.status.v1")
    places = {(sent.topic, sent.partition) for sent in producer.sent}
    assert places == {(topic, partition) for topic in topics for partition in range(3)}
    assert len(producer.sent) == 9
    assert {sent.record for sent in producer.sent} == {Heartbeat(feed="sim", ts_recv_ns=77, since_ns=70)}


def test_what_cannot_be_read_is_kept_as_it_came() -> None:
    with isolated_registry():
        made, producer = sender()
        lost = made.send_rejected([Rejected(b"\xff\0", "not_json", "at byte 0")], 5)
        assert lost == 0
        assert metrics.REJECTED.labels(feed="sim", reason="not_json").value == 1
    (sent,) = producer.sent
    assert (sent.topic, sent.partition, sent.value) == ("t.dead-letters", -1, b"\xff\0")
    assert sent.headers == {
        "feed": b"sim",
        "reason": b"not_json",
        "detail": b"at byte 0",
        "ts_recv_ns": b"5",
    }


def test_the_ledger_is_keyed_by_the_feed_and_tells_the_scope() -> None:
    gap = Gap(feed="sim", channel="*", day=1, from_ns=1, to_ns=2, ts_recv_ns=3, cause="silence")
    with isolated_registry():
        made, producer = sender()
        assert made.send_proof(77, 70, "abc")
        assert made.send_gap(gap, "abc")
        assert metrics.GAPS.labels(feed="sim", cause="silence", state="open").value == 1
    assert {(sent.topic, sent.key, sent.headers["scope"]) for sent in producer.sent} == {
        ("t.gaps.v1", b"sim", b"abc")
    }
    assert [sent.record for sent in producer.sent] == [
        Heartbeat(feed="sim", ts_recv_ns=77, since_ns=70),
        gap,
    ]
