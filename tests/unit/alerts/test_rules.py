"""What is taken as a rule, and what is refused with a reason."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from ticktrail.alerts.kinds import KINDS
from ticktrail.alerts.rules import Quiet, Scope, check_rules, parse_rule, rules_of
from ticktrail.config import AlertsSettings, AlertTarget, Secret, Watchlist, convert_section
from ticktrail.errors import ConfigError, UsageError

SETTINGS = AlertsSettings(
    watchlists=(Watchlist(name="tech", symbols=("AAPL", "MSFT")),),
    targets=(AlertTarget(name="ops", url=Secret("json://h")),),
)
GOOD: dict[str, Any] = {"name": "x", "kind": "price_crosses", "params": {"price": 5}}


def test_a_rule_has_defaults() -> None:
    rule = parse_rule(GOOD, SETTINGS)
    assert (rule.feed, rule.symbols, rule.severity, rule.source) == ("*", ("*",), "warning", "page")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"kind": "nonsense"}, "Kinds are price_crosses"),
        ({"kind": 5}, "Kinds are price_crosses"),
        ({"params": {"price": "5"}}, "expected float, got str"),
        ({"params": {"price": True}}, "got bool"),
        ({"params": {"price": float("nan")}}, "cannot be taken"),
        ({"params": {"price": -1}}, ">"),
        ({"params": {}}, "price"),
        ({"params": {"price": 5, "colour": 1}}, "takes price, direction"),
        ({"params": [5]}, "cannot be taken"),
        ({"cooldown_s": "60"}, "expected float"),
        ({"cooldown_s": float("inf")}, "cannot be taken"),
        ({"nonsense": 1}, "nonsense"),
        ({"name": ""}, "visible characters"),
        ({"name": "a\nb"}, "visible characters"),
        ({"name": "a\x1b[31m"}, "visible characters"),
        ({"name": "a\u202eb"}, "visible characters"),
        ({"name": "\ud800"}, "visible characters"),
        ({"name": "a/b"}, "visible characters"),
        ({"name": "x" * 65}, "visible characters"),
        ({"symbols": []}, "0 symbols"),
        ({"symbols": ["A\0"]}, "visible characters"),
        ({"symbols": ["@none"]}, "@tech"),
        ({"notify": ["nobody"]}, "Targets of the settings: ops"),
        ({"quiet": [{"from": "25:00", "to": "07:00"}]}, "22:00"),
        ({"quiet": [{"from": "22:00", "to": "07:00", "zone": "Mars/Olympus"}]}, "time zone"),
        ({"severity": "loud"}, "cannot be taken"),
    ],
)
def test_what_is_no_rule_is_refused_with_a_reason(change: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_rule({**GOOD, **change}, SETTINGS)
    assert told.lower() in str(caught.value).lower()
    assert caught.value.next_step


def test_a_bar_condition_compares_with_one_thing() -> None:
    for extra in ({}, {"value": 1.0, "than_field": "close"}):
        with pytest.raises(UsageError, match="either value or than_field"):
            parse_rule(
                {"name": "b", "kind": "bar_condition", "params": {"field": "close", "op": ">", **extra}},
                SETTINGS,
            )


def test_rules_of_the_file_are_checked_as_settings() -> None:
    settings = AlertsSettings(rules=(GOOD, GOOD))
    with pytest.raises(ConfigError, match="two of this name") as caught:
        rules_of(settings)
    assert caught.value.key == "alerts.rules"
    (rule,) = rules_of(AlertsSettings(rules=(GOOD,)))
    assert rule.source == "file"


def test_windows_are_bounded() -> None:
    raw = [
        {"name": str(n), "kind": "percent_move", "params": {"percent": 1, "window_s": n}}
        for n in range(1, 40)
    ]
    with pytest.raises(UsageError, match="different windows"):
        check_rules([parse_rule(each, SETTINGS) for each in raw])


def test_scopes_know_watchlists_feeds_and_whole_feeds() -> None:
    rule = parse_rule({**GOOD, "symbols": ["@tech", "IBM"], "feed": "sim"}, SETTINGS)
    scope = Scope(rule, {"tech": ("AAPL", "MSFT")})
    found = [s for s in ("AAPL", "MSFT", "IBM", "GE", "*") if scope.concerns("sim", s)]
    assert found == ["AAPL", "MSFT", "IBM", "*"]
    assert not scope.concerns("alpaca", "AAPL")


def test_the_identity_changes_with_what_decides_and_with_nothing_else() -> None:
    def identity(**change: Any) -> str:
        return Scope(parse_rule({**GOOD, **change}, SETTINGS), {}).identity

    # Ids of stored alerts are made of it.
    assert identity() == "b346885e1378c883"
    assert identity(severity="info", notify=["ops"], is_enabled=False) == identity()
    others = [
        identity(name="y"),
        identity(params={"price": 6}),
        identity(cooldown_s=5),
        identity(hysteresis=1),
        identity(symbols=["A"]),
        identity(feed="sim"),
    ]
    assert len({*others, identity()}) == 7


@pytest.mark.parametrize(
    ("minute", "quiet"), [(22 * 60, True), (0, True), (419, True), (420, False), (1319, False)]
)
def test_quiet_hours_reach_over_midnight(minute: int, *, quiet: bool) -> None:
    assert Quiet(from_="22:00", to="07:00").holds(minute) is quiet


def test_the_rules_of_the_how_to_are_rules() -> None:
    page = Path(__file__).parents[3] / "docs" / "how-to" / "alerts.md"
    (toml,) = re.findall(r"```toml\n(.*?)```", page.read_text("utf-8"), flags=re.DOTALL)
    loaded = convert_section(tomllib.loads(toml)["alerts"], AlertsSettings, path="alerts")
    assert [rule.name for rule in rules_of(loaded)] == ["AAPL at 190", "tech moves"]
    assert set(
        re.findall(r"`(\w+)`", "".join(re.findall(r"(?m)^\| (`.*?) \|", page.read_text("utf-8"))))
    ) == set(KINDS)
