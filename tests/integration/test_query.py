"""What was written comes back, through SQL, through plain reads and through the stages' own reads.

The other side of each comparison is read row by row with the plain driver.
"""

from __future__ import annotations

import hashlib
import math
import threading
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec
import numpy as np
import pytest

from ticktrail.errors import SchemaMismatch, TicktrailError
from ticktrail.model import Bar, Columns, Correction, Quote, Record, Status, Trade, column_dtypes
from ticktrail.query import Engine
from ticktrail.reference import day_of_date, trading_days
from ticktrail.store import (
    LATEST_QUOTES,
    LATEST_TRADES,
    STATUS,
    TABLE_OF,
    TABLES,
    DayRef,
    PartitionRef,
    Reader,
    StoreSession,
    Table,
    Writer,
    connect,
)

pytestmark = pytest.mark.servers

_DAY = date(2026, 3, 9)
# 23:00 UTC, so that the trading date in New York goes on past midnight.
_START_NS = int(datetime(2026, 3, 9, 23, tzinfo=UTC).timestamp()) * 10**9
_FEEDS = np.array([b"sim", b"it's"])
_SYMBOLS = np.array([b"A", b"BRK.B", b"\xc3\x89TOILE"])
_LARGE = "LARGE"
# More than two pages.
_LARGE_ROWS = 45_000
_WRITE_TS_US = 1_800_000_000_000_000


def _random_columns(record: type[Record], count: int) -> Columns[Any]:
    """Build ticks of all kinds of content, two hours of them around midnight."""
    rng = np.random.default_rng(count)
    ts_ns = _START_NS + np.sort(rng.integers(0, 2 * 3_600 * 10**9, count))
    texts = np.array([b"", b"A", b"XNAS", b"@,F,I", "½ lot".encode()])
    data: dict[str, Any] = {}
    for name, dtype in column_dtypes(record).items():
        if dtype.kind == "S":
            data[name] = rng.choice(texts, count)
        elif dtype.kind == "f":
            data[name] = np.where(rng.random(count) < 0.1, np.nan, np.round(rng.normal(100, 50, count), 4))
        elif dtype.kind == "b":
            data[name] = rng.random(count) < 0.5
        else:
            data[name] = rng.integers(-(2**31), 2**31 - 1, count).astype(dtype)
    data |= {
        "feed": rng.choice(_FEEDS, count),
        "symbol": rng.choice(_SYMBOLS, count),
        "day": trading_days(ts_ns, "America/New_York"),
    }
    if record is Bar:
        starts = ts_ns - ts_ns % (60 * 10**9)
        intervals = rng.choice(np.array([b"1s", b"1m", b"1d"]), count)
        return Columns(record, data | {"ts_open_ns": starts, "ts_close_ns": starts, "interval": intervals})
    return Columns(record, data | {"ts_ns": ts_ns, "ts_event_ns": ts_ns, "event_id": np.arange(count)})


def _write(writer: Writer, table: Table, columns: Columns[Any]) -> None:
    outcome: list[TicktrailError | None] = []
    answered = threading.Event()

    def done(error: TicktrailError | None) -> None:
        outcome.append(error)
        answered.set()

    writer.submit(table, columns, np.full(len(columns), _WRITE_TS_US), done)
    assert answered.wait(60)
    assert outcome == [None]


@pytest.fixture(scope="module")
def written(store_session: StoreSession) -> StoreSession:
    """Give a store that has some of everything."""
    writer = Writer(store_session, 8)
    for record in (Trade, Quote, Status, Correction, Bar):
        _write(writer, TABLE_OF[record], _random_columns(record, 1_500))
    ts_ns = _START_NS + np.arange(_LARGE_ROWS) // 3 * 10**7
    large = Columns(
        Trade,
        {
            "feed": b"sim",
            "symbol": _LARGE.encode(),
            "day": day_of_date(_DAY),
            "ts_ns": ts_ns,
            "event_id": np.arange(_LARGE_ROWS),
            "ts_event_ns": ts_ns,
            "ts_recv_ns": ts_ns,
            "price": np.arange(_LARGE_ROWS) / 4,
            "size": 1.0,
            "trade_id": np.arange(_LARGE_ROWS).astype("S"),
        },
    )
    for first in range(0, _LARGE_ROWS, 5_000):
        _write(writer, TABLE_OF[Trade], large.take(slice(first, first + 5_000)))
    return store_session


@pytest.fixture(scope="module")
def engine(written: StoreSession) -> Iterator[Engine]:
    engine = Engine(written)
    yield engine
    engine.close()


def _driver_rows(session: StoreSession, table: Table) -> Iterator[dict[str, Any]]:
    """Read a table with the plain driver, as rows with the names of SQL."""
    for row in session.execute(f"SELECT * FROM {table.name}"):
        fields = {name: getattr(row, name) for name in row._fields if name != table.value}
        fields |= {name: getattr(getattr(row, table.value), name) for name in table.fields}
        fields["day"] = day_of_date(row.day.date()) if "day" in row._fields else fields["day"]
        if table.name == "bars":
            fields |= {"ts": row.ts // 1000, "ts_close": fields["ts_close_ns"] // 1000}
        else:
            fields["ts_ns"] = row.ts
        yield fields


def _digits(name: str, value: Any) -> str:
    if name == "day":
        return (date(1970, 1, 1) + timedelta(days=value)).isoformat()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.17g}"
    return str(value)


@pytest.mark.parametrize("name", list(TABLES))
@pytest.mark.parametrize("feed", ["sim", "it's"])
def test_an_independent_reader_finds_the_same_content(
    written: StoreSession, engine: Engine, name: str, feed: str
) -> None:
    columns = [row["column_name"] for row in engine.sql(f"DESCRIBE {name}").arrow().to_pylist()]
    left_out = {"feed", "ts"} if "ts_event_ns" in columns else {"feed"}
    counts: dict[tuple[str, date], int] = defaultdict(int)
    hashes: dict[tuple[str, date], int] = defaultdict(int)
    for row in _driver_rows(written, TABLES[name]):
        if row["feed"] != feed:
            continue
        text = "\x1f".join(_digits(column, row[column]) for column in columns if column not in left_out)
        key = row["symbol"], date(1970, 1, 1) + timedelta(days=row["day"])
        counts[key] += 1
        hashes[key] ^= int.from_bytes(hashlib.md5(text.encode()).digest(), "little")

    found = engine.content_hash(name, feed).to_pylist()

    assert len(found) >= 3
    assert {(row["symbol"], row["day"]): row["rows_count"] for row in found} == counts
    assert {(row["symbol"], row["day"]): row["hash"] for row in found} == {
        key: f"{value:032x}" for key, value in hashes.items()
    }


def test_sql_over_one_symbol_and_part_of_its_time(written: StoreSession, engine: Engine) -> None:
    start_ns, end_ns = _START_NS + 55 * 60 * 10**9, _START_NS + 70 * 60 * 10**9
    expected = [
        (row["event_id"], row["price"])
        for row in _driver_rows(written, TABLES["trades"])
        if row["symbol"] == "BRK.B" and start_ns <= row["ts_event_ns"] < end_ns and row["price"] > 100
    ]

    found = engine.sql(
        "SELECT event_id, price FROM trades WHERE symbol = 'BRK.B' AND price > 100 "
        "AND ts >= '2026-03-09 23:55:00+00' AND ts < '2026-03-10 00:10:00+00' ORDER BY ts_event_ns"
    )

    assert len(expected) > 10
    rows = [(row["event_id"], row["price"]) for row in found.arrow().to_pylist()]
    assert sorted(rows) == sorted(expected)


def test_a_partition_of_several_pages_is_read_in_order(engine: Engine) -> None:
    rows = engine.read("trades", symbols=_LARGE, columns=["event_id", "price", "trade_id"])

    assert rows.column("event_id").to_pylist() == list(range(_LARGE_ROWS))
    assert rows.column("price").to_pylist() == [number / 4 for number in range(_LARGE_ROWS)]
    assert rows.column("trade_id").to_pylist() == [str(number) for number in range(_LARGE_ROWS)]


def test_only_the_wanted_span_of_a_partition_leaves_the_server(written: StoreSession) -> None:
    ref = PartitionRef(DayRef("trades", "sim", day_of_date(_DAY)), _LARGE, 2300)
    end_ns = _START_NS + 60 * 10**9

    batches = list(Reader(written).read(ref, ["ts_ns"], (_START_NS, end_ns)))

    assert sum(batch.num_rows for batch in batches) == 3 * 60 * 100


def test_reads_are_in_order_past_midnight(written: StoreSession, engine: Engine) -> None:
    rows = engine.read(
        "trades",
        symbols=["A", "BRK.B"],
        feed="sim",
        start="2026-03-09",
        columns=["symbol", "ts_ns", "event_id"],
    )

    found = [tuple(row.values()) for row in rows.to_pylist()]
    assert found == sorted(
        (row["symbol"], row["ts_ns"], row["event_id"])
        for row in _driver_rows(written, TABLES["trades"])
        if row["feed"] == "sim" and row["symbol"] in {"A", "BRK.B"}
    )


def test_counting_needs_no_values(written: StoreSession, engine: Engine) -> None:
    expected = sum(row["symbol"] == "A" for row in _driver_rows(written, TABLES["quotes"]))

    rows = engine.sql("SELECT count(*) AS n FROM quotes WHERE symbol = 'A'").arrow()

    assert rows.to_pylist() == [{"n": expected}]


def test_final_minutes_of_a_day(written: StoreSession) -> None:
    day = day_of_date(_DAY)
    expected = sorted(
        (row["symbol"], row["ts"])
        for row in _driver_rows(written, TABLES["bars"])
        if row["feed"] == "sim" and row["interval"] == "1m" and row["day"] == day and row["is_final"]
    )

    keys = [("sim", symbol, day) for symbol in ("A", "BRK.B", "none", "ÉTOILE")]
    bars = Reader(written).minute_history(keys).to_records()

    assert len(expected) > 20
    assert [(bar.symbol, bar.ts_open_ns // 1000) for bar in bars] == expected
    assert {bar.interval for bar in bars} == {"1m"}
    assert len(Reader(written).minute_history([])) == 0


def test_bars_of_one_interval(written: StoreSession, engine: Engine) -> None:
    expected = sorted(
        (row["symbol"], row["ts"], row["trades"])
        for row in _driver_rows(written, TABLES["bars"])
        if row["feed"] == "sim" and row["interval"] == "1d"
    )

    rows = engine.read("bars", interval="1d", feed="sim", start=_DAY, columns=["symbol", "ts", "trades"])

    times = rows.column("ts").cast("int64").to_pylist()
    assert list(zip(rows["symbol"].to_pylist(), times, rows["trades"].to_pylist(), strict=True)) == expected


def test_latest_of_symbols_with_a_trade_a_quote_or_both(written: StoreSession, engine: Engine) -> None:
    writer = Writer(written, 8)
    trades, quotes = _random_columns(Trade, 2), _random_columns(Quote, 2)
    _write(writer, LATEST_TRADES, trades.replace(feed=np.array([b"live"] * 2), symbol=np.array([b"A", b"B"])))
    _write(writer, LATEST_QUOTES, quotes.replace(feed=np.array([b"live"] * 2), symbol=np.array([b"B", b"C"])))

    rows = engine.sql("SELECT * FROM latest WHERE feed = 'live' ORDER BY symbol").arrow().to_pylist()

    assert [row["symbol"] for row in rows] == ["A", "B", "C"]
    assert [row["ts_event_ns"] for row in rows] == [*trades["ts_event_ns"].tolist(), None]
    assert [row["quote_ts_event_ns"] for row in rows] == [None, *quotes["ts_event_ns"].tolist()]
    assert rows[1]["venue"] == trades["venue"][1].decode()
    assert rows[2]["price"] is None


def test_what_is_stored_is_known(engine: Engine) -> None:
    stored = {(entry.table, entry.feed): entry for entry in engine.stored()}

    assert stored["trades", "sim"].first == _DAY
    assert {name for name, _ in stored} == set(TABLES)
    assert engine.sql("SELECT * FROM trades WHERE symbol = 'none'").arrow().num_rows == 0


def test_the_type_may_grow_and_rows_be_written_by_hand(written: StoreSession) -> None:
    key = "'hand', 'X', '2026-03-09', 0"
    into = "INSERT INTO status (feed, symbol, day, slot, ts, event_id, tick) VALUES"
    day = DayRef("status", "hand", day_of_date(_DAY))
    written.execute(f"{into} ({key}, 1, 1, {{ts_event_ns: 11, action: 'halt', reason: 'T1'}})")
    before = list(Reader(written).read(PartitionRef(day, "X", 0), ["ts_event_ns", "action"]))
    written.execute("ALTER TYPE status ADD note text")
    written.execute(f"{into} ({key}, 2, 2, {{ts_event_ns: 12, action: 'resume', note: 'new'}})")
    _write(
        Writer(written, 1),
        STATUS,
        _random_columns(Status, 1).replace(
            feed=b"hand", symbol=b"X", day=day.day, ts_ns=3, ts_event_ns=13, action=b"pause"
        ),
    )

    (batch,) = Reader(written).read(PartitionRef(day, "X", 0), ["ts_event_ns", "action", "limit_up", "flags"])

    assert [row for part in before for row in part.to_pylist()] == [{"ts_event_ns": 11, "action": "halt"}]
    assert batch.column("ts_event_ns").to_pylist() == [11, 12, 13]
    assert batch.column("action").to_pylist() == ["halt", "resume", "pause"]
    assert batch.column("limit_up").to_pylist()[:2] == [None, None]
    assert batch.column("flags").to_pylist()[:2] == [0, 0]


def test_a_store_without_anything_says_so(written: StoreSession) -> None:
    session = connect(msgspec.structs.replace(written.settings, keyspace="never_made"))
    try:
        with pytest.raises(SchemaMismatch) as caught:
            Reader(session)
    finally:
        session.close()

    assert "never_made" in caught.value.why
    assert "ticktrail run" in caught.value.next_step
