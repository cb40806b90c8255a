"""Recorded tape through Kafka into Cassandra: everything, once, and the same again changes nothing."""

from __future__ import annotations

import csv
import hashlib
import io
import subprocess
import sys
import zipfile
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pytest
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile
from cassandra.policies import RoundRobinPolicy
from fixtures_servers import Servers, flags_of, new_settings

from ticktrail.config import Settings
from ticktrail.query import Engine, content_sql
from ticktrail.store import connect

pytestmark = [pytest.mark.servers, pytest.mark.recordings, pytest.mark.timeout(900)]

SYMBOLS = ("ibm",)
ALL_SYMBOLS = ("ibm", "bac", "aig", "spy")


class Imported(NamedTuple):
    """An installation into which the recordings were imported twice, with what was stored after each."""

    settings: Settings
    files: list[Path]
    first: dict[str, list[dict[str, Any]]]
    second: dict[str, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def imported(
    request: pytest.FixtureRequest,
    recordings_dir: Path,
    servers: Servers,
    tmp_path_factory: pytest.TempPathFactory,
) -> Imported:
    symbols = ALL_SYMBOLS if request.config.getoption("--all-recordings") else SYMBOLS
    tick = recordings_dir / "lean_equity" / "tick"
    files = sorted(file for symbol in symbols for file in (tick / symbol).glob("*.zip"))
    settings = new_settings(servers, tmp_path_factory.mktemp("import"))
    contents = []
    for _ in range(2):
        _run_import(settings, tick if symbols == ALL_SYMBOLS else tick / symbols[0])
        contents.append(_contents(settings))
    return Imported(settings, files, *contents)


def _run_import(settings: Settings, path: Path) -> None:
    command = [sys.executable, "-m", "ticktrail", "import", str(path), "--json", *flags_of(settings)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert result.returncode == 0, result.stderr[-2_000:]


def _contents(settings: Settings) -> dict[str, list[dict[str, Any]]]:
    return {table: _rows(settings, content_sql(table, "lean")) for table in ("trades", "quotes")}


def _rows(settings: Settings, query: str) -> list[dict[str, Any]]:
    session = connect(settings.store)
    engine = Engine(session)
    try:
        rows: pa.Table = engine.sql(query, scan_all=True).arrow()
    finally:
        engine.close()
        session.close()
    result: list[dict[str, Any]] = rows.to_pylist()
    return result


def _lines(file: Path) -> list[list[str]]:
    with zipfile.ZipFile(file) as archive:
        text = archive.read(archive.namelist()[0]).decode()
    return list(csv.reader(io.StringIO(text)))


def test_stored_counts_are_the_lines_of_the_files(imported: Imported) -> None:
    expected: Counter[tuple[str, str, date]] = Counter()
    for file in imported.files:
        day, kind = file.stem.split("_")
        symbol = file.parent.name.upper()
        expected[f"{kind}s", symbol, date.fromisoformat(day)] += len(_lines(file))
    stored = {
        (table, row["symbol"], row["day"]): row["rows_count"]
        for table, rows in imported.first.items()
        for row in rows
    }
    assert stored == dict(expected)


def test_a_second_import_changes_nothing(imported: Imported) -> None:
    assert imported.second == imported.first


def test_an_independent_reader_computes_the_same_hashes(imported: Imported) -> None:
    # Plain cassandra-driver rows and hashlib; what a row's text is stands in `content_sql`.
    hashes = {(row["symbol"], row["day"]): row["hash"] for row in imported.second["trades"]}
    store = imported.settings.store
    profile = ExecutionProfile(load_balancing_policy=RoundRobinPolicy())
    profiles = {EXEC_PROFILE_DEFAULT: profile}
    with Cluster([store.hosts], port=store.port, protocol_version=5, execution_profiles=profiles) as cluster:
        session = cluster.connect(store.keyspace)
        for day in {day for symbol, day in hashes if symbol == "IBM"}:
            rows = session.execute(
                "SELECT * FROM trades WHERE feed='lean' AND symbol='IBM' AND day=%s ALLOW FILTERING", (day,)
            )
            combined = 0
            for row in rows:
                digest = hashlib.md5(_text_of(row, day).encode(), usedforsecurity=False).digest()
                combined ^= int.from_bytes(digest, "little")
            assert f"{combined:032x}" == hashes["IBM", day]


def _text_of(row: Any, day: date) -> str:
    tick = row.tick
    values = {
        **{name: getattr(tick, name) for name in tick._fields},
        "symbol": row.symbol,
        "day": day.isoformat(),
        "ts_ns": row.ts,
        "event_id": row.event_id,
    }
    names = (
        *("symbol", "day", "price", "size", "sequence", "flags", "venue", "tape", "side", "conditions"),
        *("trade_id", "ts_event_ns", "ts_recv_ns", "ts_ns", "event_id"),
    )
    return "\x1f".join(f"{v:.17g}" if isinstance(v := values[name], float) else str(v) for name in names)


def test_minute_bars_agree_with_the_files(imported: Imported, recordings_dir: Path) -> None:
    minute = recordings_dir / "lean_equity" / "minute"
    found = {
        symbol: _agreement(imported.settings, symbol, minute / symbol / "20131007_trade.zip")
        for symbol in sorted({file.parent.name for file in imported.files})
    }
    minutes = sum(agreement.minutes for agreement in found.values())
    assert sum(agreement.volume for agreement in found.values()) / minutes >= 0.995, found
    # By itself AIG reaches 99.4%: its late opening auction stands in the file of ticks and not in that of
    # minutes, and 13:47 is missing there and counted into 13:46.
    assert all(agreement.volume / agreement.minutes >= 0.994 for agreement in found.values()), found
    assert all(agreement.prices / agreement.minutes >= 0.94 for agreement in found.values()), found


class Agreement(NamedTuple):
    """In how many minutes of the file our bars have its volume, and its prices."""

    minutes: int
    volume: int
    prices: int


def _agreement(settings: Settings, symbol: str, file: Path) -> Agreement:
    query = (
        "SELECT epoch_ms(ts) AS ms, open, high, low, close, volume FROM bars WHERE feed = 'lean' "
        f"AND symbol = '{symbol.upper()}' AND interval = '1m' AND day = '2013-10-07'"
    )
    midnight_ms = 1_381_118_400_000  # 2013-10-07 00:00 in New York, which was UTC-4
    ours = {row["ms"] - midnight_ms: row for row in _rows(settings, query)}
    # 09:31 to 15:58: the auctions at the edges are not in the tick files.
    theirs = {int(line[0]): line[1:] for line in _lines(file) if 34_260_000 <= int(line[0]) <= 57_480_000}
    assert len(theirs) > 380
    same_volume = sum(ms in ours and ours[ms]["volume"] == float(line[4]) for ms, line in theirs.items())
    same_prices = sum(
        ms in ours
        and [round(ours[ms][name] * 10_000) for name in ("open", "high", "low", "close")]
        == [int(price) for price in line[:4]]
        for ms, line in theirs.items()
    )
    return Agreement(len(theirs), same_volume, same_prices)
