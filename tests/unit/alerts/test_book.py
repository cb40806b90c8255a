"""Rules of the file and of pages together."""

from __future__ import annotations

from typing import Any

import pytest

from ticktrail.alerts.book import RuleBook
from ticktrail.alerts.watch import RuleWatch
from ticktrail.config import AlertsSettings
from ticktrail.errors import UsageError
from ticktrail.store import StoredRule
from ticktrail.testing import FakeClock

FILE: dict[str, Any] = {"name": "file", "kind": "halt"}
PAGE: dict[str, Any] = {"name": "page", "kind": "price_crosses", "params": {"price": 5}}


class Store:
    """The table of rules."""

    def __init__(self) -> None:
        self.rows: dict[str, tuple[str | None, int | None]] = {}

    def rules(self) -> list[StoredRule]:
        return [StoredRule(name, *row) for name, row in self.rows.items()]

    def put_rule(self, name: str, rule: str, before: str | None) -> bool:
        found, muted = self.rows.get(name, (None, None))
        if found == before:
            self.rows[name] = (rule, muted)
        return found == before

    def drop_rule(self, name: str) -> None:
        self.rows.pop(name, None)

    def mute_rule(self, name: str, until_ns: int | None) -> None:
        self.rows[name] = (self.rows.get(name, (None, None))[0], until_ns)

    def acknowledge(self, id_: str, now_ns: int) -> bool:
        return id_ == "known" and now_ns > 0


def book(store: Store) -> RuleBook:
    stored: Any = store
    return RuleBook(stored, AlertsSettings(rules=(FILE,)), FakeClock())


def test_a_rule_of_a_page_begins_two_seconds_later_wherever_it_claims_to_come_from() -> None:
    rules = book(Store())
    made = rules.add({**PAGE, "source": "file", "active_from_ns": 5, "muted_until_ns": 7})
    assert made.source == "page"
    assert made.active_from_ns == FakeClock().now_ns() + 2 * 10**9
    assert made.muted_until_ns is None
    assert [rule.name for rule in rules.rules()] == ["file", "page"]
    assert rules.rules()[1] == made
    with pytest.raises(UsageError, match="already"):
        rules.add(PAGE)
    with pytest.raises(UsageError, match="already"):
        rules.add({**FILE})


def test_rules_are_changed_and_dropped_but_not_those_of_the_file() -> None:
    store = Store()
    rules = book(store)
    rules.add(PAGE)
    assert rules.replace("page", {**PAGE, "params": {"price": 6}}).params == {"price": 6}
    for name, told in (("file", "stands in ticktrail.toml"), ("none", "no rule")):
        with pytest.raises(UsageError, match=told):
            rules.replace(name, {**PAGE})
        with pytest.raises(UsageError, match=told):
            rules.delete(name)
    rules.delete("page")
    assert [rule.name for rule in rules.rules()] == ["file"]


def test_a_change_that_another_page_overtook_is_refused() -> None:
    store = Store()
    rules = book(store)
    rules.add(PAGE)
    put = store.put_rule

    def overtaken(name: str, rule: str, before: str | None) -> bool:
        store.rows[name] = ("another", None)
        return put(name, rule, before)

    store.put_rule = overtaken  # type: ignore[method-assign]
    with pytest.raises(UsageError, match="somebody else"):
        rules.replace("page", PAGE)


def test_every_rule_can_be_muted_and_again_be_heard() -> None:
    rules = book(Store())
    rules.add(PAGE)
    for name in ("file", "page"):
        rules.mute(name, 99)
    assert [rule.muted_until_ns for rule in rules.rules()] == [99, 99]
    rules.mute("file", None)
    assert [rule.muted_until_ns for rule in rules.rules()] == [None, 99]
    with pytest.raises(UsageError, match="no rule"):
        rules.mute("none", 1)


def test_what_is_stored_and_no_rule_any_more_is_left_out() -> None:
    store = Store()
    store.rows = {"bad": ("{", None), "old": ('{"name": "old", "kind": "gone"}', None)}
    assert [rule.name for rule in book(store).rules()] == ["file"]


def test_acknowledging() -> None:
    book(Store()).acknowledge("known")
    with pytest.raises(UsageError, match="no alert"):
        book(Store()).acknowledge("x")


def test_the_watch_sees_changes_and_does_not_count_mutes_as_one() -> None:
    store = Store()
    rules = book(store)
    clock = FakeClock(auto_advance=False)
    watch = RuleWatch(rules, clock)
    try:
        first = watch.version
        rules.mute("file", 50)
        watch.refresh()
        assert watch.version == first
        assert watch.is_muted("file", 49)
        assert not watch.is_muted("file", 50)
        rules.add(PAGE)
        watch.refresh()
        assert watch.version == first + 1
        assert [scope.rule.name for scope in watch.scopes] == ["file", "page"]
    finally:
        clock.advance(10)
        watch.close()
