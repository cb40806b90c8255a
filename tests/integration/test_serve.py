"""`ticktrail serve` over a running pipeline: its numbers are those of SQL; strangers are kept out."""

from __future__ import annotations

import json
import math
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pytest
from fixtures_servers import Servers, flags_of, new_settings, prepared
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect as connect_websocket

from ticktrail.config import Settings
from ticktrail.query import Engine
from ticktrail.store import connect

pytestmark = [pytest.mark.servers, pytest.mark.timeout(240)]

RUN_S = 30
DEADLINE_S = 60.0
SYMBOLS = 30


class Site:
    """The server, and how to ask it."""

    def __init__(self, url: str) -> None:
        found = re.fullmatch(r"http://([^/]+)/\?token=(\S+)", url)
        assert found is not None, url
        self.address, self.token = found.groups()

    def ask(self, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Send a request with the token, unless the headers say otherwise; give status and JSON."""
        sent = {"authorization": f"Bearer {self.token}", "content-type": "application/json", **headers}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://{self.address}{path}", data, sent)
        try:
            with urllib.request.urlopen(request, timeout=DEADLINE_S) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read())

    def get(self, path: str) -> Any:
        status, found = self.ask(path)
        assert status == 200, found
        return found

    def bytes(self, path: str) -> bytes:
        request = urllib.request.Request(
            f"http://{self.address}{path}", headers={"authorization": f"Bearer {self.token}"}
        )
        with urllib.request.urlopen(request, timeout=DEADLINE_S) as answer:
            found: bytes = answer.read()
            return found

    def live(self, **options: Any) -> Any:
        return connect_websocket(
            f"ws://{self.address}/api/v1/live?token={self.token}", max_size=None, **options
        )


def until(condition: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + DEADLINE_S
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(0.1)  # the pause of a wait with a deadline
    return found


@pytest.fixture(scope="module")
def settings(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return prepared(new_settings(servers, tmp_path_factory.mktemp("serve")))


@pytest.fixture(scope="module")
def site(settings: Settings) -> Iterator[Site]:
    command = [sys.executable, "-m", "ticktrail", "serve", *flags_of(settings), "--set", "serve.port=0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    line = process.stdout.readline()
    yield Site(line.split()[-1])
    process.terminate()
    assert process.wait(DEADLINE_S) == 0
    process.stdout.close()


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
    "query",
    [
        "CREATE TABLE x AS SELECT 1",
        "COPY (SELECT 1) TO '/tmp/ticktrail-never.csv'",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT content FROM read_text('/etc/hostname')",
        "SELECT * FROM glob('/*')",
        "FROM '/etc/passwd'",
        "ATTACH '/tmp/ticktrail-never.db'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET memory_limit = '100GB'",
        "PRAGMA database_list",
        "SELECT 1; SELECT 2",
        "INSERT INTO trades SELECT * FROM trades",
        "DROP VIEW trades",
        "SELECT * FROM trades",
        "SELEC 1",
        "",
        "SELECT list(x) FROM range(3000000000) t(x)",
        "SELECT getenv('HOME')",
    ],
)
def test_sql_that_is_refused(site: Site, query: str) -> None:
    status, found = site.ask("/api/v1/sql", {"sql": query})
    assert status == 400, found
    assert found["error"]["what"]
    assert site.ask("/api/v1/sql", {"sql": "SELECT 42"})[1]["rows"] == [[42]]


def test_sql_that_fills_the_memory_ends_only_its_own_process(site: Site) -> None:
    text = (
        "SELECT length(" + " || ".join(["repeat(chr(120 + a::INT), 2000000000)"] * 8) + ") FROM range(2) t(a)"
    )
    status, found = site.ask("/api/v1/sql", {"sql": text})
    assert status == 400, found
    assert site.ask("/api/v1/sql", {"sql": "SELECT 42"})[1]["rows"] == [[42]]


@pytest.mark.parametrize(
    "path", ["/", "/api/v1/info", "/api/v1/symbols", "/api/v1/schema", "/metrics", "/nowhere"]
)
def test_nothing_without_a_token(site: Site, path: str) -> None:
    assert site.ask(path, authorization="")[0] == 401
    assert site.ask(path, authorization="Bearer wrong")[0] == 401


def test_strangers(site: Site) -> None:
    assert site.ask("/api/v1/info", host="evil.example")[0] == 403
    assert site.ask("/api/v1/info", origin="http://evil.example")[0] == 403
    assert site.ask("/api/v1/sql", {"sql": "SELECT 1"}, origin="http://evil.example")[0] == 403


@pytest.mark.parametrize(
    ("query", "origin", "code"), [("", None, 4001), ("TOKEN", "http://evil.example", 4003)]
)
def test_a_stranger_s_websocket(site: Site, query: str, origin: str | None, code: int) -> None:
    url = f"ws://{site.address}/api/v1/live" + (f"?token={site.token}" if query else "")
    with connect_websocket(url, origin=origin) as socket, pytest.raises(ConnectionClosed) as caught:  # type: ignore[arg-type]
        socket.recv(DEADLINE_S)
    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == code


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


def test_the_token_in_the_address_becomes_a_cookie(site: Site) -> None:
    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_: Any) -> None:
            return None

    opener = urllib.request.build_opener(Stay)
    with pytest.raises(urllib.error.HTTPError) as caught:
        opener.open(f"http://{site.address}/?token={site.token}")
    with caught.value as answer:
        assert answer.code == 303
        cookie = answer.headers["set-cookie"]
        assert "token" not in answer.headers["location"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert site.ask("/api/v1/info", authorization="", cookie=cookie.partition(";")[0])[0] == 200
