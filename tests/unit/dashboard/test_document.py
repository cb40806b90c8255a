"""The OpenAPI document: what Litestar does not say by itself, and that nothing is named twice."""

from __future__ import annotations

import json
import re
from typing import Any

import jsonschema_rs
import pytest

from ticktrail.alerts.kinds import KINDS
from ticktrail.clock import SystemClock
from ticktrail.config import ServeSettings, Settings
from ticktrail.dashboard.app import make_app
from ticktrail.dashboard.document import completed
from ticktrail.dashboard.guard import Guard
from ticktrail.dashboard.indicators import PATTERN, parsed
from ticktrail.dashboard.service import Service


@pytest.fixture(scope="module")
def raw() -> dict[str, Any]:
    clock = SystemClock()
    service = Service(Settings(), clock)
    app = make_app(service, Guard(ServeSettings(), clock), clock)
    found: dict[str, Any] = app._app.openapi_schema.to_schema()  # type: ignore[attr-defined]
    return found


@pytest.fixture(scope="module")
def document(raw: dict[str, Any]) -> dict[str, Any]:
    return completed(raw)


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    names = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document)))
    assert names <= set(document["components"]["schemas"])


def test_no_schema_takes_another_s_name(raw: dict[str, Any], document: dict[str, Any]) -> None:
    """A rule's parameters, say, must not take the place of an answer's shape."""
    kinds = {kind.params.__name__ for kind in KINDS.values()}
    assert not kinds & set(raw["components"]["schemas"])
    assert kinds <= set(document["components"]["schemas"])


def test_every_operation_says_how_it_fails(document: dict[str, Any]) -> None:
    for path, operations in document["paths"].items():
        for operation in operations.values():
            assert {"400", "403", "429", "503"} <= set(operation["responses"]), path
            assert ("401" in operation["responses"]) is (path != "/healthz")


def test_a_rule_s_schema_takes_what_is_right_and_nothing_else(document: dict[str, Any]) -> None:
    schema = {"$ref": "#/components/schemas/RuleDraft", "components": document["components"]}
    validator = jsonschema_rs.validator_for(schema)
    right = {"name": "x", "kind": "price_crosses", "params": {"price": 10.0}}
    assert validator.is_valid(right)
    assert validator.is_valid(right | {"symbols": ["A", "@list"], "cooldown_s": 0, "severity": "info"})
    assert validator.is_valid({"name": "x", "kind": "halt"})
    for wrong in (
        {"kind": "halt"},
        {"name": "x"},
        {"name": "x", "kind": "no_such"},
        {"name": "x", "kind": "price_crosses"},
        right | {"params": {"price": 0}},
        right | {"params": {}},
        right | {"severity": "loud"},
        right | {"name": "a/b"},
    ):
        assert not validator.is_valid(wrong), wrong


@pytest.mark.parametrize(
    ("text", "is_right"),
    [
        ("", True),
        ("vwap", True),
        ("vwap()", True),
        ("sma", True),
        ("sma(20)", True),
        ("sma(1000)", True),
        ("bbands(20,2)", True),
        ("bbands(20)", True),
        ("macd(12,26,9)", True),
        ("sma(20),bbands(20,2),rsi(14),macd(12,26,9),vwap", True),
        (",".join(["sma(5)"] * 12), True),
        (",".join(["sma(5)"] * 13), False),
        ("sma(0)", False),
        ("sma(1001)", False),
        ("sma(1,2)", False),
        ("fly(1)", False),
        ("sma(20)x", False),
    ],
)
def test_the_pattern_of_indicators_agrees_with_their_parser(text: str, is_right: bool) -> None:
    assert (re.search(PATTERN, text) is not None) is is_right
    if is_right:
        parsed(text)
