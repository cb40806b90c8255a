"""Kafka to Cassandra with the real servers, and everything that may happen on the way.

What was sent is compared with what plain cassandra-driver and kafka-python find.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cassandra.cluster import Cluster, Session
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from fixtures_servers import Servers, flags_of, new_settings
from persist_kit import (
    DAY,
    DEADLINE_S,
    SYMBOLS,
    commit_plainly,
    end_offsets,
    identities,
    is_committed,
    persisting,
    send,
    send_raw,
    stored,
    trades,
    until,
)
from plain_kafka import read_plainly
from tcp_proxy import tcp_proxy

from ticktrail.bus import Producer, Topics, ensure_topics, uncommitted
from ticktrail.clock import SystemClock
from ticktrail.codec import decode, encode_columns, encode_record
from ticktrail.config import Settings
from ticktrail.errors import SchemaMismatch
from ticktrail.model import (
    Bar,
    Correction,
    Flag,
    Gap,
    Heartbeat,
    Quote,
    Record,
    Status,
    Trade,
)
from ticktrail.persist import metrics
from ticktrail.store import connect, migrate
from ticktrail.telemetry import isolated_registry

pytestmark = pytest.mark.servers


@pytest.fixture
def settings(servers: Servers, tmp_path: Path) -> Settings:
    """Give an installation for one test; topics exist, tables do not."""
    made = new_settings(servers, tmp_path)
    ensure_topics(made.kafka)
    return made


@pytest.fixture
def plain(settings: Settings) -> Iterator[Session]:
    """Give a session of the stock driver, in the keyspace of the test; the keyspace ends with it."""
    store = settings.store
    session = connect(store)
    migrate(session)
    session.close()
    cluster = Cluster([store.hosts], port=store.port, protocol_version=5)
    yield cluster.connect(store.keyspace)
    cluster.connect().execute(f"DROP KEYSPACE {store.keyspace}")
    cluster.shutdown()


# --- what is sent is stored --------------------------------------------------------------------------


def test_what_is_sent_is_stored_once(settings: Settings, plain: Session) -> None:
    columns = trades(0, 5_000)
    with isolated_registry():
        send(settings, columns)
        send(settings, columns.take(slice(0, 1_000)))  # again, as after a reconnect
        with persisting(settings):
            until(lambda: is_committed(settings), "everything is committed")
        assert metrics.RECEIVED.labels().value == metrics.STORED.labels(table="trades").value == 6_000
        assert metrics.DEAD_LETTERS.labels().value == 0
    found = stored(plain)
    assert len(found) == 5_000
    assert set(found) == identities(columns)
    (row,) = plain.execute("SELECT trade.price AS p FROM latest WHERE feed = 'test' AND symbol = 'S07'")
    assert row.p == 49.67  # the last of its 125 trades is number 4,967


def test_every_kind_goes_to_its_table_and_heartbeats_to_none(settings: Settings, plain: Session) -> None:
    topics = Topics.of(settings.kafka)
    zeros = {"feed": "f", "symbol": "A", "day": DAY, "ts_ns": 1, "event_id": 1}
    zeros |= {"ts_event_ns": 1, "ts_recv_ns": 1}
    some: list[Record] = [
        Heartbeat(feed="f", ts_recv_ns=5),
        *(build(kind, zeros) for kind in (Trade, Quote, Status, Correction, Bar)),
    ]
    with isolated_registry():
        for record in some:
            topic = topics.trades if isinstance(record, Heartbeat) else topics.for_record(type(record))
            topic = topics.vendor_bars if type(record).__name__ == "Bar" else topic
            send_raw(settings, [encode_record(record)], b"f|A", topic)
        with persisting(settings):
            until(lambda: is_committed(settings), "everything is committed")
        assert metrics.NOT_STORED.labels().value == 1
    for table in ("trades", "quotes", "status", "corrections", "bars"):
        assert len(list(plain.execute(f"SELECT * FROM {table}"))) == 1, table


def build(kind: type[Record], values: dict[str, Any]) -> Record:
    given: dict[str, Any] = {}
    for field in msgspec.structs.fields(kind):
        if field.name in values:
            given[field.name] = values[field.name]
        elif field.required:
            given[field.name] = {"interval": "1m", "session": "regular"}.get(field.name, 1)
    return kind(**given)


# --- what cannot be stored ---------------------------------------------------------------------------


def test_garbage_among_good_values_goes_to_the_dead_letters(settings: Settings, plain: Session) -> None:
    topics = Topics.of(settings.kafka)
    good = trades(0, 300)
    garbage = [b"", b"{}", b"\xff" * 40, b"\x0d\x63\0\0\0", encode_columns(good)[0][:-2], bytes(2_000_000)]
    reasons = ["unknown_kind", "not_protobuf", "not_protobuf", "unknown_kind", "not_protobuf", "not_protobuf"]
    with isolated_registry():
        send(settings, good.take(slice(0, 150)))
        send_raw(settings, garbage, b"junk")
        send(settings, good.take(slice(150, None)))
        with persisting(settings):
            until(lambda: is_committed(settings), "everything is committed")
        received = metrics.RECEIVED.labels().value
        assert received == 300 + len(garbage)
        assert received == metrics.STORED.labels(table="trades").value + metrics.DEAD_LETTERS.labels().value
    assert sorted(stored(plain)) == sorted(identities(good))
    letters = read_plainly(settings.kafka.bootstrap_servers, topics.dead_letters, len(garbage))
    sent = read_plainly(settings.kafka.bootstrap_servers, topics.trades, 306)
    places = {(each.partition, each.offset): each.value for each in sent if each.key == b"junk"}
    letters.sort(key=lambda each: int(each.headers["offset"]))
    assert [each.value for each in letters] == garbage
    assert [each.headers["reason"].decode() for each in letters] == reasons
    for each in letters:
        assert each.key == b"junk"
        assert each.headers["topic"] == topics.trades.encode()
        assert each.headers["detail"]
        assert places[int(each.headers["partition"]), int(each.headers["offset"])] == each.value


def test_records_that_the_store_cannot_take_are_found_and_buried(settings: Settings, plain: Session) -> None:
    """Days without a date are refused by our writer, an empty feed in `latest` by the server."""
    good = trades(0, 999)
    first = good.to_records()[0]
    poison = [
        msgspec.structs.replace(first, day=2**31 - 1),
        msgspec.structs.replace(first, day=-(2**31), ts_ns=-(2**63), ts_event_ns=-(2**63)),
        build(Bar, {"feed": "f", "symbol": "A", "day": DAY, "interval": "7m"}),
    ]
    nameless = msgspec.structs.replace(first, feed="", event_id=10**6, flags=int(Flag.UPDATES_LAST))
    with isolated_registry():
        send(settings, good.take(slice(0, 500)))
        send_raw(settings, [encode_record(each) for each in [*poison, nameless]], b"poison")
        send(settings, good.take(slice(500, None)))
        with persisting(settings):
            until(lambda: is_committed(settings), "everything is committed")
        assert metrics.STORED.labels(table="trades").value == 1_000
        assert metrics.DEAD_LETTERS.labels().value == 3
    assert len(stored(plain)) == 1_000
    topic = Topics.of(settings.kafka).dead_letters
    letters = read_plainly(settings.kafka.bootstrap_servers, topic, 3)
    assert sorted(each.value for each in letters) == sorted(encode_record(each) for each in poison)
    assert {each.headers["reason"] for each in letters} == {b"store_rejected"}
    assert len(list(plain.execute("SELECT symbol FROM latest WHERE feed = 'test'"))) == len(SYMBOLS)


# --- what may happen meanwhile -----------------------------------------------------------------------


def test_while_the_store_is_away_nothing_is_lost(settings: Settings, plain: Session) -> None:
    with tcp_proxy(settings.store.hosts, settings.store.port) as proxy, isolated_registry():
        store = msgspec.structs.replace(settings.store, hosts="127.0.0.1", port=proxy.port, timeout_s=2.0)
        through = msgspec.structs.replace(settings, store=store)
        with persisting(through):
            send(settings, trades(0, 2_000))
            until(lambda: is_committed(settings), "the first are committed")
            proxy.cut()
            send(settings, trades(2_000, 2_000))
            until(lambda: metrics.RETRIES.labels().value >= 2, "writes are tried again")
            assert not is_committed(settings), "nothing of it is stored"
            assert len(stored(plain)) == 2_000
            proxy.mend()
            until(lambda: is_committed(settings), "the others are committed")
        assert metrics.STORED.labels(table="trades").value == 4_000
    assert set(stored(plain)) == identities(trades(0, 4_000))


def test_a_stop_while_the_store_is_away_commits_nothing_of_what_is_open(
    settings: Settings, plain: Session
) -> None:
    with tcp_proxy(settings.store.hosts, settings.store.port) as proxy, isolated_registry():
        store = msgspec.structs.replace(settings.store, hosts="127.0.0.1", port=proxy.port, timeout_s=2.0)
        with persisting(msgspec.structs.replace(settings, store=store)) as stop:
            send(settings, trades(0, 500))
            until(lambda: is_committed(settings), "the first are committed")
            proxy.cut()
            send(settings, trades(500, 500))
            until(lambda: metrics.RETRIES.labels().value >= 1, "a write is tried again")
            stop.set()
    assert uncommitted(settings.kafka, settings.persist.group, [Topics.of(settings.kafka).trades]) == 500
    with persisting(settings):
        until(lambda: is_committed(settings), "the others are committed")
    assert set(stored(plain)) == identities(trades(0, 1_000))


@pytest.mark.parametrize(
    ("broken", "mended"),
    [
        ("DROP TABLE trades", ""),  # persist's own start makes it anew
        ("ALTER TABLE trades RENAME ts TO at", "ALTER TABLE trades RENAME at TO ts"),
    ],
)
def test_a_broken_schema_ends_it_and_mended_it_goes_on_where_it_stood(
    settings: Settings, plain: Session, broken: str, mended: str
) -> None:
    def break_it() -> None:
        with isolated_registry(), persisting(settings):
            send(settings, trades(0, 500))
            until(lambda: is_committed(settings), "the first are committed")
            plain.execute(broken)
            send(settings, trades(500, 500))
            until(lambda: metrics.ABANDONED.labels().value > 0, "it has ended")

    with pytest.raises(SchemaMismatch) as told:
        break_it()
    assert "trades" in str(told.value)
    assert told.value.next_step
    assert uncommitted(settings.kafka, settings.persist.group, [Topics.of(settings.kafka).trades]) == 500
    if mended:
        plain.execute(mended)
    with persisting(settings):
        until(lambda: is_committed(settings), "the others are committed")
    assert identities(trades(500, 500)) <= set(stored(plain))


def test_what_kafka_deleted_becomes_a_gap_row_and_the_rest_is_stored(
    settings: Settings, plain: Session
) -> None:
    topic = Topics.of(settings.kafka).trades
    with persisting(settings):
        send(settings, trades(0, 400))
        until(lambda: is_committed(settings), "the first are committed")
    send(settings, trades(400, 400))
    ends = dict(enumerate(end_offsets(settings, topic)))
    client = AdminClient({"bootstrap.servers": settings.kafka.bootstrap_servers})
    (deleted,) = client.delete_records([TopicPartition(topic, 0, ends[0])]).values()
    deleted.result()
    # The other partition's log ends before what the group has committed, as after a loss of power.
    commit_plainly(settings, TopicPartition(topic, 1, ends[1] + 1_000))
    with isolated_registry(), persisting(settings):
        until(lambda: metrics.LOST.labels(topic=topic).value > 0, "the loss is noticed")
        until(lambda: is_committed(settings), "it goes on where the log does")
        send(settings, trades(800, 400))
        until(lambda: is_committed(settings), "the rest is committed")
    found = set(stored(plain))
    assert identities(trades(0, 400)) | identities(trades(800, 400)) <= found
    assert len(found) == 800
    ledger = Topics.of(settings.kafka).for_record(Gap)
    gaps = [decode(each.value) for each in read_plainly(settings.kafka.bootstrap_servers, ledger, 2)]
    assert {(each.channel, each.cause, each.state) for each in gaps if isinstance(each, Gap)} == {
        (f"{topic}/0", "retention", "permanent"),
        (f"{topic}/1", "truncation", "permanent"),
    }


def test_members_of_a_group_share_the_work(settings: Settings, plain: Session) -> None:
    with isolated_registry(), persisting(settings):
        send(settings, trades(0, 1_000))
        with persisting(settings):
            for first in range(1_000, 4_000, 500):
                send(settings, trades(first, 500))
            until(lambda: is_committed(settings), "everything is committed")
        send(settings, trades(4_000, 500))
        until(lambda: is_committed(settings), "the rest is committed")
    assert set(stored(plain)) == identities(trades(0, 4_500))


def test_kill_9_at_any_moment_loses_and_doubles_nothing(
    settings: Settings, plain: Session, tmp_path: Path
) -> None:
    """The real command, killed again and again while more comes, then run to the end."""
    log = tmp_path / "persist.log"
    producer = Producer(settings.kafka, SystemClock())
    sent = 0

    def send_more() -> bool:
        nonlocal sent
        send(settings, trades(sent, 1_000), producer)
        sent += 1_000
        return True

    for _ in range(2):
        more = count(plain) + 1
        with command(settings, log) as process:
            until(lambda: send_more() and count(plain, more) == more, "more is stored")  # noqa: B023
            send_more()
            process.send_signal(signal.SIGKILL)
            process.wait(DEADLINE_S)
    send_more()
    with command(settings, log) as process:
        until(lambda: is_committed(settings), "everything is committed")
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE_S) == 0, log.read_text()
    found = stored(plain)
    assert len(found) == sent
    assert set(found) == identities(trades(0, sent))


def count(plain: Session, limit: int = 10**6) -> int:
    return len(list(plain.execute(f"SELECT event_id FROM trades LIMIT {limit}")))


@contextmanager
def command(settings: Settings, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run `ticktrail persist` as a user would."""
    arguments = [sys.executable, "-m", "ticktrail", "persist", *flags_of(settings)]
    with log.open("ab") as output:
        process = subprocess.Popen(arguments, stdout=output, stderr=output, env={**os.environ})
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
