"""Strangers, floods and questions that mean harm, against the running server; after each it is well."""

from __future__ import annotations

import http.client
import json
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import psutil
import pytest
from fixtures_servers import Servers, new_settings, prepared
from serve_kit import DEADLINE_S, Site, serving, subscribed, until
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect as connect_websocket

from ticktrail.config import Settings
from ticktrail.dashboard.doorstep import CONNECTIONS_OF_ONE_MAX

pytestmark = [pytest.mark.servers, pytest.mark.timeout(400)]

SQL_SECONDS_MAX = 4
# What a bad question may add to the server itself, whose answers pass through it.
GROWTH_BYTES_MAX = 400 * 1024**2
HEADERS = {
    "content-security-policy": "default-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


@pytest.fixture(scope="module")
def settings(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return prepared(new_settings(servers, tmp_path_factory.mktemp("security")))


@pytest.fixture(scope="module")
def log(settings: Settings) -> Path:
    return Path(settings.stack.data_dir) / "serve.log"


@pytest.fixture(scope="module")
def site(settings: Settings, log: Path) -> Iterator[Site]:
    bounds = {"sql_seconds_max": SQL_SECONDS_MAX, "sql_at_once_max": 1, "requests_per_s": 100_000}
    more = [word for name, value in bounds.items() for word in ("--set", f"serve.{name}={value}")]
    with serving(settings, *more, log=log) as found:
        yield found


@pytest.fixture(autouse=True)
def the_server_is_well_afterwards(site: Site) -> Iterator[None]:
    process = psutil.Process(site.pid)
    before = process.memory_info().rss
    yield
    until(lambda: is_well(site), "the server is well")
    assert process.memory_info().rss - before < GROWTH_BYTES_MAX


def is_well(site: Site) -> bool:
    with suppress(OSError, http.client.HTTPException, ValueError):
        return site.ask("/api/v1/info")[0] == 200
    return False


# --- who may ask


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/api/v1/info",
        "/api/v1/symbols",
        "/api/v1/openapi.json",
        "/api/v1/sql",
        "/metrics",
        "/nowhere",
        "//healthz",
        "/healthz/",
        "/healthz/../api/v1/info",
    ],
)
def test_nothing_without_a_token(site: Site, path: str) -> None:
    for given in ("", "Bearer wrong", "Bearer", f"Basic {site.token}", f"Bearer {site.token[:-1]}"):
        status, headers, _ = site.raw("GET", path, {"authorization": given})
        assert status == 401, given
        assert headers["www-authenticate"] == 'Bearer realm="ticktrail"'


def test_health_needs_no_token(site: Site) -> None:
    assert site.ask("/healthz", authorization="")[0] == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"host": "127.0.0.1.evil.example"},
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:1"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"},
        {"sec-fetch-site": "same-site", "sec-fetch-mode": "cors"},
    ],
)
def test_strangers(site: Site, headers: dict[str, str]) -> None:
    for path in ("/healthz", "/api/v1/info"):
        assert site.raw("GET", path, headers)[0] == 403
    assert site.raw("POST", "/api/v1/sql", headers)[0] == 403


@pytest.mark.parametrize(
    ("query", "headers", "code"),
    [
        ("", {}, 4001),
        ("?token=wrong", {}, 4001),
        ("?token=TOKEN", {"Origin": "http://evil.example"}, 4003),
        ("?token=TOKEN", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "websocket"}, 4003),
    ],
)
def test_a_stranger_s_websocket(site: Site, query: str, headers: dict[str, str], code: int) -> None:
    url = f"ws://{site.address}/api/v1/live{query.replace('TOKEN', site.token)}"
    with (
        connect_websocket(url, additional_headers=headers) as stranger,
        pytest.raises(ConnectionClosed) as caught,
    ):
        stranger.recv(DEADLINE_S)
    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == code


def test_beyond_loopback(settings: Settings, log: Path, tmp_path: Path) -> None:
    address = own_address()
    toml = tmp_path / "ticktrail.toml"
    token = "a-token-for-this-test"
    toml.write_text(f'[[serve.tokens]]\nname = "me"\ntoken = "{token}"\n')
    more = ("--config", str(toml), "--set", f"serve.host={address}")
    with serving(settings, *more, token=token, log=log.with_name("beyond.log")) as site:
        assert site.address.startswith(address)
        assert site.ask("/api/v1/info", authorization="")[0] == 401
        assert site.ask("/api/v1/info")[0] == 200
        assert site.ask("/api/v1/info", host="evil.example")[0] == 403
        # The usual budget: three seconds' worth at once.
        found = [site.raw("GET", "/healthz") for _ in range(400)]
        statuses = [status for status, _, _ in found]
        assert statuses[:100] == [200] * 100
        assert 429 in statuses
        (refused,) = [headers for status, headers, _ in found if status == 429][:1]
        assert refused["retry-after"] == "1"
        until(lambda: site.ask("/api/v1/info")[0] == 200, "the budget is there again")
    assert token not in log.with_name("beyond.log").read_text()


def own_address() -> str:
    for addresses in psutil.net_if_addrs().values():
        for each in addresses:
            if each.family == socket.AF_INET and not each.address.startswith("127."):
                return each.address
    pytest.skip("this machine has no address beyond loopback")


def test_beyond_loopback_nothing_starts_without_a_token(settings: Settings) -> None:
    with (
        pytest.raises(AssertionError, match="did not start"),
        serving(settings, "--set", "serve.host=0.0.0.0"),
    ):
        pass


def test_the_token_in_the_address_becomes_a_cookie(site: Site) -> None:
    status, headers, _ = site.raw("GET", f"/?token={site.token}", {"authorization": ""})
    assert status == 303
    assert headers["location"] == "/"
    assert headers["cache-control"] == "no-store"
    cookie, _, attributes = headers["set-cookie"].partition(";")
    assert {each.strip() for each in attributes.split(";")} == {"HttpOnly", "SameSite=Strict", "Path=/"}
    assert site.ask("/api/v1/info", authorization="", cookie=cookie)[0] == 200


@pytest.mark.parametrize(
    "cookie",
    [
        "ticktrail_token=",
        'ticktrail_token="',
        "ticktrail_token=\xff\xfe",
        "=;=;=",
        ";" * 5_000,
        "a=" + "b" * 30_000,
        "ticktrail_token=%00",
        "ticktrail_token=x; ticktrail_token=y",
        "\t;\\;[]{}",
    ],
)
def test_odd_cookies(site: Site, cookie: str) -> None:
    headers = {"authorization": "", "cookie": cookie}
    assert site.raw("GET", "/api/v1/info", headers)[0] == 401


def test_every_answer_has_the_headers(site: Site) -> None:
    answers = [
        site.raw("GET", "/"),
        site.raw("GET", "/healthz"),
        site.raw("GET", "/metrics"),
        site.raw("GET", "/api/v1/info"),
        site.raw("GET", "/nowhere"),
        site.raw("GET", "/api/v1/nowhere"),
        site.raw("PATCH", "/api/v1/info"),
        site.raw("OPTIONS", "/api/v1/info"),
        site.raw("GET", "/api/v1/bars"),
        site.raw("POST", "/api/v1/sql"),
        site.raw("GET", "/api/v1/info", {"authorization": ""}),
        site.raw("GET", "/api/v1/info", {"host": "evil.example"}),
        site.raw("GET", f"/?token={site.token}"),
    ]
    for _, headers, _ in answers:
        assert {name: headers[name] for name in HEADERS} == HEADERS
        assert "server" not in headers
        assert "access-control-allow-origin" not in headers
    assert {status for status, _, _ in answers} >= {200, 204, 303, 400, 401, 403, 404, 405}


# --- SQL


@pytest.mark.parametrize(
    "query",
    [
        "CREATE TABLE x AS SELECT 1",
        "CREATE VIEW x AS SELECT 1",
        "CREATE MACRO f() AS 1",
        "CREATE SECRET s (TYPE s3)",
        "COPY (SELECT 1) TO '/tmp/ticktrail-never.csv'",
        "COPY trades FROM '/etc/passwd'",
        "EXPORT DATABASE '/tmp/ticktrail-never'",
        "IMPORT DATABASE '/tmp/ticktrail-never'",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_csv_auto('/etc/passwd')",
        "SELECT * FROM sniff_csv('/etc/passwd')",
        "SELECT * FROM read_parquet('/tmp/*.parquet')",
        "SELECT * FROM parquet_metadata('/tmp/x.parquet')",
        "SELECT * FROM read_json('/etc/passwd')",
        "SELECT content FROM read_text('/etc/hostname')",
        "SELECT content FROM read_blob('/etc/hostname')",
        "SELECT * FROM glob('/*')",
        "FROM '/etc/passwd'",
        "FROM 'https://127.0.0.1/x.parquet'",
        "ATTACH '/tmp/ticktrail-never.db'",
        "ATTACH ':memory:' AS m",
        "DETACH memory",
        "USE memory",
        "INSTALL httpfs",
        "FORCE INSTALL httpfs",
        "LOAD httpfs",
        "UPDATE EXTENSIONS",
        "SET memory_limit = '100GB'",
        "SET GLOBAL threads = 64",
        "RESET memory_limit",
        "PRAGMA database_list",
        "PRAGMA threads=64",
        "CALL pragma_version()",
        "CHECKPOINT",
        "VACUUM",
        "BEGIN",
        "PREPARE p AS SELECT 1",
        "EXECUTE p",
        "EXPLAIN ANALYZE CREATE TABLE x AS SELECT 1",
        "SELECT 1; SELECT 2",
        "SELECT 1; DROP VIEW trades",
        "INSERT INTO trades SELECT * FROM trades",
        "UPDATE trades SET price = 0",
        "DELETE FROM trades",
        "DROP VIEW trades",
        "SELECT * FROM trades",
        "SELECT getenv('HOME')",
        "SELECT * FROM query('COPY (SELECT 1) TO ''/tmp/ticktrail-never.csv''')",
        "SELECT * FROM query_table('/etc/passwd')",
        "SELEC 1",
        "",
        "\x00",
        "SELECT '" + "x" * 100_001 + "'",
        "SELECT " + "(" * 20_000 + "1" + ")" * 20_000,
    ],
)
def test_questions_that_are_refused(site: Site, query: str) -> None:
    status, found = site.ask("/api/v1/sql", {"sql": query})
    assert status == 400, found
    assert found["error"]["what"]
    assert site.rows("SELECT 42") == [[42]]
    assert not list(Path("/tmp").glob("ticktrail-never*"))


@pytest.mark.parametrize(
    "query",
    [
        "SELECT list(x) FROM range(3000000000) t(x)",
        "SELECT sum(a.range * b.range) FROM range(100000000) a, range(100000000) b",
        "SELECT count(*) FROM range(100000) a, range(100000) b, range(100000) c WHERE a.range + b.range = -1",
        "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT max(n) FROM t",
        "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n FROM t, range(10)) SELECT count(*) FROM t",
        "SELECT length("
        + " || ".join(["repeat(chr(120 + a::INT), 2000000000)"] * 8)
        + ") FROM range(2) t(a)",
        "SELECT repeat('x', 1000000000)",
        "SELECT repeat('x', 10000) FROM range(100000)",
        "SELECT array_agg(repeat('x', 1000)) FROM range(10000000)",
        "SELECT list_sort(range(1000000000))",
        "SELECT * FROM range(1000000000000) ORDER BY random()",
    ],
)
def test_questions_that_take_everything(site: Site, query: str) -> None:
    with site.live() as socket:
        subscribed(socket, every_ms=20)
        status, found = site.ask("/api/v1/sql", {"sql": query})
        assert status == 400, str(found)[:500]
        assert found["error"]["what"]
        # Others have not noticed, and the next one is answered.
        socket.send('{"op": "ping", "t": 1}')
        assert json.loads(socket.recv(DEADLINE_S)) == {"type": "pong", "t": 1}
    assert site.rows("SELECT 42") == [[42]]
    until(lambda: len(children(site)) == 1, "one process is left for questions")


def children(site: Site) -> list[psutil.Process]:
    found = []
    for each in psutil.Process(site.pid).children(recursive=True):
        with suppress(psutil.Error):  # it may end meanwhile
            if "spawn_main" in " ".join(each.cmdline()):
                found.append(each)
    return found


def test_an_answer_has_so_many_rows_and_no_more(site: Site) -> None:
    _, found = site.ask("/api/v1/sql", {"sql": "SELECT range FROM range(10000000)", "rows_max": 10_000_000})
    assert (found["rows_count"], found["is_truncated"]) == (100_000, True)
    assert [row[0] for row in found["rows"][:3]] == [0, 1, 2]


# --- what comes in


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"nul", 400),
        (b"\xff\xfe", 400),
        (b'"\\ud800"', 400),
        (b"[" * 200_000, 400),
        (b'{"a":' * 100_000, 400),
        (b'{"sql": ' + b"[" * 100_000, 400),
        (b'{"sql": "SELECT 1", "rows_max": 1e999}', 400),
        (b'{"sql": "SELECT 1", "rows_max": -1}', 400),
        (b'{"sql": "SELECT 1", "rows_max": NaN}', 400),
        (b'{"sql": "SELECT 1", "rows_max": 99999999999999999999999}', 400),
        (b" " * (1024**2 + 1), 413),
        (b"x" * (8 * 1024**2), 413),
    ],
    ids=range(14),
)
def test_bodies(site: Site, body: bytes, status: int) -> None:
    for path in ("/api/v1/sql", "/api/v1/rules", "/api/v1/rule-tests"):
        try:
            found, answer = site.send(path, body)
        except OSError:
            assert status == 413, path  # it hung up before all of it was sent
            continue
        assert found == status, (path, answer[:300])
        assert json.loads(answer)["error"]["what"]


@pytest.mark.parametrize(
    "path",
    [
        f"/api/v1/{path}"
        for path in (
            "bars?feed=sim&symbol=A&limit=NaN",
            "bars?feed=sim&symbol=A&limit=-1",
            "bars?feed=sim&symbol=A&limit=1e9",
            "bars?feed=sim&symbol=A&limit=99999999999999999999999",
            "bars?feed=sim&symbol=A&end_ns=-1",
            "bars?feed=sim&symbol=A&end_ns=9223372036854775808",
            "bars?feed=sim&symbol=A&end_ns=inf",
            "bars?feed=sim&symbol=A&indicators=sma(1e9)",
            "bars?feed=sim&symbol=A&indicators=sma(nan)",
            "bars?feed=sim&symbol=A&indicators=" + "sma(20)," * 60,
            "bars?feed=sim&symbol=A&indicators=bbands(20,inf)",
            "bars?feed=sim&symbol=A&interval=1y",
            "bars?feed=sim&symbol=" + "A" * 65,
            "bars?feed=sim",
            "trades?feed=sim&symbol=A&start_ns=9&end_ns=9",
            "trades?feed=sim&symbol=A&start_ns=-9223372036854775809",
            "quotes?feed=sim&symbol=A&limit=0",
            "gaps?days=0",
            "gaps?days=-1",
            "gaps?days=99999999999",
            "alerts?limit=0",
            "alerts?limit=1001",
            "alerts?before=" + "0" * 65,
        )
    ],
)
def test_numbers_that_make_no_sense(site: Site, path: str) -> None:
    status, found = site.ask(path)
    assert status == 400, found
    assert found["error"]["what"]


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/bars?feed=sim&symbol=A&end_ns=0",
        "/api/v1/bars?feed=sim&symbol=A&end_ns=9223372036854775807",
        "/api/v1/bars?feed=%00&symbol=%00",
        "/api/v1/bars?feed='&symbol=%27%20OR%201=1--",
        "/api/v1/bars?feed=%ff&symbol=%f0%9f%9a%80",
        "/api/v1/trades?feed=sim&symbol=A&start_ns=0&end_ns=9223372036854775807",
        "/api/v1/gaps?days=36500",
        "/api/v1/alerts?before=no-id",
        "/api/v1/alerts?before=ffffffffffffffff-00000000000000000000",
        "/api/v1/alerts?before=%00",
    ],
)
def test_what_is_odd_and_allowed(site: Site, path: str) -> None:
    assert site.ask(path)[0] == 200


@pytest.mark.parametrize(
    "path",
    [
        "/../../../../../../etc/passwd",
        "/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "/..%2f..%2f..%2f..%2f..%2fetc/passwd",
        "/assets/../../app.py",
        "/assets/%2e%2e/%2e%2e/app.py",
        "/..%5c..%5capp.py",
        "/....//....//app.py",
        "/.%00./app.py",
        "//etc/passwd",
        "/etc/passwd",
        "/app.py",
    ],
)
def test_only_the_page_is_served(site: Site, path: str) -> None:
    status, _, body = site.raw("GET", path)
    assert status in {400, 404}, body[:200]
    assert b"root:" not in body
    assert b"import" not in body


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", "PATCH", "FOO", "PROPFIND"])
@pytest.mark.parametrize("path", ["/", "/healthz", "/metrics", "/api/v1/info", "/api/v1/sql"])
def test_methods(site: Site, method: str, path: str) -> None:
    status, _, body = site.raw(method, path)
    assert status in {200, 204, 405, 404}, body
    assert site.token.encode() not in body  # as TRACE would


def test_heads_that_are_too_long(site: Site) -> None:
    host, _, port = site.address.rpartition(":")
    for text in (
        "GET / HTTP/1.1\r\nhost: x\r\nx: " + "a" * 500_000,
        "GET /" + "a" * 500_000,
        "GET / HTTP/1.1\r\n" + "".join(f"x{number}: y\r\n" for number in range(50_000)),
        "\x16\x03\x01\x02\x00\x01" * 1_000,
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
        "POST /api/v1/sql HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n",
        "POST /api/v1/sql HTTP/1.1\r\nhost: a\r\ntransfer-encoding: x\r\n\r\n",
    ):
        with socket.create_connection((host, int(port)), DEADLINE_S) as client:
            found = b""
            with suppress(ConnectionError):
                client.sendall(text.encode("latin-1"))
                found = client.recv(1_000)
            # It hangs up in the middle, or says what it thinks of it.
            assert not found or found.startswith((b"HTTP/1.1 4", b"HTTP/1.1 501")), text[:50]


# --- floods


def test_a_flood_of_connections_is_bounded_and_passes(site: Site) -> None:
    host, _, port = site.address.rpartition(":")
    with ExitStack() as opened:
        clients = [
            opened.enter_context(socket.create_connection((host, int(port)), DEADLINE_S))
            for _ in range(CONNECTIONS_OF_ONE_MAX + 100)
        ]
        refused = [client.recv(100) for client in clients[-50:]]
        assert all(each.startswith(b"HTTP/1.1 503") for each in refused)
        assert len(psutil.Process(site.pid).net_connections()) < CONNECTIONS_OF_ONE_MAX + 100


def test_a_flood_of_messages_ends_the_connection(site: Site) -> None:
    def send_and_read() -> None:
        for _ in range(500):
            flood.send('{"op":"subscribe","symbols":"*"}')
            flood.recv(DEADLINE_S)

    with site.live() as flood, site.live() as other:
        subscribed(other, every_ms=20)
        with pytest.raises(ConnectionClosed) as caught:
            send_and_read()
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 4029
        other.send('{"op": "ping", "t": 1}')
        assert json.loads(other.recv(DEADLINE_S)) == {"type": "pong", "t": 1}


def test_a_huge_message_ends_the_connection(site: Site) -> None:
    def send_and_read() -> None:
        one.send("x" * (5 * 1024**2))
        one.recv(DEADLINE_S)

    with site.live() as one, pytest.raises(ConnectionClosed) as caught:
        send_and_read()
    # It may hang up while the client still sends, which then reads no reason.
    assert caught.value.rcvd is None or caught.value.rcvd.code == 1009


def test_twenty_thousand_symbols_that_do_not_exist(site: Site) -> None:
    process = psutil.Process(site.pid)
    with ExitStack() as opened:
        sockets = [opened.enter_context(site.live()) for _ in range(5)]
        for each in sockets:
            names = [f"sim|{'X' * 100}{number}" for number in range(20_000)]
            assert subscribed(each, symbols=names, every_ms=20)["symbols"] == []
        begun_s, begun_cpu_s = time.monotonic(), process.cpu_times().user
        until(lambda: time.monotonic() - begun_s > 3, "some time has passed")
        # Nobody looks for them again as long as nothing new has come.
        assert process.cpu_times().user - begun_cpu_s < 1.5


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[" * 100_000,
        '{"op":"subscribe","symbols":' + "[" * 50_000,
        '{"op":"subscribe","symbols":["' + "x" * 131 + '"]}',
        json.dumps({"op": "subscribe", "symbols": ["x"] * 20_001}),
        '{"op":"subscribe","every_ms":0}',
        '{"op":"subscribe","every_ms":1e999}',
        '{"op":"ping","t":"x"}',
        '{"op":"subscribe","chart":{"feed":"x","symbol":"y","interval":"1y"}}',
        b"\xff\xfe\x00",
    ],
    ids=range(10),
)
def test_messages_that_make_no_sense(site: Site, text: str | bytes) -> None:
    with site.live() as one:
        one.send(text)
        assert json.loads(one.recv(DEADLINE_S))["type"] == "error"
        one.send('{"op": "ping", "t": 1}')
        assert json.loads(one.recv(DEADLINE_S))["type"] == "pong"


# --- at last


def test_no_token_is_in_the_log(site: Site, log: Path) -> None:
    with suppress(urllib.error.HTTPError):
        urllib.request.urlopen(f"http://{site.address}/?token={site.token}").close()
    text = log.read_text()
    assert text  # it has refused some of the above
    assert site.token not in text
    assert "Traceback" not in text, text[text.index("Traceback") :][:3_000]
