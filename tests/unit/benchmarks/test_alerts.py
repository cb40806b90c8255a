"""The rules that the benchmark of alerts evaluates, and what it makes of its figures."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from benchmarks.alerts import FOR_ALL, RULES, SYMBOLS, rules_of, targets, toml_of
from ticktrail.alerts.kinds import KINDS
from ticktrail.alerts.rules import Scope, check_rules, parse_rule
from ticktrail.config import AlertsSettings
from ticktrail.feeds.sim import SimSettings, Universe


@pytest.mark.parametrize("for_all", FOR_ALL.values())
def test_the_rules_are_good_ones_and_all_look_at_trades(for_all: int) -> None:
    rules = [parse_rule(raw, AlertsSettings()) for raw in rules_of(for_all)]
    check_rules(rules)
    assert len(rules) == RULES
    assert {KINDS[rule.kind].source for rule in rules} == {"trades"}
    assert len({rule.kind for rule in rules}) == 7


def test_every_symbol_has_two_rules_of_different_kinds() -> None:
    rules = rules_of(0)
    for symbol in Universe.of(SimSettings().seed, SYMBOLS).symbols:
        own = [str([rule["kind"], rule["params"]]) for rule in rules if rule["symbols"] == [symbol]]
        assert len(own) == len(set(own)) == 2


def test_forty_rules_for_all_make_the_pairs_that_the_page_tells() -> None:
    scopes = [Scope(parse_rule(raw, AlertsSettings()), {}) for raw in rules_of(40)]
    symbols = Universe.of(SimSettings().seed, SYMBOLS).symbols
    assert sum(scope.concerns("sim", symbol) for scope in scopes for symbol in symbols) == 20_960


def test_the_file_of_rules_says_what_the_rules_say() -> None:
    rules = rules_of(40)
    assert tomllib.loads(toml_of(rules))["alerts"]["rules"] == rules


def _found(**others: Any) -> dict[str, Any]:
    found = {
        "cores": {"alerts": 0.4},
        "send_to_alert": {"p99_ms": 90.0},
        "missing": 0,
        "lag_growth_per_s": 3.0,
    }
    return {**found, **others}


def test_targets_are_met_by_what_is_below_them() -> None:
    told = targets(_found(), 20_000)
    assert told["alerts_cores"] == {"below": 1.0, "measured": 0.4, "is_met": True}
    assert told["send_to_alert_p99_ms"] == {"below": 250, "measured": 90.0, "is_met": True}
    assert not targets(_found(cores={"alerts": 1.0}), 20_000)["alerts_cores"]["is_met"]


@pytest.mark.parametrize("others", [{"missing": 1}, {"lag_growth_per_s": 200.0}])
def test_no_target_is_met_while_alerts_are_missing_or_the_lag_grows(others: dict[str, Any]) -> None:
    assert not any(told["is_met"] for told in targets(_found(**others), 20_000).values())


def test_without_alerts_their_latency_meets_nothing() -> None:
    assert not targets(_found(send_to_alert={"p99_ms": None}), 20_000)["send_to_alert_p99_ms"]["is_met"]
