"""What is not wanted is not read."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from fakes.memory_reader import MemoryReader, engine_over

from ticktrail.errors import UnboundedQuery
from ticktrail.query import Engine
from ticktrail.store import TRADES, sql_schema

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _rows() -> Any:
    """One trade per symbol, day and quarter of an hour from 14:30 to 15:30 UTC, and one past midnight."""
    schema = sql_schema(TRADES)
    rows = []
    for symbol in ("AAPL", "BRK.B", "IBM"):
        for day in (date(2026, 3, 9), date(2026, 3, 10), date(2026, 3, 12)):
            start = datetime(day.year, day.month, day.day, 14, 30, tzinfo=UTC)
            times = [start + timedelta(minutes=15 * quarter) for quarter in range(4)]
            times.append(start + timedelta(hours=10))  # 00:30 of the next day, in the same trading date
            rows += [(symbol, day, time) for time in times]
    columns: dict[str, list[Any]] = {name: [] for name in [*schema.names, "slot"]}
    for index, (symbol, day, ts) in enumerate(rows):
        ns = (ts - _EPOCH) // timedelta(microseconds=1) * 1000
        known = {
            "feed": "sim",
            "symbol": symbol,
            "day": day,
            "ts": ts,
            "ts_event_ns": ns,
            "ts_ns": ns,
            "event_id": index,
            "slot": ts.hour * 100 + ts.minute,
        }
        for name, column in columns.items():
            column.append(known.get(name))
    return pa.table(columns, schema=schema.append(pa.field("slot", pa.int64())))


@pytest.fixture
def reader() -> MemoryReader:
    return MemoryReader(TRADES, _rows(), 15)


@pytest.fixture
def engine(reader: MemoryReader) -> Iterator[Engine]:
    engine = engine_over(reader)
    yield engine
    engine.close()


def _asked(reader: MemoryReader) -> set[tuple[str, int, int]]:
    first = (date(2026, 3, 9) - date(1970, 1, 1)).days
    return {(ref.symbol, ref.day.day - first, ref.slot) for ref in reader.asked}


_SLOTS = (1430, 1445, 1500, 1515, 30)


@pytest.mark.parametrize(
    ("condition", "asked"),
    [
        ("symbol = 'IBM'", {("IBM", day, slot) for day in (0, 1, 3) for slot in _SLOTS}),
        ("symbol = 'IBM' AND day = '2026-03-10'", {("IBM", 1, slot) for slot in _SLOTS}),
        (
            "symbol IN ('IBM', 'BRK.B', 'nothing') AND day = '2026-03-12'",
            {(symbol, 3, slot) for symbol in ("IBM", "BRK.B") for slot in _SLOTS},
        ),
        ("symbol BETWEEN 'B' AND 'C' AND day >= '2026-03-12'", {("BRK.B", 3, slot) for slot in _SLOTS}),
        ("symbol < 'B' AND day >= '2026-03-12'", {("AAPL", 3, slot) for slot in _SLOTS}),
        ("symbol > 'BRK.B' AND day >= '2026-03-12'", {("IBM", 3, slot) for slot in _SLOTS}),
        (
            "symbol <> 'IBM' AND symbol <> 'x' AND symbol > 'B' AND day >= '2026-03-12'",
            {("BRK.B", 3, slot) for slot in _SLOTS},
        ),
        ("symbol NOT IN ('IBM', 'AAPL') AND day >= '2026-03-12'", {("BRK.B", 3, slot) for slot in _SLOTS}),
        (
            # More than Arrow itself would look through.
            f"symbol IN ('IBM', {', '.join(repr(str(n)) for n in range(200))}) AND day >= '2026-03-12'",
            {("IBM", 3, slot) for slot in _SLOTS},
        ),
        (
            # The day before could reach into this hour too, for all that the keys tell.
            "symbol = 'IBM' AND ts >= '2026-03-10 14:45:00+00' AND ts < '2026-03-10 15:15:00+00'",
            {("IBM", day, slot) for day in (0, 1) for slot in (1445, 1500)},
        ),
        (
            "symbol = 'IBM' AND ts >= '2026-03-12 23:00:00+00'",
            {("IBM", 3, slot) for slot in _SLOTS},
        ),
        (
            "(symbol = 'IBM' AND day = '2026-03-09') OR (symbol = 'AAPL' AND day = '2026-03-12')",
            {("IBM", 0, slot) for slot in _SLOTS} | {("AAPL", 3, slot) for slot in _SLOTS},
        ),
        ("symbol = 'IBM' AND feed = 'another'", set()),
        ("symbol = 'none'", set()),
        (
            "ts_event_ns BETWEEN 1773326700000000000 AND 1773326700000000001",  # 2026-03-12 14:45
            {(symbol, 3, 1445) for symbol in ("AAPL", "BRK.B", "IBM")},
        ),
    ],
)
def test_only_partitions_that_can_hold_such_rows_are_read(
    reader: MemoryReader, engine: Engine, condition: str, asked: set[tuple[str, int, int]]
) -> None:
    engine.sql(f"SELECT price FROM trades WHERE {condition}", scan_all=True).arrow()

    assert _asked(reader) == asked


@pytest.mark.parametrize(
    "condition",
    [
        "symbol = 'IBM'",
        "symbol IN ('IBM', 'AAPL')",
        f"symbol IN ('IBM', {', '.join(repr(str(n)) for n in range(200))})",
        "symbol BETWEEN 'A' AND 'B'",
        "ts >= '2026-03-10'",
        "ts BETWEEN '2026-03-10' AND '2026-03-11'",
        "ts >= now() - INTERVAL 1 HOUR",
        "day = '2026-03-10'",
        "day IN ('2026-03-10', '2026-03-11')",
        "ts_event_ns > 1773326700000000000",
        "symbol = 'IBM' OR ts >= '2026-03-10'",
        "symbol LIKE 'IBM'",
        "date_trunc('day', ts) = '2026-03-10'",
    ],
)
def test_a_bound_on_symbols_or_from_a_time_on_is_enough(engine: Engine, condition: str) -> None:
    engine.sql(f"SELECT count(*) FROM trades WHERE {condition}").arrow()


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM trades",
        "SELECT * FROM trades LIMIT 10",
        "SELECT * FROM trades ORDER BY ts DESC LIMIT 10",
        "SELECT * FROM trades WHERE price > 10",
        "SELECT * FROM trades WHERE feed = 'sim'",
        "SELECT * FROM trades WHERE symbol <> 'IBM'",
        "SELECT * FROM trades WHERE symbol NOT IN ('IBM', 'AAPL')",
        "SELECT * FROM trades WHERE symbol >= 'IBM'",
        "SELECT * FROM trades WHERE symbol IS NOT NULL",
        "SELECT * FROM trades WHERE ts < '2026-03-10'",
        "SELECT * FROM trades WHERE symbol = 'IBM' OR price > 10",
        "SELECT * FROM trades WHERE upper(symbol) = 'IBM'",
        "SELECT * FROM trades a JOIN trades b USING (ts) WHERE a.symbol = 'IBM'",
        "SELECT * FROM bars WHERE interval = '1m'",
    ],
)
def test_a_query_without_bounds_is_refused_before_anything_is_read(
    reader: MemoryReader, engine: Engine, query: str
) -> None:
    with pytest.raises(UnboundedQuery) as caught:
        engine.sql(query).arrow()

    assert "WHERE symbol = 'IBM'" in caught.value.next_step
    assert "scan_all=True" in caught.value.next_step
    # A join may have begun with its bounded side.
    assert {ref.symbol for ref in reader.asked} <= {"IBM"}


def test_everything_is_read_where_that_is_meant(engine: Engine) -> None:
    assert engine.sql("SELECT count(*) AS n FROM trades", scan_all=True).arrow().to_pylist() == [{"n": 45}]
    assert len(engine.read("trades", scan_all=True)) == 45


def test_a_read_without_bounds_is_refused(engine: Engine) -> None:
    with pytest.raises(UnboundedQuery):
        engine.read("trades", end="2026-03-12", feed="sim")


def test_no_symbols_are_no_rows(engine: Engine, reader: MemoryReader) -> None:
    assert len(engine.read("trades", symbols=[])) == 0
    assert reader.asked == []


def test_rows_of_one_trading_date_are_in_order_past_midnight(engine: Engine) -> None:
    found = engine.read("trades", symbols="IBM", start="2026-03-09", end="2026-03-09", columns=["ts"])

    times = [ts.strftime("%d %H:%M") for ts in found.column("ts").to_pylist()]
    assert times == ["09 14:30", "09 14:45", "09 15:00", "09 15:15", "10 00:30"]
