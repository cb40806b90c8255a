"""All rules as they are now: those of ``ticktrail.toml`` and those made while it runs. What the API calls.

The latter stand in Cassandra and not in a compacted topic: a change is conditional on what its author saw, so
that two pages never overwrite each other silently; one read gives all of them; and they are kept with the
alerts that they explain. The evaluation goes on with the rules it has while the store is away.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ticktrail.alerts.rules import Rule, Scope, check_rules, parse_rule, rules_of
from ticktrail.clock import NS_PER_SECOND, Clock
from ticktrail.config import AlertsSettings
from ticktrail.errors import NotFound, UsageError
from ticktrail.store import EVERY_ALERT, AlertStore, StoredAlert, Wanted
from ticktrail.telemetry import get_logger

__all__ = ["RuleBook", "scopes_of"]

_log = get_logger("alerts")

# By then every evaluation has read a new rule, so that all begin with it at the same record.
_ACTIVE_AFTER_NS = 2 * NS_PER_SECOND
_ALERTS_MAX = 1_000


class RuleBook:
    """Reads and changes rules, and reads and acknowledges alerts. May be used from several threads.

    All methods ask the store, and raise a `TicktrailError` where it does not answer.

    Parameters
    ----------
    store
        Where rules and alerts stand.
    settings
        With the rules of the file, watchlists and targets.

    Raises
    ------
    ConfigError
        A rule of the file is wrong.
    """

    def __init__(self, store: AlertStore, settings: AlertsSettings, clock: Clock) -> None:
        self._store = store
        self._settings = settings
        self._clock = clock
        self._file = {rule.name: rule for rule in rules_of(settings)}
        self._complained: set[str] = set()

    def rules(self) -> list[Rule]:
        """List all rules by name; a page's rule never replaces one of the file."""
        found = dict(self._file)
        for stored in self._store.rules():
            if stored.name in self._file:
                rule = self._file[stored.name]
            elif stored.rule is None:
                continue
            else:
                try:
                    rule = parse_rule(msgspec.json.decode(stored.rule), self._settings)
                except (UsageError, msgspec.DecodeError) as error:
                    self._complain(stored.name, str(error))
                    continue
            found[stored.name] = msgspec.structs.replace(rule, muted_until_ns=stored.muted_until_ns)
        return sorted(found.values(), key=lambda rule: rule.name)

    def add(self, raw: Mapping[str, Any]) -> Rule:
        """Make a rule; it holds for what Kafka takes from two seconds later on.

        Raises
        ------
        UsageError
            It is no rule, or there is one of that name.
        """
        rule = self._new(raw)
        others = self.rules()
        if rule.name in {other.name for other in others}:
            raise _taken(rule.name)
        check_rules([*others, rule])
        if not self._store.put_rule(rule.name, _encoded(rule), None):
            raise _taken(rule.name)
        return rule

    def replace(self, name: str, raw: Mapping[str, Any]) -> Rule:
        """Change a rule of a page. What decides when it fires has then begun anew.

        Raises
        ------
        UsageError
            There is none of that name, it stands in the file, or the new one is no rule.
        """
        rule = self._new({**raw, "name": name})
        before = self._stored(name)
        check_rules([rule, *(other for other in self.rules() if other.name != name)])
        if not self._store.put_rule(name, _encoded(rule), before):
            raise UsageError(
                what=f"The rule {name!r} was not changed",
                why="somebody else changed it meanwhile",
                next_step="Load it again.",
            )
        return rule

    def delete(self, name: str) -> None:
        """Forget a rule of a page; its alerts are kept. Raises as `replace`."""
        self._stored(name)
        self._store.drop_rule(name)

    def mute(self, name: str, until_ns: int | None) -> Rule:
        """Let a rule notify nobody until then (None: let it again); its alerts are recorded as before.

        Raises
        ------
        UsageError
            There is no rule of that name.
        """
        for rule in self.rules():
            if rule.name == name:
                self._store.mute_rule(name, until_ns)
                return msgspec.structs.replace(rule, muted_until_ns=until_ns)
        raise _unknown(name)

    def alerts(
        self, limit: int = 200, before: str | None = None, wanted: Wanted = EVERY_ALERT
    ) -> list[StoredAlert]:
        """List the newest alerts, at most 1,000; with the id of one, those before it."""
        return self._store.read(max(1, min(limit, _ALERTS_MAX)), before, wanted)

    def acknowledge(self, id_: str) -> None:
        """Note that somebody has seen an alert.

        Raises
        ------
        UsageError
            There is none of that id.
        """
        if not self._store.acknowledge(id_, self._clock.now_ns()):
            raise NotFound(
                what=f"There is no alert {id_[:64]!r}", next_step="List them with `ticktrail alerts list`."
            )

    def scopes(self) -> list[Scope]:
        """Give all rules, ready to be evaluated."""
        return scopes_of(self.rules(), self._settings)

    def _new(self, raw: Mapping[str, Any]) -> Rule:
        given = {key: value for key, value in raw.items() if key not in ("source", "active_from_ns")}
        rule = parse_rule(given, self._settings)
        return msgspec.structs.replace(
            rule, active_from_ns=self._clock.now_ns() + _ACTIVE_AFTER_NS, muted_until_ns=None
        )

    def _stored(self, name: str) -> str:
        if name in self._file:
            raise UsageError(
                what=f"The rule {name!r} cannot be changed here",
                why="it stands in ticktrail.toml",
                next_step="Change it there and restart the stage; muting it is possible.",
            )
        for stored in self._store.rules():
            if stored.name == name and stored.rule is not None:
                return stored.rule
        raise _unknown(name)

    def _complain(self, name: str, why: str) -> None:
        if name not in self._complained:
            self._complained.add(name)
            _log.warning("alerts.rule_refused", rule=name, error=why)


def scopes_of(rules: list[Rule], settings: AlertsSettings) -> list[Scope]:
    """Resolve the watchlists of rules."""
    watchlists = {watchlist.name: watchlist.symbols for watchlist in settings.watchlists}
    return [Scope(rule, watchlists) for rule in rules]


def _encoded(rule: Rule) -> str:
    return msgspec.json.encode(rule).decode()


def _taken(name: str) -> UsageError:
    return UsageError(
        what=f"There is a rule {name!r} already", next_step="Choose another name, or change that rule."
    )


def _unknown(name: str) -> NotFound:
    return NotFound(
        what=f"There is no rule {name[:64]!r}", next_step="List them with `ticktrail alerts rules`."
    )
