from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from fakes.memory_reader import MemoryReader, engine_over

from ticktrail.errors import QueryError, Unreachable, UsageError
from ticktrail.query import Engine
from ticktrail.store import TRADES, sql_schema


def _no_rows() -> Any:
    return sql_schema(TRADES).append(pa.field("slot", pa.int64())).empty_table()


@pytest.fixture
def reader() -> MemoryReader:
    return MemoryReader(TRADES, _no_rows(), 15)


@pytest.fixture
def engine(reader: MemoryReader) -> Iterator[Engine]:
    engine = engine_over(reader)
    yield engine
    engine.close()


@pytest.mark.parametrize(
    ("query", "why", "next_step"),
    [
        ("SELECT * FROM trade", "trade does not exist", "Did you mean trades?"),
        ("SELECT * FROM latests", "latests does not exist", "Known are: alerts, bars, corrections, gaps, la"),
        ("SELECT prise FROM trades", '"prise" not found', "Did you mean price?"),
        ("SELECT t.simbol FROM trades t", '"simbol"', "Did you mean symbol?"),
        ("SELEC 1", "syntax error", "It is here:\n  SELEC 1\n  ^^^^^"),
        ("SELECT 'x'::INTEGER FROM range(1)", "Could not convert", "  SELECT 'x'::INTEGER FROM range(1)\n "),
        ("", "", "Try: SELECT"),
        ("LOAD httpfs", "httpfs", "nothing is fetched"),
    ],
)
def test_an_error_in_the_sql_says_where_and_what_was_meant(
    engine: Engine, query: str, why: str, next_step: str
) -> None:
    with pytest.raises(QueryError) as caught:
        engine.sql(query).arrow()

    assert why in caught.value.why
    assert next_step in caught.value.next_step


def test_the_mark_stands_below_the_mistake(engine: Engine) -> None:
    with pytest.raises(QueryError) as caught:
        engine.sql("SELECT 1,\n  2 FRM trades")

    *_, line, marks = caught.value.next_step.split("\n")
    assert line[marks.index("^") : marks.rindex("^") + 1] == "trades"


@pytest.mark.parametrize(
    ("arguments", "what", "nearest"),
    [
        ({"table": "trade"}, "'trade'", "Did you mean trades?"),
        ({"table": "trades", "columns": ["prise"]}, "'prise'", "Did you mean price?"),
        ({"table": "trades", "interval": "1m"}, "'interval'", "Known are:"),
    ],
)
def test_a_read_of_what_does_not_exist_names_the_nearest(
    engine: Engine, arguments: dict[str, Any], what: str, nearest: str
) -> None:
    with pytest.raises(UsageError) as caught:
        engine.read(symbols="IBM", **arguments)

    assert what in caught.value.what
    assert nearest in caught.value.next_step


def test_columns_come_in_the_order_asked_for(engine: Engine) -> None:
    assert engine.read("trades", symbols="IBM", columns=["size", "ts", "symbol"]).column_names == [
        "size",
        "ts",
        "symbol",
    ]


class _Unreachable(MemoryReader):
    def read_all(self, reads: Any, columns: Sequence[str]) -> Iterator[Any]:
        del reads, columns
        raise Unreachable(what="Cannot reach Cassandra", service="Cassandra", address="db1:9042")


def test_the_store_s_own_error_comes_through(reader: MemoryReader) -> None:
    del reader
    engine = engine_over(_Unreachable(TRADES, _no_rows(), 15))
    try:
        with pytest.raises(Unreachable) as caught:
            engine.sql("SELECT count(*) FROM trades WHERE symbol = 'IBM'").arrow()
    finally:
        engine.close()

    assert caught.value.address == "db1:9042"


def test_results_may_overlap_and_be_asked_for_twice(engine: Engine) -> None:
    first = engine.sql("SELECT * FROM range(200_000) t(n)")
    second = engine.sql("SELECT 7 AS n")

    assert second.arrow().to_pylist() == [{"n": 7}]
    assert sum(batch.num_rows for batch in first.batches()) == 200_000
    assert second.arrow() is second.arrow()


def test_frames(engine: Engine) -> None:
    pytest.importorskip("polars")
    pytest.importorskip("pandas")
    result = engine.sql("SELECT 7 AS n, 'IBM' AS symbol")

    assert result.columns == ["n", "symbol"]
    assert result.pl().rows() == [(7, "IBM")]
    assert result.df().to_dict("list") == {"n": [7], "symbol": ["IBM"]}


@pytest.mark.parametrize("form", ["pl", "df"])
def test_a_frame_of_a_library_that_is_missing(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    monkeypatch.setitem(sys.modules, "polars", None)
    monkeypatch.setitem(sys.modules, "pandas", None)

    with pytest.raises(UsageError) as caught:
        getattr(engine.sql("SELECT 1"), form)()

    assert "pip install" in caught.value.next_step


def test_times_are_utc_and_python_variables_are_not_tables(engine: Engine) -> None:
    secret_table = pa.table({"n": [1]})

    assert engine.sql("SELECT current_setting('TimeZone') AS zone").arrow().to_pylist() == [{"zone": "UTC"}]
    with pytest.raises(QueryError):
        engine.sql("SELECT * FROM secret_table")
    del secret_table


def test_the_user_s_own_files_can_be_joined(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("symbol,weight\nIBM,0.5\n", encoding="utf-8")

    rows = engine.sql(
        f"SELECT m.symbol, count(price) AS n FROM '{tmp_path}/mine.csv' m "
        "LEFT JOIN (SELECT * FROM trades WHERE symbol = 'IBM') t USING (symbol) GROUP BY 1"
    )

    assert rows.arrow().to_pylist() == [{"symbol": "IBM", "n": 0}]


def test_tables_made_by_one_query_are_there_for_the_next(engine: Engine) -> None:
    engine.sql("CREATE TABLE mine AS SELECT 3 AS n").arrow()

    assert engine.sql("FROM mine").arrow().to_pylist() == [{"n": 3}]


def test_a_sandbox_writes_no_file_when_memory_is_short(
    reader: MemoryReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    engine = engine_over(reader, 64 * 1024**2)
    with pytest.raises(QueryError, match="could not allocate"):
        engine.sql("SELECT range AS r, md5(range::VARCHAR) AS m FROM range(5000000) ORDER BY m").arrow()
    engine.close()
    assert list(tmp_path.iterdir()) == []
