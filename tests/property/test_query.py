"""Pushdown may make a query read too much, never too little.

Random conditions run through the engine, whose reader gives nothing but what it is asked for, and through
DuckDB over a native table of the same rows, which knows nothing of partitions.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from fakes.memory_reader import MemoryReader, engine_over
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ticktrail.errors import UnboundedQuery
from ticktrail.query import Engine
from ticktrail.store import TRADES, sql_schema

_DAY = date(2026, 3, 9)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SLOT_MINUTES = 15
_SYMBOLS = ["A", "AA", "BRK.B", "Z"]
_FEEDS = ["sim", "file"]

# Close together, around the borders of slots and of days, so that conditions hit and just miss.
_TIMES = st.builds(
    lambda day, minutes, us, ns: (
        (_at(day) + timedelta(minutes=minutes, microseconds=us) - _EPOCH) // timedelta(microseconds=1) * 1000
        + ns
    ),
    st.integers(-1, 1),
    st.sampled_from([0, 15, 30, 14 * 60 + 45, 15 * 60, 24 * 60 - 15]),
    st.sampled_from([-1, 0, 1, 500_000]),
    st.sampled_from([0, 1, 999]),
)


def _at(days: int) -> datetime:
    return datetime(_DAY.year, _DAY.month, _DAY.day, tzinfo=UTC) + timedelta(days=days)


_ROWS = st.lists(
    st.tuples(
        st.sampled_from(_FEEDS),
        st.sampled_from(_SYMBOLS),
        _TIMES,
        st.integers(-1, 1),  # how far the trading date lies from the date in UTC
        st.sampled_from([0.5, 1.0, 2.0, None]),
        st.sampled_from(["XNAS", "XNYS", ""]),
    ),
    min_size=1,
    max_size=25,
)


def _instant(ns: int) -> str:
    return f"TIMESTAMPTZ '{(_EPOCH + timedelta(microseconds=ns // 1000)).isoformat(sep=' ')}'"


def _text(values: list[str]) -> st.SearchStrategy[str]:
    return st.sampled_from(values).map(lambda value: f"'{value}'")


def _compared(column: str, values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    signs = st.sampled_from(["=", "<>", "<", "<=", ">", ">="])
    return st.one_of(
        st.builds(lambda sign, value: f"{column} {sign} {value}", signs, values),
        st.builds(lambda sign, value: f"{value} {sign} {column}", signs, values),
        st.builds(
            lambda negated, few: f"{column} {negated} IN ({', '.join(few)})",
            st.sampled_from(["", "NOT"]),
            st.lists(values, min_size=1, max_size=4),
        ),
        st.builds(lambda low, high: f"{column} BETWEEN {low} AND {high}", values, values),
        st.sampled_from([f"{column} IS NULL", f"{column} IS NOT NULL"]),
    )


_DAYS = st.integers(-2, 2).map(lambda days: f"DATE '{_DAY + timedelta(days=days)}'")
_ON_SYMBOL = _compared("symbol", _text([*_SYMBOLS, "", "B", "zz"]))
_ON_TIME = st.one_of(_compared("ts", _TIMES.map(_instant)), _compared("day", _DAYS))
_OTHERS = st.one_of(
    _compared("feed", _text([*_FEEDS, "none"])),
    _compared("venue", _text(["XNAS", "", "A"])),
    _compared("ts_event_ns", _TIMES.map(str)),
    _compared("price", st.sampled_from(["0.5", "1", "'nan'::DOUBLE"])),
    st.builds(lambda day: f"date_trunc('day', ts) = {day}", _DAYS),
    st.builds(lambda day: f"ts::DATE >= {day}", _DAYS),
    st.sampled_from(
        [
            "symbol LIKE 'A%'",
            "upper(symbol) = 'Z'",
            "venue = symbol",
            "symbol || venue > 'B'",
            "flags & 1 = 1",
            "price + 1 > 2",
            "ts > TIMESTAMPTZ '-infinity'",
            "ts < TIMESTAMPTZ 'infinity'",
            "coalesce(price, 0) < 1",
            "symbol IN (SELECT 'AA')",
            "event_id % 2 = 0",
        ]
    ),
)
# What partitions are chosen by comes most often.
_CONDITIONS = st.recursive(
    st.sampled_from([_ON_SYMBOL, _ON_SYMBOL, _ON_TIME, _ON_TIME, _OTHERS]).flatmap(lambda kind: kind),
    lambda inner: st.one_of(
        st.builds(lambda a, b: f"({a} AND {b})", inner, inner),
        st.builds(lambda a, b: f"({a} OR {b})", inner, inner),
        st.builds(lambda a: f"(NOT {a})", inner),
    ),
    max_leaves=4,
)


def _rows_table(rows: list[Any]) -> Any:
    """Build the rows of a table, with ``event_id`` as their number, and the slot that each lies in."""
    schema = sql_schema(TRADES)
    columns: dict[str, list[Any]] = {name: [] for name in [*schema.names, "slot"]}
    for index, (feed, symbol, ns, day_offset, price, venue) in enumerate(rows):
        instant = _EPOCH + timedelta(microseconds=ns // 1000)
        minute = (instant.hour * 60 + instant.minute) // _SLOT_MINUTES * _SLOT_MINUTES
        known = {
            "feed": feed,
            "symbol": symbol,
            "day": instant.date() + timedelta(days=day_offset),
            "ts": instant,
            "ts_event_ns": ns,
            "ts_ns": ns,
            "event_id": index,
            "price": price,
            "venue": venue,
            "flags": index % 3,
            "slot": minute // 60 * 100 + minute % 60,
        }
        for name, column in columns.items():
            empty = "" if name in schema.names and pa.types.is_string(schema.field(name).type) else 0
            column.append(known.get(name, empty))
    return pa.table(columns, schema=schema.append(pa.field("slot", pa.int64())))


@pytest.fixture(scope="module")
def reader() -> MemoryReader:
    return MemoryReader(TRADES, _rows_table([]), _SLOT_MINUTES)


@pytest.fixture(scope="module")
def engine(reader: MemoryReader) -> Iterator[Engine]:
    engine = engine_over(reader)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def plain() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        yield connection


def _tuples(table: Any) -> list[tuple[Any, ...]]:
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))


@given(rows=_ROWS, condition=_CONDITIONS)
@settings(max_examples=200)
def test_pushdown_never_loses_a_row(
    reader: MemoryReader,
    engine: Engine,
    plain: duckdb.DuckDBPyConnection,
    rows: list[Any],
    condition: str,
) -> None:
    table = _rows_table(rows)
    query = f"SELECT event_id, price FROM trades WHERE {condition} ORDER BY event_id"
    plain.register("arrow_rows", table)
    plain.execute("CREATE OR REPLACE TABLE trades AS SELECT * FROM arrow_rows")

    reader.fill(table)
    found = engine.sql(query, scan_all=True).arrow()

    assert _tuples(found) == plain.execute(query).fetchall()


@given(rows=_ROWS, symbol=st.sampled_from(_SYMBOLS), start_ns=_TIMES, end_ns=_TIMES)
@example(  # one instant in two trading dates
    rows=[("file", "A", 1_773_014_399_999_999_000, offset, 0.5, "XNAS") for offset in (1, 0)],
    symbol="A",
    start_ns=1_773_014_399_999_999_000,
    end_ns=1_773_014_400_000_000_000,
)
@settings(max_examples=60)
def test_reads_give_the_rows_in_order(
    reader: MemoryReader, engine: Engine, rows: list[Any], symbol: str, start_ns: int, end_ns: int
) -> None:
    table = _rows_table(rows)
    start_us, end_us = start_ns // 1000, end_ns // 1000
    columns = ["feed", "symbol", "ts_ns", "event_id"]

    reader.fill(table)
    found = engine.read(
        "trades",
        symbols=symbol,
        start=_EPOCH + timedelta(microseconds=start_us),
        end=_EPOCH + timedelta(microseconds=end_us),
        columns=columns,
    )

    assert _tuples(found) == sorted(
        row
        for row in _tuples(table.select(columns))
        if row[1] == symbol and start_us <= row[2] // 1000 < end_us
    )


@given(condition=_CONDITIONS)
@settings(max_examples=60)
def test_a_condition_bounds_a_query_only_where_it_must_hold(
    reader: MemoryReader, engine: Engine, condition: str
) -> None:
    reader.fill(_rows_table([("sim", "A", 0, 0, 1.0, "")]))

    engine.sql(f"SELECT * FROM trades WHERE symbol = 'A' AND ({condition})").arrow()

    with pytest.raises(UnboundedQuery):
        engine.sql(f"SELECT * FROM trades WHERE price > 0 OR ({condition})").arrow()
