"""Who is let in: tokens, scopes, hosts, origins, rates."""

from __future__ import annotations

import pytest

from ticktrail.config import Secret, ServeSettings, ServeToken
from ticktrail.dashboard.guard import Guard, is_loopback
from ticktrail.errors import UsageError
from ticktrail.testing import FakeClock

TOKEN = "a-token-of-the-settings"
HERE = {"host": "127.0.0.1:8600"}


def token(*scopes: str) -> ServeToken:
    return ServeToken(name="me", token=Secret(TOKEN), scopes=scopes)  # type: ignore[arg-type]


def guard(host: str = "127.0.0.1", *tokens: ServeToken, allowed: tuple[str, ...] = ()) -> Guard:
    return Guard(ServeSettings(host=host, tokens=tokens, allowed_hosts=allowed), FakeClock())


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.7", "::", "example.org"])
def test_beyond_loopback_nothing_without_a_token(host: str) -> None:
    with pytest.raises(UsageError, match="no token is set"):
        guard(host)
    assert guard(host, token("read")).run_token is None


def test_a_run_makes_its_own_token() -> None:
    one, other = guard(), guard()
    assert one.run_token
    assert one.run_token != other.run_token
    assert one.scopes({"authorization": f"Bearer {one.run_token}"}, "") == frozenset(
        {"read", "sql", "alerts"}
    )
    assert one.scopes({"authorization": f"Bearer {other.run_token}"}, "") is None


@pytest.mark.parametrize(
    ("headers", "query", "is_known"),
    [
        ({"authorization": f"Bearer {TOKEN}"}, "", True),
        ({"authorization": f"bearer   {TOKEN} "}, "", True),
        ({"cookie": f"other=1; ticktrail_token={TOKEN}"}, "", True),
        ({}, f"token={TOKEN}", True),
        ({"authorization": f"Basic {TOKEN}"}, "", False),
        ({"authorization": f"Bearer {TOKEN}x"}, "", False),
        ({"authorization": "Bearer "}, "", False),
        ({"cookie": "ticktrail_token="}, "", False),
        ({"cookie": 'ticktrail_token="\\'}, "", False),
        ({}, "token=", False),
        ({}, "token=%ff%fe", False),
        ({}, "", False),
    ],
)
def test_where_a_token_may_stand(headers: dict[str, str], query: str, is_known: bool) -> None:
    found = guard("127.0.0.1", token("read")).scopes(headers, query)
    assert found == (frozenset({"read"}) if is_known else None)


@pytest.mark.parametrize("host", ["127.0.0.1:8600", "localhost:8600", "[::1]:8600", "localhost"])
def test_this_server_by_its_names(host: str) -> None:
    assert guard().check_place({"host": host}) is None


@pytest.mark.parametrize(
    "host", ["evil.example:8600", "127.0.0.1.evil.example", "", "0.0.0.0:8600", "[::2]:1"]
)
def test_a_foreign_name_is_dns_rebinding(host: str) -> None:
    refusal = guard().check_place({"host": host})
    assert refusal is not None
    assert (refusal.status, refusal.reason) == (403, "host")


def test_behind_a_proxy_by_the_names_that_are_set() -> None:
    behind = guard("0.0.0.0", token("read"), allowed=("ticks.example.org",))
    assert behind.check_place({"host": "ticks.example.org"}) is None
    assert behind.check_place({"host": "10.0.0.3:8600"}) is not None
    assert guard("0.0.0.0", token("read")).check_place({"host": "10.0.0.3:8600"}) is None


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9999"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "cors"},
        {"sec-fetch-site": "same-site", "sec-fetch-mode": "websocket"},
    ],
)
def test_pages_of_other_sites_are_refused(headers: dict[str, str]) -> None:
    refusal = guard().check_place(HERE | headers)
    assert refusal is not None
    assert refusal.reason == "origin"


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://127.0.0.1:8600"},
        {"sec-fetch-site": "same-origin", "sec-fetch-mode": "cors"},
        {"sec-fetch-site": "none", "sec-fetch-mode": "navigate"},
        # A link on another page may lead here; what it opens is our own page.
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"},
    ],
)
def test_our_own_page_is_let_in(headers: dict[str, str]) -> None:
    assert guard().check_place(HERE | headers) is None


def test_too_many_requests_of_one_client() -> None:
    clock = FakeClock()
    tired = Guard(ServeSettings(), clock)
    assert not any(tired.is_too_much("1.2.3.4") for _ in range(120))
    assert tired.is_too_much("1.2.3.4")
    assert not tired.is_too_much("5.6.7.8")
    clock.advance(1.0)
    # Forty a second, less the one that was owed.
    assert sum(not tired.is_too_much("1.2.3.4") for _ in range(100)) in {39, 40}


def test_loopback() -> None:
    assert all(map(is_loopback, ["127.0.0.1", "127.8.8.8", "::1", "localhost"]))
    assert not any(map(is_loopback, ["0.0.0.0", "::", "10.0.0.1", "example.org", ""]))
