"""What each scope of a token allows, and which methods a path has."""

from __future__ import annotations

import json
from typing import Any

import pytest
from api_kit import ASKING, READING, RULE
from serve_kit import Site

pytestmark = [pytest.mark.servers, pytest.mark.timeout(400)]


@pytest.mark.parametrize(
    ("token", "method", "path", "body", "status"),
    [
        (READING, "GET", "/api/v1/rules", None, 200),
        (READING, "GET", "/api/v1/alerts", None, 200),
        (READING, "GET", "/metrics", None, 200),
        (READING, "POST", "/api/v1/rules", RULE, 403),
        (READING, "PUT", "/api/v1/rules/x", RULE, 403),
        (READING, "DELETE", "/api/v1/rules/x", None, 403),
        (READING, "POST", "/api/v1/rules/x/mute", {"until_ns": None}, 403),
        (READING, "POST", "/api/v1/alerts/x/acknowledge", None, 403),
        (READING, "POST", "/api/v1/rule-tests", {"rule": RULE, "start_ns": 1, "end_ns": 2}, 403),
        (READING, "POST", "/api/v1/sql", {"sql": "SELECT 1"}, 403),
        (READING, "GET", "/api/v1/sql/schema", None, 403),
        # A path can be written in several ways.
        (READING, "POST", "/api/v1//sql", {"sql": "SELECT 1"}, 403),
        (READING, "POST", "/api/v1/sql/", {"sql": "SELECT 1"}, 403),
        (READING, "POST", "//api/v1/sql", {"sql": "SELECT 1"}, 403),
        (READING, "POST", "/api/v1/%73ql", {"sql": "SELECT 1"}, 403),
        (READING, "POST", "/api//v1/rules", RULE, 403),
        (ASKING, "POST", "/api/v1/sql", {"sql": "SELECT 1"}, 200),
        (ASKING, "GET", "/api/v1/symbols", None, 403),
        (ASKING, "GET", "/", None, 403),
    ],
)
def test_scopes(site: Site, token: str, method: str, path: str, body: Any, status: int) -> None:
    found, answer = site.send(
        path, None if body is None else json.dumps(body).encode(), method, authorization=f"Bearer {token}"
    )
    assert found == status, answer
    if status == 403:
        assert json.loads(answer)["error"]["what"].startswith("This token does not allow")


def test_a_token_s_scopes_are_told(site: Site) -> None:
    assert site.get("/api/v1/info")["scopes"] == ["alerts", "read", "sql"]
    assert site.ask("/api/v1/info", authorization=f"Bearer {READING}")[1]["scopes"] == ["read"]


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/api/v1/rules", {"GET", "POST", "OPTIONS"}),
        ("/api/v1/rules/x", {"PUT", "DELETE", "OPTIONS"}),
        ("/api/v1/sql", {"POST", "OPTIONS"}),
    ],
)
def test_methods_are_told(site: Site, path: str, allowed: set[str]) -> None:
    for method, status in (("OPTIONS", 204), ("PATCH", 405)):
        found, headers, _ = site.raw(method, path)
        assert found == status
        assert set(headers["allow"].split(", ")) == allowed
