"""`ticktrail serve` over a running pipeline: its numbers are those of SQL."""

from __future__ import annotations

import json
import math
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest
from fixtures_servers import Servers, flags_of, new_settings, prepared
from serve_kit import DEADLINE_S, Site, serving, until

from ticktrail.config import Settings
from ticktrail.query import Engine
from ticktrail.store import connect

pytestmark = [pytest.mark.servers, pytest.mark.timeout(240)]

RUN_S = 30
SYMBOLS = 30


@pytest.fixture(scope="module")
def settings(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return prepared(new_settings(servers, tmp_path_factory.mktemp("serve")))


@pytest.fixture(scope="module")
def site(settings: Settings) -> Iterator[Site]:
    with serving(settings) as found:
        yield found


@pytest.fixture(scope="module")
def messages(site: Site, settings: Settings) -> list[dict[str, Any]]:
    """Run the whole pipeline for a while, and keep what a live client was sent."""
    found: list[dict[str, Any]] = []
    is_over = threading.Event()

    def listen() -> None:
        with site.live() as socket:
            wanted = {"symbols": "*", "tape": "sim|AAPL", "every_ms": 50}
            chart = {"feed": "sim", "symbol": "AAPL", "interval": "1s"}
            socket.send(json.dumps({"op": "subscribe", "chart": chart, **wanted}))
            while not is_over.is_set():
                try:
                    found.append(json.loads(socket.recv(0.5)))
                except TimeoutError:
                    continue

    listener = threading.Thread(target=listen)
    listener.start()
    run = [sys.executable, "-m", "ticktrail", "run", *flags_of(settings), "--feed", "sim", "--headless"]
    options = ["--rate", "400", "--symbols", str(SYMBOLS), "--seconds", str(RUN_S)]
    subprocess.run([*run, *options], check=True, capture_output=True, timeout=DEADLINE_S + RUN_S)
    # The run has ended in order: everything is stored, and rebuilt.
    until(lambda: len(site.get("/api/v1/symbols")["symbols"]) == SYMBOLS, "all symbols are known")
    is_over.wait(2)
    is_over.set()
    listener.join()
    return found


@pytest.fixture(scope="module")
def engine(settings: Settings, messages: list[dict[str, Any]]) -> Iterator[Engine]:
    del messages
    session = connect(settings.store)
    made = Engine(session)
    yield made
    made.close()
    session.close()


def test_the_watchlist_is_what_sql_says(site: Site, engine: Engine) -> None:
    rows = {row["symbol"]: row for row in site.get("/api/v1/symbols")["symbols"]}
    last = dict(engine.sql("SELECT symbol, price FROM latest WHERE feed = 'sim'").arrow().to_pydict().items())
    prices = dict(zip(last["symbol"], last["price"], strict=True))
    days = engine.sql(
        "SELECT symbol, sum(volume) AS volume, sum(trades) AS trades, max(high) AS high, min(low) AS low, "
        "sum(vwap * volume) / sum(volume) AS vwap, arg_min(open, ts) FILTER (NOT isnan(open)) AS open "
        "FROM bars WHERE feed = 'sim' AND interval = '1m' GROUP BY symbol",
        scan_all=True,
    ).arrow()
    # What had not closed when the run ended is in no bar yet.
    open_trades = engine.sql(
        "SELECT symbol, count(*) AS n FROM trades t WHERE feed = 'sim' AND ts >= (SELECT max(ts) + "
        "INTERVAL 1 MINUTE FROM bars b WHERE b.feed = 'sim' AND b.interval = '1m') GROUP BY symbol",
        scan_all=True,
    ).arrow()
    still_open = set(open_trades["symbol"].to_pylist())
    assert set(rows) == set(prices)
    for day in days.to_pylist():
        row = rows[day["symbol"]]
        assert row["last"] == prices[day["symbol"]]
        assert row["spread"] is None or row["spread"] > 0
        if day["symbol"] in still_open:
            assert row["volume"] >= day["volume"]
            continue
        for name in ("volume", "trades", "high", "low", "open"):
            assert row[name] == day[name], (day["symbol"], name)
        assert math.isclose(row["vwap"], day["vwap"], rel_tol=1e-9)


def test_top_shows_the_same(site: Site, settings: Settings, messages: list[dict[str, Any]]) -> None:
    del messages
    rows = {row["symbol"]: row for row in site.get("/api/v1/symbols")["symbols"]}
    command = [sys.executable, "-m", "ticktrail", "top", *flags_of(settings), "--sort", "volume"]
    with subprocess.Popen([*command, "--json", "--every", "0.2"], stdout=subprocess.PIPE, text=True) as top:
        assert top.stdout is not None
        deadline = time.monotonic() + DEADLINE_S
        shown: list[dict[str, Any]] = []
        while [row["volume"] for row in shown] != sorted(
            (row["volume"] for row in rows.values()), reverse=True
        ):
            assert time.monotonic() < deadline, shown
            shown = json.loads(top.stdout.readline())["symbols"]
        top.send_signal(signal.SIGINT)
        top.communicate()
    assert top.returncode == 0
    assert {row["symbol"]: row["trades"] for row in shown} == {
        name: row["trades"] for name, row in rows.items()
    }


def test_the_stream_has_no_hole(messages: list[dict[str, Any]]) -> None:
    assert [message["seq"] for message in messages] == list(range(1, len(messages) + 1))
    assert messages[0]["type"] == "snapshot"
    assert {message["type"] for message in messages[1:]} == {"update"}


def test_the_tape_is_what_sql_says(messages: list[dict[str, Any]], engine: Engine) -> None:
    shown = [trade for message in messages for trade in message.get("trades", [])]
    assert sum(message.get("skipped", 0) for message in messages) == 0
    stored = engine.sql(
        "SELECT trade_id, ts_event_ns, price, size FROM trades WHERE feed = 'sim' AND symbol = 'AAPL'"
    ).arrow()
    expected = set(zip(*(stored[name].to_pylist() for name in stored.column_names), strict=True))
    found = {(each["trade_id"], each["ts_ns"], each["price"], each["size"]) for each in shown}
    assert found == expected
    assert len(shown) == len(found)


def test_streamed_bars_are_what_sql_says(messages: list[dict[str, Any]], engine: Engine) -> None:
    newest: dict[int, dict[str, Any]] = {}
    for message in messages:
        for bar in message.get("bars", []):
            known = newest.get(bar["ts_open_ns"])
            if bar["is_final"] and (known is None or bar["revision"] >= known["revision"]):
                newest[bar["ts_open_ns"]] = bar
    stored = engine.read("bars", symbols="AAPL", feed="sim", interval="1s").to_pylist()
    assert stored
    for bar in stored:
        found = newest.pop(int(bar["ts"].timestamp()) * 10**9)
        for name in ("volume", "trades", "revision"):
            assert found[name] == bar[name]
        for name in ("open", "high", "low", "close", "vwap"):
            value = None if bar[name] is None or math.isnan(bar[name]) else bar[name]
            assert found[name] == value
    assert not newest


@pytest.mark.parametrize("interval", ["1s", "1m"])
def test_history_is_what_sql_says(site: Site, engine: Engine, interval: str) -> None:
    end_ns = 1 << 62
    found: list[tuple[int, float | None, float]] = []
    while True:  # page by page, backwards
        page = site.get(f"/api/v1/bars?feed=sim&symbol=AAPL&interval={interval}&limit=7&end_ns={end_ns}")
        columns = page["bars"]
        found[:0] = list(zip(columns["ts_open_ns"], columns["close"], columns["volume"], strict=True))
        if not page["has_more"]:
            break
        end_ns = columns["ts_open_ns"][0]
    stored = engine.read("bars", symbols="AAPL", feed="sim", interval=interval).to_pylist()
    expected = [
        (
            int(bar["ts"].timestamp()) * 10**9,
            None if bar["close"] is None or math.isnan(bar["close"]) else bar["close"],
            bar["volume"],
        )
        for bar in stored
    ]
    assert found == expected


def test_arrow_and_csv(site: Site) -> None:
    path = "/api/v1/bars?feed=sim&symbol=AAPL&interval=1s&limit=10"
    with pa.ipc.open_stream(site.bytes(f"{path}&format=arrow")) as stream:
        table = stream.read_all()
    assert table["close"].to_pylist() == site.get(path)["bars"]["close"]
    assert site.bytes(f"{path}&format=csv").count(b"\n") == len(table) + 1


def test_sql(site: Site, engine: Engine) -> None:
    query = "SELECT symbol, count(*) AS n FROM trades WHERE symbol IN ('AAPL', 'MSFT') GROUP BY 1 ORDER BY 1"
    status, found = site.ask("/api/v1/sql", {"sql": query})
    assert status == 200
    assert found["rows"] == [list(row.values()) for row in engine.sql(query).arrow().to_pylist()]
    status, found = site.ask("/api/v1/sql", {"sql": "SELECT range FROM range(1000)", "rows_max": 10})
    assert (status, found["rows_count"], found["is_truncated"]) == (200, 10, True)


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/bars?feed=sim",
        "/api/v1/bars?feed=sim&symbol=AAPL&interval=9m",
        "/api/v1/bars?feed=sim&symbol=AAPL&limit=0",
        "/api/v1/bars?feed=sim&symbol=AAPL&indicators=fly(1)",
        "/api/v1/trades?feed=sim&symbol=AAPL&start_ns=5&end_ns=5",
    ],
)
def test_wrong_requests_say_what_is_wrong(site: Site, path: str) -> None:
    status, found = site.ask(path)
    assert status == 400
    assert found["error"]["what"]


def test_an_unknown_symbol_has_no_bars(site: Site) -> None:
    assert site.get("/api/v1/bars?feed=sim&symbol=NOSUCH")["bars"]["close"] == []
