"""Rules: what people write, checked before anything else sees it.

A rule's name and its message go to terminals, pages and other people's chats. So all texts are limited, and
none may hold control characters or others that cannot be seen.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from ticktrail.alerts.kinds import KINDS, Kind, Params
from ticktrail.config import AlertsSettings
from ticktrail.errors import ConfigError, UsageError
from ticktrail.model import TEXT_BYTES_MAX

__all__ = ["RULES_MAX", "Quiet", "Rule", "Scope", "check_rules", "parse_rule", "rule_dict", "rules_of"]

# What the target of one core was measured with, twice.
RULES_MAX = 2_000
_NAME_BYTES_MAX = 64
_SYMBOLS_MAX = 1_000
# Each window keeps sixty prices of every symbol.
_WINDOWS_MAX = 32
_TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")

Severity = Literal["info", "warning", "critical"]
Interval = Literal["1s", "1m", "5m", "1h", "1d"]


class Quiet(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    """Hours of the day in which nobody is to be notified.

    Parameters
    ----------
    from_, to
        ``"22:00"``; where `to` is not later, it is that of the next day.
    zone
        IANA name.
    """

    from_: str
    to: str
    zone: str = "America/New_York"

    def __post_init__(self) -> None:
        for text in (self.from_, self.to):
            if not _TIME.fullmatch(text):
                raise ValueError(f"a time is written like 22:00, not {text[:20]!r}")
        try:
            ZoneInfo(self.zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"there is no time zone {self.zone[:40]!r}") from None

    def holds(self, minute: int) -> bool:
        """Tell whether a local minute of the day is quiet."""
        first, last = (int(text[:2]) * 60 + int(text[3:]) for text in (self.from_, self.to))
        return first <= minute < last if first < last else minute >= first or minute < last


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=False):
    """A rule as it is written; `parse_rule` makes them.

    Parameters
    ----------
    name
        Tells rules apart.
    kind
        A key of `ticktrail.alerts.kinds.KINDS`.
    feed
        A feed's name, or ``"*"``.
    symbols
        Canonical symbols, ``"@name"`` for a watchlist, or ``"*"``.
    params
        What the kind takes.
    interval
        Of the bars, for kinds that look at bars.
    cooldown_s
        After an alert, nothing more of the same rule and symbol for so long in the events' time.
    hysteresis
        How far the value must come back behind the threshold before the rule may fire again, in the
        value's unit.
    quiet
        Hours without notifications; alerts are recorded nevertheless.
    notify
        Names of targets in ``[[alerts.targets]]``.
    muted_until_ns
        No notifications before this, nanoseconds since 1970.
    source
        ``"file"`` or ``"page"``.
    active_from_ns
        It holds for records that Kafka took from then on, nanoseconds since 1970.
    """

    name: str
    kind: str
    feed: str = "*"
    symbols: tuple[str, ...] = ("*",)
    params: dict[str, Any] = {}
    interval: Interval = "1m"
    cooldown_s: Annotated[float, msgspec.Meta(ge=0, le=31_536_000)] = 60.0
    hysteresis: Annotated[float, msgspec.Meta(ge=0, le=1e15)] = 0.0
    quiet: tuple[Quiet, ...] = ()
    severity: Severity = "warning"
    notify: tuple[str, ...] = ()
    is_enabled: bool = True
    muted_until_ns: int | None = None
    source: Literal["file", "page"] = "file"
    active_from_ns: int = 0


class Scope:
    """A rule with everything that its evaluation needs.

    Parameters
    ----------
    watchlists
        Name → symbols.
    """

    def __init__(self, rule: Rule, watchlists: Mapping[str, Sequence[str]]) -> None:
        self.rule = rule
        self.kind: Kind = KINDS[rule.kind]
        self.params: Params = msgspec.convert(rule.params, self.kind.params)
        self._any = "*" in rule.symbols
        listed = [symbol for symbol in rule.symbols if not symbol.startswith("@")]
        for name in (symbol[1:] for symbol in rule.symbols if symbol.startswith("@")):
            listed += watchlists[name]
        self._symbols = frozenset(listed)

    @cached_property
    def identity(self) -> str:
        """What makes it this rule and no other, in 16 hexadecimal digits: everything that decides."""
        rule = self.rule
        decisive = (
            rule.name,
            rule.kind,
            rule.feed,
            sorted(rule.symbols),
            msgspec.to_builtins(self.params),
            rule.interval,
            rule.cooldown_s,
            rule.hysteresis,
        )
        text = msgspec.json.encode(decisive, order="deterministic")
        return hashlib.blake2b(text, digest_size=8).hexdigest()

    def concerns(self, feed: str, symbol: str) -> bool:
        """Tell whether it holds for a symbol; a whole feed, ``"*"``, is a matter of all rules of the feed."""
        if self.rule.feed not in ("*", feed):
            return False
        return self._any or symbol == "*" or symbol in self._symbols


def parse_rule(raw: Mapping[str, Any] | Rule, settings: AlertsSettings, source: str = "page") -> Rule:
    """Check a rule as it came from a file or a page.

    Raises
    ------
    UsageError
        It says what is wrong with it, and what would be right.
    """
    if isinstance(raw, Rule):
        raw = rule_dict(raw)
    name = raw.get("name")
    label = f"The rule {name!r}" if isinstance(name, str) and _is_name(name) else "A rule"
    kind = raw.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        shown = f"{kind[:40]!r}" if isinstance(kind, str) else "missing or no text"
        raise UsageError(
            what=f"{label} is of no known kind",
            why=f"its kind is {shown}",
            next_step=f"Kinds are {', '.join(KINDS)}.",
        )
    try:
        rule = msgspec.convert({**raw, "source": source}, Rule)
    except (msgspec.ValidationError, ValueError) as error:
        raise _wrong(label, str(error), "See `ticktrail alerts rules --help`.") from None
    _check_texts(rule, settings)
    try:
        params = msgspec.convert(rule.params, KINDS[kind].params)
    except (msgspec.ValidationError, ValueError) as error:
        fields = ", ".join(field.name for field in msgspec.structs.fields(KINDS[kind].params)) or "nothing"
        raise _wrong(f"{label}: its params", str(error), f"The kind {kind} takes {fields}.") from None
    numbers = [rule.cooldown_s, rule.hysteresis, *_numbers(params)]
    if not all(math.isfinite(number) for number in numbers):
        raise _wrong(label, "a number is infinite or NaN", "Give finite numbers.")
    return rule


def rules_of(settings: AlertsSettings) -> list[Rule]:
    """Check the rules of ``ticktrail.toml``.

    Raises
    ------
    ConfigError
        One is wrong, or two have one name.
    """
    try:
        rules = [parse_rule(raw, settings, "file") for raw in settings.rules]
        check_rules(rules)
    except UsageError as error:
        raise ConfigError(
            what=error.what,
            why=error.why,
            next_step=error.next_step,
            key="alerts.rules",
            source="ticktrail.toml",
        ) from error
    return rules


def check_rules(rules: Iterable[Rule]) -> None:
    """Check that rules go together.

    Raises
    ------
    UsageError
        Two have one name, or there are too many of them or of their windows.
    """
    found = list(rules)
    names = [rule.name for rule in found]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise _wrong(f"The rule {repeated[0]!r}", "there are two of this name", "Give each its own name.")
    if len(found) > RULES_MAX:
        raise _wrong("The rules", f"there are {len(found)}", f"At most {RULES_MAX} are evaluated.")
    windows = {
        (rule.kind, rule.params["window_s"]) for rule in found if rule.kind in ("percent_move", "sigma_move")
    }
    if len(windows) > _WINDOWS_MAX:
        raise _wrong(
            "The rules",
            f"they have {len(windows)} different windows",
            f"Let rules share windows; at most {_WINDOWS_MAX} are kept.",
        )


def rule_dict(rule: Rule) -> dict[str, Any]:
    """Give a rule as plain values, as pages and files have it."""
    found: dict[str, Any] = msgspec.to_builtins(rule)
    return found


def _check_texts(rule: Rule, settings: AlertsSettings) -> None:
    label = "A rule"
    if not _is_name(rule.name):
        raise _wrong(
            f"{label}'s name",
            f"it must have 1 to {_NAME_BYTES_MAX} bytes of visible characters, without slashes",
            "Choose another name.",
        )
    label = f"The rule {rule.name!r}"
    texts = [rule.feed, *rule.symbols, *rule.notify]
    if not all(text and text.isprintable() and len(text.encode()) <= _NAME_BYTES_MAX for text in texts):
        raise _wrong(
            label,
            f"feed, symbols and targets must have 1 to {_NAME_BYTES_MAX} bytes of visible characters",
            "Mend them.",
        )
    if not 1 <= len(rule.symbols) <= _SYMBOLS_MAX:
        raise _wrong(label, f"it has {len(rule.symbols)} symbols", f'Give 1 to {_SYMBOLS_MAX}, or "*".')
    lists = {watchlist.name for watchlist in settings.watchlists}
    if unknown := [symbol for symbol in rule.symbols if symbol.startswith("@") and symbol[1:] not in lists]:
        known = ", ".join(f"@{name}" for name in sorted(lists)) or "none"
        raise _wrong(label, f"there is no watchlist {unknown[0]}", f"Watchlists of the settings: {known}.")
    targets = {target.name for target in settings.targets}
    if strangers := [name for name in rule.notify if name not in targets]:
        known = ", ".join(sorted(targets)) or "none"
        raise _wrong(label, f"there is no target {strangers[0]}", f"Targets of the settings: {known}.")
    if len(",".join(rule.notify).encode()) > TEXT_BYTES_MAX:
        raise _wrong(label, "its targets' names are too long together", "Notify fewer targets.")


def _is_name(name: str) -> bool:
    is_short = 0 < len(name.encode("utf-8", "surrogatepass")) <= _NAME_BYTES_MAX
    return is_short and name.isprintable() and name == name.strip() and "/" not in name


def _numbers(params: Params) -> list[float]:
    values = (getattr(params, name) for name in params.__struct_fields__)
    return [value for value in values if isinstance(value, float)]


def _wrong(what: str, why: str, next_step: str) -> UsageError:
    return UsageError(what=f"{what} cannot be taken", why=why.replace("`", ""), next_step=next_step)
