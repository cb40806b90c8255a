"""What each kind of rule compares, and how it tells people."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np

from ticktrail.alerts.kinds import (
    BarCondition,
    Lag,
    NewExtreme,
    PercentMove,
    PriceCrosses,
    SigmaMove,
    Silent,
    Spread,
    VolumeSpike,
    VwapCross,
)
from ticktrail.alerts.pairs import Leg
from ticktrail.alerts.rules import Scope
from ticktrail.clock import NS_PER_SECOND
from ticktrail.model import TEXT_BYTES_MAX, Alert

__all__ = ["alert_id", "leg_text", "legs_of", "make_alert"]

# Above zero by the least that can be told.
_TINY = 5e-324
_NAME_SHOWN = 40


def legs_of(scope: Scope) -> list[Leg]:  # noqa: PLR0911 (one for each kind)
    """Split a rule into the comparisons that it makes; none for kinds of single events."""
    params, interval = scope.params, scope.rule.interval
    match params:
        case PriceCrosses():
            return [
                Leg(scope, name, ("price",), sign, params.price) for name, sign in _ways(params.direction)
            ]
        case VwapCross():
            return [Leg(scope, name, ("vwap",), sign, sign * _TINY) for name, sign in _ways(params.direction)]
        case PercentMove():
            ways = _ways(params.direction)
            return [Leg(scope, name, (name, params.window_s), 1, params.percent) for name, _ in ways]
        case SigmaMove():
            key = ("sigma", params.window_s)
            return [
                Leg(scope, name, key, sign, sign * params.sigmas) for name, sign in _ways(params.direction)
            ]
        case NewExtreme():
            name = "high" if scope.rule.kind == "new_high" else "low"
            return [Leg(scope, "up", (name,), 1, max(params.by_percent, _TINY))]
        case Spread():
            return [Leg(scope, "up", ("spread", params.unit), 1, params.at_least)]
        case Lag():
            return [Leg(scope, "up", ("lag",), 1, params.at_least_ms)]
        case Silent():
            return [Leg(scope, "up", ("silence",), 1, params.seconds)]
        case VolumeSpike():
            spike = ("spike", interval, params.days, params.days_min, params.volume_min)
            return [Leg(scope, "up", spike, 1, params.times)]
        case BarCondition():
            return [_bar_leg(scope, params)]
        case _:
            return []


def alert_id(identity: str, feed: str, symbol: str, subject: str, ts_ns: int) -> str:
    """Make an alert's id: 16 digits of its time, a dash, 20 of a hash. Stored for ever: never to be changed.

    Parameters
    ----------
    identity
        The rule's.
    subject
        What set it off, and the leg.
    ts_ns
        Of the alert; ids are in the order of time.
    """
    text = f"{identity}\0{feed}\0{symbol}\0{subject}"
    digest = hashlib.blake2b(text.encode(), digest_size=10).hexdigest()
    return f"{ts_ns & (1 << 64) - 1:016x}-{digest}"


def make_alert(
    scope: Scope,
    name: tuple[str, str],
    subject: str,
    times_ns: tuple[int, int],
    numbers: tuple[float, float],
    text: str,
) -> Alert:
    """Make the alert of a rule.

    Parameters
    ----------
    name
        Feed and symbol.
    times_ns
        The event's, and the log's.
    numbers
        Value and threshold.
    text
        What happened; symbol and rule are added.
    """
    rule = scope.rule
    feed, symbol = name
    message = f"{symbol} {text} ({rule.name[:_NAME_SHOWN]})"
    return Alert(
        id=alert_id(scope.identity, feed, symbol, subject, times_ns[0]),
        rule=rule.name,
        rule_kind=rule.kind,
        feed=feed,
        symbol=symbol,
        ts_ns=times_ns[0],
        recorded_ns=times_ns[1],
        value=numbers[0],
        threshold=0.0 if abs(numbers[1]) == _TINY else numbers[1],
        is_quiet=int(_is_quiet(scope, times_ns[0])),
        severity=rule.severity,
        notify=",".join(rule.notify),
        message=_short(message),
    )


def leg_text(leg: Leg, value: float) -> str:
    """Say what a leg saw."""
    kind, unit = leg.scope.rule.kind, leg.scope.kind.unit
    threshold = 0.0 if abs(leg.threshold) == _TINY else leg.threshold
    say = _TEXTS.get(kind)
    if say is not None:
        return say(leg, value, threshold)
    return f"{kind} {_number(value)}{unit}, limit {_number(threshold)}{unit}"


def _bar_leg(scope: Scope, params: BarCondition) -> Leg:
    than = params.than_field or ""
    key = (
        "bars",
        scope.rule.interval,
        params.field,
        params.aggregate,
        params.window,
        than,
        params.than_aggregate if than else "",
        params.than_window if than else 0,
        params.times if than else 1.0,
    )
    value = 0.0 if params.value is None else params.value
    sign = 1 if params.op in (">", ">=") else -1
    if params.op in (">", "<"):
        value = float(np.nextafter(value, sign * math.inf))
    return Leg(scope, "up" if sign > 0 else "down", key, sign, value)


def _ways(direction: str) -> Sequence[tuple[str, int]]:
    return {"up": [("up", 1)], "down": [("down", -1)]}.get(direction, [("up", 1), ("down", -1)])


def _is_quiet(scope: Scope, ts_ns: int) -> bool:
    return any(
        quiet.holds(_local_minute(ts_ns // (60 * NS_PER_SECOND), quiet.zone)) for quiet in scope.rule.quiet
    )


@lru_cache(maxsize=4_096)
def _local_minute(minute: int, zone: str) -> int:
    local = datetime.fromtimestamp(minute * 60, tz=UTC).astimezone(ZoneInfo(zone))
    return local.hour * 60 + local.minute


def _short(text: str) -> str:
    """Cut to what a record's text may have; what cannot be seen is left out."""
    text = "".join(char for char in text if char.isprintable())
    if len(text.encode()) <= TEXT_BYTES_MAX:
        return text
    return text.encode()[: TEXT_BYTES_MAX - 3].decode(errors="ignore") + "…"


def _number(value: float) -> str:
    return f"{value:.6g}" if abs(value) < 1e5 else f"{value:,.2f}"


def _crossed(leg: Leg, value: float, threshold: float) -> str:
    way = "rose to" if leg.sign > 0 else "fell to"
    return f"{way} {_number(value)}, across {_number(threshold)}"


def _moved(leg: Leg, value: float, _threshold: float) -> str:
    window = leg.series[1]
    if leg.series[0] == "sigma":
        return f"moved {value:+.2f} σ in {window} s"
    return f"{'up' if leg.direction == 'up' else 'down'} {value:.2f} % within {window} s"


_TEXTS: dict[str, Callable[[Leg, float, float], str]] = {
    "price_crosses": _crossed,
    "percent_move": _moved,
    "sigma_move": _moved,
    "vwap_cross": lambda leg, value, _: (
        f"{'above' if leg.sign > 0 else 'below'} its VWAP by {abs(value):.3f} %"
    ),
    "new_high": lambda _, value, __: f"new high of the day, by {value:.3f} %",
    "new_low": lambda _, value, __: f"new low of the day, by {value:.3f} %",
    "volume_spike": lambda leg, value, _: f"{leg.series[1]} volume {value:.1f} times the usual",
    "spread": lambda leg, value, _: (
        f"spread {_number(value)} {'bps' if leg.series[1] == 'bps' else ''}".strip()
    ),
    "lag": lambda _, value, __: f"{value:.0f} ms behind the venue",
    "silent_feed": lambda _, value, __: f"silent for {value:.0f} s",
    "bar_condition": lambda leg, value, threshold: (
        f"{leg.series[1]} bars: {leg.series[3]} {leg.series[2]} "
        + (
            f"differs by {_number(value)}"
            if leg.series[5]
            else f"{_number(value)}, limit {_number(threshold)}"
        )
    ),
}
