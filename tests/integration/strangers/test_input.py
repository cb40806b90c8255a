"""Bodies, numbers, paths, methods and heads that make no sense."""

from __future__ import annotations

import json
import socket
from contextlib import suppress

import pytest
from serve_kit import DEADLINE_S, Site

pytestmark = [pytest.mark.servers, pytest.mark.timeout(400)]


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
