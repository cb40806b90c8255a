"""Rules on single events: halts, resumptions, gaps. These are few, so each is looked at by itself."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from ticktrail.alerts.kinds import Gaps
from ticktrail.alerts.legs import make_alert
from ticktrail.alerts.pairs import NEVER_NS
from ticktrail.alerts.rules import Scope
from ticktrail.clock import NS_PER_SECOND
from ticktrail.model import Alert, Gap, Status

__all__ = ["EventRules"]

_HALTS = ("halt", "pause")
_TRADES = ("trading", "resume")
# Windows that were told of; the one told of first is forgotten first.
_TOLD_MAX = 10_000
_STATES = ("open", "closed", "permanent")


class EventRules:
    """Of one partition of the topic of statuses or of gaps.

    A halt is told once, when trading stops; a resumption, when trading goes on after a halt that was seen. A
    gap is told once, as soon as its window is as long as the rule says.
    """

    def __init__(self) -> None:
        self.scopes: Sequence[Scope] = ()
        # Feed, symbol → time of the last status, and whether trading was halted.
        self._halted: dict[tuple[str, str], tuple[int, bool]] = {}
        self._last_ns: dict[tuple[str, str, str], int] = {}
        self._told: OrderedDict[tuple[str, str], None] = OrderedDict()
        self.suppressed = 0

    def read_status(self, status: Status, append_ns: int) -> list[Alert]:
        """Take a status; bands and quotes say nothing about trading."""
        name = (status.feed, status.symbol)
        last_ns, was_halted = self._halted.get(name, (NEVER_NS, False))
        if status.action not in (*_HALTS, *_TRADES) or status.ts_ns < last_ns:
            return []
        is_halted = status.action in _HALTS
        self._halted[name] = (status.ts_ns, is_halted)
        if is_halted == was_halted:
            return []
        kind = "halt" if is_halted else "resume"
        text = f"{'halted' if is_halted else 'trades again'}: {status.reason or status.action}"
        subject = f"{kind}:{status.ts_ns}:{status.event_id}"
        return [
            make_alert(scope, name, subject, (status.ts_ns, append_ns), (float("nan"), float("nan")), text)
            for scope in self._ready(kind, name, status.ts_ns)
        ]

    def read_gap(self, gap: Gap, append_ns: int) -> list[Alert]:
        """Take a row of the ledger."""
        if gap.state not in _STATES:
            return []
        name = (gap.feed, gap.channel)
        seconds = (gap.to_ns - gap.from_ns) / NS_PER_SECOND
        subject = f"gap:{gap.from_ns}:{gap.cause}"
        made = []
        for scope in self.scopes:
            params = scope.params
            if scope.rule.kind != "gap" or not isinstance(params, Gaps) or not scope.concerns(*name):
                continue
            told = (scope.identity, f"{gap.feed}\0{gap.channel}\0{subject}")
            is_meant = not params.causes or gap.cause in params.causes
            if not is_meant or seconds < params.seconds_min or told in self._told:
                continue
            self._told[told] = None
            while len(self._told) > _TOLD_MAX:
                self._told.popitem(last=False)
            if self._has_rested(scope, name, gap.from_ns):
                text = f"gap of {seconds:.1f} s: {gap.cause}"
                numbers = (seconds, params.seconds_min)
                made.append(make_alert(scope, name, subject, (gap.from_ns, append_ns), numbers, text))
        return made

    def state(self) -> list[object]:
        """Give what is known, as plain values."""
        return [
            [[*name, *state] for name, state in self._halted.items()],
            [[*key, last_ns] for key, last_ns in self._last_ns.items()],
            [list(told) for told in self._told],
        ]

    def restore(self, state: Sequence[Sequence[Sequence[object]]]) -> None:
        """Take up what `state` gave."""
        halted, last, told = state
        self._halted = {(str(f), str(s)): (_int(ns), bool(is_halted)) for f, s, ns, is_halted in halted}
        self._last_ns = {(str(i), str(f), str(s)): _int(ns) for i, f, s, ns in last}
        self._told = OrderedDict(((str(identity), str(subject)), None) for identity, subject in told)

    def _ready(self, kind: str, name: tuple[str, str], ts_ns: int) -> list[Scope]:
        meant = [scope for scope in self.scopes if scope.rule.kind == kind and scope.concerns(*name)]
        return [scope for scope in meant if self._has_rested(scope, name, ts_ns)]

    def _has_rested(self, scope: Scope, name: tuple[str, str], ts_ns: int) -> bool:
        key = (scope.identity, *name)
        if ts_ns < self._last_ns.get(key, NEVER_NS) + int(scope.rule.cooldown_s * NS_PER_SECOND):
            self.suppressed += 1
            return False
        self._last_ns[key] = ts_ns
        return True


def _int(value: object) -> int:
    assert isinstance(value, int)
    return value
