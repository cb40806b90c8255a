"""What tests of persist share: trades, a persist in a thread, and what plain clients find afterwards."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager

import numpy as np
from cassandra.cluster import Session
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from ticktrail.bus import Producer, Topics, message_key, uncommitted
from ticktrail.clock import SystemClock
from ticktrail.codec import encode_columns
from ticktrail.config import Settings
from ticktrail.model import Columns, Flag, Trade
from ticktrail.persist import Persist
from ticktrail.store import SyncProver, Writer, connect, migrate

DEADLINE_S = 60.0
DAY = 20_529  # 2026-03-17
NOON_NS = (DAY * 86_400 + 12 * 3_600) * 10**9
SYMBOLS = np.array([f"S{number:02d}".encode() for number in range(40)])
Identity = tuple[str, int, int]


def trades(first: int, count: int) -> Columns[Trade]:
    """Make trades number `first` and following, over many symbols and an hour."""
    numbers = np.arange(first, first + count)
    ts_ns = NOON_NS + numbers * 10**6 % (3_600 * 10**9)
    fields = {
        "feed": b"test",
        "symbol": SYMBOLS[numbers % len(SYMBOLS)],
        "day": DAY,
        "ts_ns": ts_ns,
        "event_id": numbers,
        "ts_event_ns": ts_ns,
        "ts_recv_ns": ts_ns,
        "price": numbers / 100,
        "size": 1.0,
        "flags": int(Flag.UPDATES_LAST),
        "trade_id": numbers.astype("S"),
    }
    return Columns(Trade, fields)


def send(settings: Settings, columns: Columns[Trade], producer: Producer | None = None) -> None:
    made = producer or Producer(settings.kafka, SystemClock())
    keys = [message_key("test", symbol.decode()) for symbol in columns["symbol"].tolist()]
    made.send(Topics.of(settings.kafka).trades, keys, encode_columns(columns))
    made.flush(DEADLINE_S)


def send_raw(settings: Settings, values: Sequence[bytes], key: bytes, topic: str = "") -> None:
    producer = Producer(settings.kafka, SystemClock())
    producer.send(topic or Topics.of(settings.kafka).trades, [key] * len(values), values)
    producer.flush(DEADLINE_S)


def identities(columns: Columns[Trade]) -> set[Identity]:
    symbols = (symbol.decode() for symbol in columns["symbol"].tolist())
    return set(zip(symbols, columns["ts_ns"].tolist(), columns["event_id"].tolist(), strict=True))


def stored(plain: Session) -> list[Identity]:
    return [tuple(row) for row in plain.execute("SELECT symbol, ts, event_id FROM trades")]


def end_offsets(settings: Settings, topic: str) -> list[int]:
    client = AdminClient({"bootstrap.servers": settings.kafka.bootstrap_servers})
    asked = {TopicPartition(topic, number): OffsetSpec.latest() for number in range(2)}
    found = {at.partition: future.result().offset for at, future in client.list_offsets(asked).items()}
    return [found[number] for number in range(2)]


def commit_plainly(settings: Settings, position: TopicPartition) -> None:
    """Set the position of persist's group, which has no members now."""
    consumer = Consumer(
        {"bootstrap.servers": settings.kafka.bootstrap_servers, "group.id": settings.persist.group}
    )
    consumer.commit(offsets=[position], asynchronous=False)
    consumer.close()


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(0.02)


def is_committed(settings: Settings) -> bool:
    return not uncommitted(settings.kafka, settings.persist.group, Topics.of(settings.kafka).persisted)


@contextmanager
def persisting(settings: Settings) -> Iterator[threading.Event]:
    """Run persist in a thread; its errors are raised at the end."""
    session = connect(settings.store)
    migrate(session)
    stop = threading.Event()
    errors: list[BaseException] = []

    def run() -> None:
        try:
            with closing(SyncProver(session, SystemClock())) as prover:
                Persist(settings, Writer(session, 16), prover, SystemClock(), stop).run()
        except BaseException as error:  # noqa: BLE001  (raised on the test's own thread)
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield stop
    finally:
        stop.set()
        thread.join(DEADLINE_S)
        session.close()
    assert not thread.is_alive(), "persist did not stop"
    if errors:
        raise errors[0]
