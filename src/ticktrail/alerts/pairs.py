"""Rules against symbols: who is beyond its threshold, and who may fire.

Every rule on numbers is reduced to *legs*: a series of values (price, move in percent, spread, …), a sign,
a threshold, and the value at which it is released again. A leg meets each symbol that it concerns in one
*pair*. Most polls change nothing: so all pairs are screened at once, by the least and greatest value that
their symbol's series had in the poll; only the few that come to the other side of their threshold are walked
through value by value. The state of a pair follows from the values in the log's order alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ticktrail.alerts.rules import Scope
from ticktrail.alerts.scan import Floats, Ints
from ticktrail.clock import NS_PER_SECOND

__all__ = ["NEVER_NS", "Firing", "Leg", "PairState", "Pairs", "SeriesKey", "released_at"]

NEVER_NS = -(1 << 62)
_UNKNOWN, _OFF, _ON = -1, 0, 1

SeriesKey = tuple[str | int | float, ...]
# Rule's identity, direction, feed, symbol → state, time of the last alert.
PairState = dict[tuple[str, str, str, str], tuple[int, int]]


class Leg(NamedTuple):
    """One direction of a rule.

    Parameters
    ----------
    direction
        Tells the legs of a rule apart: ``"up"`` or ``"down"``.
    sign
        1: it fires at or above the threshold; -1: at or below.
    threshold
        As people see it, not multiplied by the sign.
    """

    scope: Scope
    direction: str
    series: SeriesKey
    sign: int
    threshold: float

    @property
    def release(self) -> float:
        """The value at which it may fire again, multiplied by the sign."""
        return released_at(self.sign * self.threshold, self.scope.rule.hysteresis)


class Firing(NamedTuple):
    """A leg that fired.

    Parameters
    ----------
    symbol
        Its number.
    place
        Index of the value.
    """

    leg: Leg
    symbol: int
    place: int
    value: float


def released_at(threshold: float, hysteresis: float) -> float:
    """Give the greatest value behind a threshold at which a rule is released."""
    return threshold - hysteresis if hysteresis else float(np.nextafter(threshold, -np.inf))


class Pairs:
    """All pairs of one partition and source.

    Parameters
    ----------
    legs
        In the order in which alerts of one record are given.
    states
        Of an earlier table.
    """

    def __init__(self, legs: Sequence[Leg], states: PairState | None = None) -> None:
        self.suppressed = 0
        self._legs = list(legs)
        # Of symbols that have not come yet.
        self._states = dict(states or {})
        self._names: list[tuple[str, str]] = []
        self.series: list[SeriesKey] = list(dict.fromkeys(leg.series for leg in legs))
        rows = {key: 2 * index for index, key in enumerate(self.series)}
        self._leg_row = np.array([rows[leg.series] + (leg.sign < 0) for leg in legs], dtype=np.int64)
        self._leg_on = np.array([leg.sign * leg.threshold for leg in legs], dtype=np.float64)
        self._leg_off = np.array([leg.release for leg in legs], dtype=np.float64)
        self._leg_rest = np.array([int(leg.scope.rule.cooldown_s * NS_PER_SECOND) for leg in legs], np.int64)
        self._begin = np.zeros(1, dtype=np.int64)  # of each symbol's pairs, and the end of the last's
        self._leg: Ints = np.empty(0, dtype=np.int64)
        self._symbol: Ints = np.empty(0, dtype=np.int64)
        self._state: npt.NDArray[np.int8] = np.empty(0, dtype=np.int8)
        self._last_ns: Ints = np.empty(0, dtype=np.int64)

    def __len__(self) -> int:
        return int(self._begin[-1])

    def add(self, names: Iterable[tuple[str, str]]) -> None:
        """Add symbols, in the order of their numbers."""
        legs, symbols, states, lasts, begins = [], [], [], [], []
        count = len(self)
        for feed, symbol in names:
            number = len(self._names)
            self._names.append((feed, symbol))
            for index, leg in enumerate(self._legs):
                if leg.scope.concerns(feed, symbol):
                    default = (_UNKNOWN if leg.scope.kind.is_crossing else _OFF, NEVER_NS)
                    key = (leg.scope.identity, leg.direction, feed, symbol)
                    state, last_ns = self._states.pop(key, default)
                    legs.append(index)
                    symbols.append(number)
                    states.append(state)
                    lasts.append(last_ns)
            begins.append(count + len(legs))
        self._begin = np.append(self._begin, np.array(begins, dtype=np.int64))
        self._leg = np.append(self._leg, np.array(legs, dtype=np.int64))
        self._symbol = np.append(self._symbol, np.array(symbols, dtype=np.int64))
        self._state = np.append(self._state, np.array(states, dtype=np.int8))
        self._last_ns = np.append(self._last_ns, np.array(lasts, dtype=np.int64))

    def states(self) -> PairState:
        """Give what is known of all pairs that are not as they began; also of symbols not seen lately."""
        kept = dict(self._states)
        begun = np.array([_UNKNOWN if leg.scope.kind.is_crossing else _OFF for leg in self._legs] or [0])
        changed = np.flatnonzero((self._state != begun[self._leg]) | (self._last_ns != NEVER_NS))
        for pair in changed.tolist():
            leg = self._legs[self._leg[pair]]
            key = (leg.scope.identity, leg.direction, *self._names[self._symbol[pair]])
            kept[key] = int(self._state[pair]), int(self._last_ns[pair])
        wanted = {(leg.scope.identity, leg.direction) for leg in self._legs}
        return {key: state for key, state in kept.items() if key[:2] in wanted}

    def read(self, symbols: Ints, ts_ns: Ints, values: Mapping[SeriesKey, Floats]) -> list[Firing]:
        """Take the values of a poll.

        Parameters
        ----------
        symbols, ts_ns
            Shape ``(n,)``, at least one; sorted by symbol, each symbol's in the log's order.
        values
            Shape ``(n,)`` for each of `series`; NaN where there is none.
        """
        if not self.series or not len(self):
            return []
        table = np.stack([values[key] for key in self.series])
        starts = np.flatnonzero(np.concatenate(([True], symbols[1:] != symbols[:-1])))
        present = symbols[starts]
        high = np.fmax.reduceat(table, starts, axis=1)
        low = np.fmin.reduceat(table, starts, axis=1)
        highs = np.stack([high, -low], axis=1).reshape(-1, len(present))
        lows = np.stack([low, -high], axis=1).reshape(-1, len(present))
        pairs = self._pairs_of(present)
        column = np.repeat(np.arange(len(present)), self._begin[present + 1] - self._begin[present])
        legs, state = self._leg[pairs], self._state[pairs]
        greatest, least = highs[self._leg_row[legs], column], lows[self._leg_row[legs], column]
        on, off = self._leg_on[legs], self._leg_off[legs]
        # NaN compares false: what has no value changes nothing.
        is_below, is_beyond = greatest < on, least >= on
        settled = state == _UNKNOWN
        if settled.any():
            self._state[pairs[settled & is_below]] = _OFF
            self._state[pairs[settled & is_beyond]] = _ON
            settled &= ~is_below & ~is_beyond & ~np.isnan(greatest)
        moved = settled | ((state == _OFF) & (greatest >= on)) | ((state == _ON) & (least <= off))
        firings: list[Firing] = []
        ends = np.append(starts[1:], len(symbols))
        for pair, at in zip(pairs[moved].tolist(), column[moved].tolist(), strict=True):
            leg = self._legs[self._leg[pair]]
            first, last = int(starts[at]), int(ends[at])
            line = values[leg.series][first:last].tolist()
            firings += self._walk(pair, leg, line, ts_ns[first:last].tolist(), first)
        return firings

    def _walk(self, pair: int, leg: Leg, line: list[float], ts_ns: list[int], first: int) -> list[Firing]:
        index = self._leg[pair]
        on, off, rest_ns = float(self._leg_on[index]), float(self._leg_off[index]), int(self._leg_rest[index])
        state, last_ns = int(self._state[pair]), int(self._last_ns[pair])
        fired = []
        for place, value in enumerate(line):
            if math.isnan(value):
                continue
            signed = leg.sign * value
            if state == _UNKNOWN:
                state = _ON if signed >= on else _OFF
            elif state == _OFF and signed >= on:
                state = _ON
                if ts_ns[place] >= last_ns + rest_ns:
                    last_ns = ts_ns[place]
                    fired.append(Firing(leg, int(self._symbol[pair]), first + place, value))
                else:
                    self.suppressed += 1
            elif state == _ON and signed <= off:
                state = _OFF
        self._state[pair], self._last_ns[pair] = state, last_ns
        return fired

    def _pairs_of(self, present: Ints) -> Ints:
        begins = self._begin[present]
        counts = self._begin[present + 1] - begins
        ends = np.cumsum(counts)
        pairs: Ints = np.arange(ends[-1]) - np.repeat(ends - counts - begins, counts)
        return pairs
