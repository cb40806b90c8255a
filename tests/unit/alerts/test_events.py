"""Halts, resumptions and gaps."""

from __future__ import annotations

from typing import Any

from ticktrail.alerts.events import EventRules
from ticktrail.alerts.rules import Scope, parse_rule
from ticktrail.config import AlertsSettings
from ticktrail.model import Gap, Status

S = 10**9


def rules(*raw: dict[str, Any]) -> EventRules:
    found = EventRules()
    found.scopes = [Scope(parse_rule({"name": each["kind"], **each}, AlertsSettings()), {}) for each in raw]
    return found


def status(action: str, at_s: int, symbol: str = "A") -> Status:
    return Status(
        feed="f",
        symbol=symbol,
        day=1,
        ts_ns=at_s * S,
        event_id=at_s,
        ts_event_ns=at_s * S,
        ts_recv_ns=at_s * S,
        limit_up=float("nan"),
        limit_down=float("nan"),
        action=action,
        reason="T12\x1b",
    )


def test_a_halt_and_its_end_are_told_once_each() -> None:
    events = rules({"kind": "halt", "cooldown_s": 0}, {"kind": "resume", "cooldown_s": 0})
    log = [
        ("trading", 1),
        ("halt", 2),
        ("pause", 3),
        ("bands", 4),
        ("resume", 5),
        ("trading", 6),
        ("halt", 4),
    ]
    told = [alert for action, at_s in log for alert in events.read_status(status(action, at_s), 0)]
    assert [(alert.rule, alert.ts_ns) for alert in told] == [("halt", 2 * S), ("resume", 5 * S)]
    assert told[0].message == "A halted: T12 (halt)"


def test_cool_down_is_by_symbol_and_survives_a_restart() -> None:
    events = rules({"kind": "halt", "cooldown_s": 100})
    assert len(events.read_status(status("halt", 1), 0)) == 1
    assert len(events.read_status(status("halt", 1, "B"), 0)) == 1
    other = rules({"kind": "halt", "cooldown_s": 100})
    other.restore(events.state())  # type: ignore[arg-type]
    other.read_status(status("resume", 2), 0)
    assert other.read_status(status("halt", 3), 0) == []
    assert other.suppressed == 1


def gap(to_s: int, **others: Any) -> Gap:
    values: dict[str, Any] = {"feed": "f", "channel": "*", "day": 0, "cause": "silence", **others}
    return Gap(from_ns=10 * S, to_ns=to_s * S, ts_recv_ns=0, **values)


def test_a_gap_is_told_once_when_it_is_long_enough() -> None:
    events = rules({"kind": "gap", "params": {"seconds_min": 5, "causes": ["silence"]}, "cooldown_s": 0})
    log = [gap(12), gap(16), gap(30, state="closed"), gap(40, cause="overflow"), gap(40, state="covered")]
    told = [alert for each in log for alert in events.read_gap(each, 7)]
    assert [(alert.value, alert.ts_ns, alert.recorded_ns) for alert in told] == [(6.0, 10 * S, 7)]
