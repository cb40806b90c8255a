"""Writing to the real Cassandra, read back by plain cassandra-driver: nothing of ours is in that way."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest
from cassandra.cluster import Cluster, Session
from store_rows import DAY, NOON_NS, empty_keyspace, put, some, trades

from ticktrail.config import Settings
from ticktrail.errors import SchemaMismatch, TicktrailError, WriteRejected
from ticktrail.model import (
    Bar,
    Columns,
    Correction,
    Quote,
    Record,
    Status,
    Trade,
    column_dtypes,
)
from ticktrail.store import (
    LATEST_QUOTES,
    LATEST_TRADES,
    TABLES,
    TRADES,
    StoreSession,
    Table,
    Writer,
    migrate,
)

pytestmark = pytest.mark.servers


@pytest.fixture(scope="module")
def plain(installation: Settings) -> Iterator[Session]:
    """Give a session of the stock driver, made without ticktrail."""
    store = installation.store
    cluster = Cluster([store.hosts], port=store.port, protocol_version=5)
    yield cluster.connect(store.keyspace)
    cluster.shutdown()


@pytest.fixture(scope="module")
def writer(store_session: StoreSession) -> Writer:
    return Writer(store_session, requests_in_flight_max=8)


@pytest.fixture
def empty(store_session: StoreSession) -> Iterator[StoreSession]:
    """Give a session on a keyspace that does not exist yet."""
    with empty_keyspace(store_session.settings) as session:
        yield session


def same(left: Any, right: Any) -> bool:
    """Compare as stored: NaN equals NaN, and zeros have signs."""
    return repr(left) == repr(right)


# --- the way there and back --------------------------------------------------------------------------


@pytest.mark.parametrize("record", [Trade, Quote, Status, Correction, Bar])
def test_every_field_is_read_back_by_the_stock_driver(
    writer: Writer, plain: Session, record: type[Record]
) -> None:
    table = next(each for each in TABLES.values() if each.record is record)
    records = some(record, 24)
    put(writer, table, records)
    rows = {}
    for row in plain.execute(f"SELECT * FROM {table.name}"):
        keys = {**table.partition, **table.clustering}
        values = {name: getattr(row, name) for name in keys}
        values |= getattr(row, table.value)._asdict()
        rows[tuple(str(values[name]) for name in keys)] = values
    assert len(rows) == len(records)
    for each in records:
        found = next(values for values in rows.values() if is_of(table, values, each))
        for name in column_dtypes(record):
            if name in found and name not in ("day", "ts"):
                assert same(found[name], getattr(each, name)), name


def is_of(table: Table, row: dict[str, Any], record: Any) -> bool:
    """Tell whether a row is that of a record, by all parts of the primary key."""
    expected = {"feed": record.feed, "symbol": record.symbol}
    if table.record is Bar:
        expected |= {"interval": record.interval, "ts": record.ts_open_ns}
        return all(row[name] == value for name, value in expected.items()) and row["day"] == record.day
    expected |= {"ts": record.ts_ns, "event_id": record.event_id}
    return (
        all(row[name] == value for name, value in expected.items())
        and row["day"].date() == date(1970, 1, 1) + timedelta(days=record.day)
        and 0 <= row["slot"] <= 2359
    )


def test_the_keys_are_those_of_the_design(writer: Writer, plain: Session) -> None:
    at = NOON_NS + (2 * 3_600 + 44 * 60) * 10**9 + 123_456_789  # 14:44 UTC
    put(writer, TRADES, trades(1, symbol=lambda _: "KEYS", ts_ns=lambda _: at, event_id=lambda _: 77))
    query = (
        "SELECT * FROM trades WHERE feed = 'feed' AND symbol = 'KEYS' AND day = '2026-03-17' AND slot = 1430"
    )
    (row,) = plain.execute(query)
    assert (row.ts, row.event_id) == (at, 77)


def test_partitions_are_in_the_catalogue(empty: StoreSession) -> None:
    migrate(empty)
    hour_ns = 3_600 * 10**9
    records = trades(
        6,
        symbol=lambda index: f"C{index % 2}",
        day=lambda index: DAY + index // 3,
        ts_ns=lambda index: NOON_NS + index * hour_ns,
    )
    bars = some(Bar, 5, symbol=lambda _: "AAPL", day=lambda _: DAY)
    made = Writer(empty, 4)
    for _ in range(2):
        put(made, TRADES, records)
        put(made, TABLES["bars"], bars)
    entries = {tuple(row) for row in empty.execute("SELECT dataset, symbol, day, slot FROM partitions")}
    days = [date(2026, 3, 17 + index // 3) for index in range(6)]
    slots = [1200, 1300, 1400, 1500, 1600, 1700]
    expected = {("trades", f"C{i % 2}", days[i], slots[i]) for i in range(6)}
    firsts = {"1s": days[0], "1m": days[0].replace(day=1), "1h": days[0].replace(month=1, day=1)}
    firsts |= {"5m": firsts["1m"], "1d": firsts["1h"]}
    expected |= {(f"bars:{interval}", "AAPL", first, 0) for interval, first in firsts.items()}
    assert {(dataset, symbol, day.date(), slot) for dataset, symbol, day, slot in entries} == expected
    named = {(row.dataset, row.day.date()) for row in empty.execute("SELECT dataset, day FROM days")}
    assert named == {(dataset, day) for dataset, _, day, _ in expected}


def test_the_last_trade_and_quote_of_a_symbol_share_a_row(empty: StoreSession) -> None:
    migrate(empty)
    made = Writer(empty, 4)
    put(made, LATEST_TRADES, trades(1, symbol=lambda _: "A", price=lambda _: 5.0))
    put(made, LATEST_QUOTES, some(Quote, 1, symbol=lambda _: "A", bid_price=lambda _: 4.0))
    (row,) = empty.execute("SELECT symbol, trade.price, quote.bid_price FROM latest WHERE feed = 'feed'")
    assert tuple(row) == ("A", 5.0, 4.0)
    assert empty.execute("SELECT * FROM partitions") == []


# --- writing again -----------------------------------------------------------------------------------


def test_writing_again_changes_nothing(writer: Writer, plain: Session) -> None:
    records = trades(50, symbol=lambda _: "TWICE")
    query = "SELECT ts, event_id, tick, WRITETIME(tick) FROM trades WHERE symbol = 'TWICE' ALLOW FILTERING"
    put(writer, TRADES, records)
    before = list(plain.execute(query))
    put(writer, TRADES, records[::-1])
    put(writer, TRADES, records + records)
    assert list(plain.execute(query)) == before
    assert len(before) == 50


def test_an_older_write_never_hides_a_newer_one(writer: Writer, plain: Session) -> None:
    def price() -> float:
        (row,) = plain.execute(
            "SELECT tick.price AS price, WRITETIME(tick) AS at FROM trades"
            " WHERE symbol = 'OLDER' ALLOW FILTERING"
        )
        return float(row.price)

    put(writer, TRADES, trades(1, symbol=lambda _: "OLDER", price=lambda _: 2.0), write_ts_us=2_000)
    put(writer, TRADES, trades(1, symbol=lambda _: "OLDER", price=lambda _: 1.0), write_ts_us=1_999)
    assert price() == 2.0
    put(writer, TRADES, trades(1, symbol=lambda _: "OLDER", price=lambda _: 3.0), write_ts_us=2_001)
    assert price() == 3.0


def test_each_row_has_its_own_write_time(writer: Writer, plain: Session) -> None:
    columns = Columns.from_records(Trade, trades(3, symbol=lambda index: f"W{2 - index}"))
    writer.write(TRADES, columns, np.array([30, 20, 10]))
    rows = plain.execute("SELECT symbol, WRITETIME(tick) AS at FROM trades")
    found = {row.symbol: row.at for row in rows if row.symbol.startswith("W")}
    assert found == {"W2": 30, "W1": 20, "W0": 10}


# --- many, large, refused ----------------------------------------------------------------------------


def test_thousands_of_partitions_and_long_rows_pass_the_servers_limits(
    writer: Writer, plain: Session
) -> None:
    """Batches over several partitions are bounded by the server in its own measure, not in bytes sent."""
    short = trades(3_000, symbol=lambda index: f"M{index}", side=lambda _: "")
    long = trades(
        3_000,
        symbol=lambda index: f"L{index % 40}",
        conditions=lambda _: "c" * 127,
        trade_id=lambda _: "i" * 127,
    )
    for records in (short, long, short + long):
        put(writer, TRADES, records)
    rows = plain.execute("SELECT symbol FROM trades")
    found = [row.symbol for row in rows if row.symbol[0] in "ML" and row.symbol != "MSFT"]
    assert len(found) == 6_000


def test_a_partition_larger_than_any_batch_is_one_write(writer: Writer, plain: Session) -> None:
    put(writer, TRADES, trades(20_000, symbol=lambda _: "HOT", conditions=lambda _: "c" * 100))
    where = "feed = 'feed' AND symbol = 'HOT' AND day = '2026-03-17' AND slot = 1200"
    (row,) = plain.execute(f"SELECT count(*) AS n FROM trades WHERE {where}")
    assert row.n == 20_000


def test_rows_that_the_server_refuses_are_told_from_trouble(writer: Writer, plain: Session) -> None:
    """`latest` has the feed alone as its partition, and the server takes no empty one."""
    columns = Columns.from_records(Trade, [*trades(1), *trades(1, feed=lambda _: "")])
    with pytest.raises(WriteRejected, match="empty"):
        writer.write(LATEST_TRADES, columns, np.array([1, 1]))
    put(writer, TRADES, trades(1, symbol=lambda _: "AFTER"))
    assert plain.execute("SELECT * FROM trades WHERE symbol = 'AFTER' ALLOW FILTERING").one()


def test_texts_that_are_no_utf8_are_refused_by_the_server(writer: Writer) -> None:
    columns = Columns.from_records(Trade, trades(1)).replace(venue=b"\xff\xfe")
    with pytest.raises(WriteRejected):
        writer.write(TRADES, columns, np.array([1]))


def test_days_that_have_no_date_are_refused_before_anything_is_sent(writer: Writer, plain: Session) -> None:
    records = trades(2, symbol=lambda _: "NODAY", day=lambda index: [DAY, 2**31 - 1][index])
    with pytest.raises(WriteRejected, match="9999-12-31"):
        put(writer, TRADES, records)
    assert not list(plain.execute("SELECT * FROM trades WHERE symbol = 'NODAY' ALLOW FILTERING"))


@pytest.mark.parametrize("day", [date.min, date.max])
def test_every_date_of_python_can_be_stored(empty: StoreSession, day: date) -> None:
    migrate(empty)
    put(Writer(empty, 1), TRADES, trades(1, day=lambda _: (day - date(1970, 1, 1)).days))
    (row,) = empty.execute("SELECT day FROM trades")
    (entry,) = empty.execute("SELECT day FROM days")
    assert row.day.date() == entry.day.date() == day


def test_after_an_error_the_writer_has_its_room_again(store_session: StoreSession) -> None:
    """As many failures as there are places: none of them may be kept."""
    made = Writer(store_session, requests_in_flight_max=2)
    bad = Columns.from_records(Trade, trades(1)).replace(venue=b"\xff")
    for _ in range(5):
        with pytest.raises(WriteRejected):
            made.write(TRADES, bad, np.array([1]))
    put(made, TRADES, trades(1))


def test_statements_that_the_server_forgot_are_prepared_again(empty: StoreSession) -> None:
    """A change of a type drops prepared statements; so does a restart."""
    migrate(empty)
    made = Writer(empty, 2)
    put(made, TRADES, trades(1))
    empty.execute("ALTER TYPE trade ADD more int")
    put(made, TRADES, trades(3))
    assert len(empty.execute("SELECT * FROM trades")) == 3


def test_a_table_that_is_gone_is_a_mismatch(empty: StoreSession) -> None:
    migrate(empty)
    made = Writer(empty, 2)
    empty.execute("DROP TABLE trades")
    with pytest.raises(SchemaMismatch):
        put(made, TRADES, trades(1))


def test_answers_come_once_for_each_submit(store_session: StoreSession) -> None:
    made = Writer(store_session, requests_in_flight_max=4)
    answers: list[TicktrailError | None] = []
    all_here = threading.Semaphore(0)

    def done(error: TicktrailError | None) -> None:
        answers.append(error)
        all_here.release()

    columns = Columns.from_records(Trade, trades(2_000, symbol=lambda index: f"Q{index % 100}"))
    for _ in range(5):
        made.submit(TRADES, columns, np.full(2_000, 1), done)
    for _ in range(5):
        assert all_here.acquire(timeout=30)
    assert answers == [None] * 5
