"""Who may ask: tokens, hosts, origins, cookies, headers, addresses beyond loopback."""

from __future__ import annotations

import socket
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from serve_kit import DEADLINE_S, Site, serving, until
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect as connect_websocket

from ticktrail.config import Settings

pytestmark = [pytest.mark.servers, pytest.mark.timeout(400)]

HEADERS = {
    "content-security-policy": "default-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


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
    # Another server of this machine, at another port, has a cookie of its own.
    assert cookie.startswith("ticktrail_token_" + site.address.rpartition(":")[2] + "=")
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
    name = "ticktrail_token_" + site.address.rpartition(":")[2]
    headers = {"authorization": "", "cookie": cookie.replace("ticktrail_token", name)}
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


def test_no_token_is_in_the_log(site: Site, log: Path) -> None:
    with suppress(urllib.error.HTTPError):
        urllib.request.urlopen(f"http://{site.address}/?token={site.token}").close()
    assert site.token not in log.read_text()
