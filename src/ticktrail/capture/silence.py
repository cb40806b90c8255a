"""Notices when nothing comes although something should: quiet is not dead, and a connected mute socket is.

What is usual is learnt from the feed itself, and from each symbol: the mean pause between records, over about
the last hundred of them. If records come independently of each other (a Poisson process), a pause longer than
``n m (p^(-1/n) - 1)`` has the probability p, where m is the mean of n pauses seen; here p is 10^-9, and a
silence is also three times longer than any pause of the session. Rates differ by session, so each begins to
learn anew; outside of sessions nothing is expected.

Symbols are looked at once a second, all together; what comes of one between counts as one arrival of many, so
that the cost of a record is some tens of nanoseconds.

Source of the formula: the predictive distribution of an exponential variable whose rate is estimated from n
observations is a Lomax distribution; A. Gelman et al., "Bayesian Data Analysis", 3rd ed., section 2.6.
"""

from __future__ import annotations

from random import Random
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ticktrail.capture import metrics
from ticktrail.clock import NS_PER_MS, Clock
from ticktrail.config import CaptureSettings
from ticktrail.model import Array, Columns, Status
from ticktrail.model.identity import event_ids_from_content
from ticktrail.reference import SESSION_NAMES, Market, session_codes

__all__ = ["Silence", "SilenceWatch", "longest_usual_ns"]

_P = 1e-9
_PAUSES_MAX = 100
# Fewer pauses say too little.
_PAUSES_MIN = 30
_TIMES_LONGEST = 3.0
_SYMBOLS_MAX = 100_000
# Told at once, at most; the others follow at the next checks.
_ALARMS_MAX = 20
_NEVER_NS = 1 << 62
_LEARN_EVERY_NS = 1_000 * NS_PER_MS
_MINUTE_NS = 60_000 * NS_PER_MS
_CLOSED, _REGULAR = SESSION_NAMES.index("closed"), SESSION_NAMES.index("regular")
_HALTS, _RESUMPTIONS = (b"halt", b"pause"), (b"resume", b"trading")

Floats = npt.NDArray[np.float64]


class Silence(NamedTuple):
    """What a check found.

    Parameters
    ----------
    feed_ns
        How long the feed has been silent, if that is far too long, else 0.
    symbols
        Those that are silent while the feed is not, and were not told of lately.
    """

    feed_ns: int = 0
    symbols: tuple[str, ...] = ()


def longest_usual_ns(mean_ns: Floats, pauses: Floats) -> Floats:
    """Bound the pauses that the usual ones explain; shapes ``(n,)``."""
    known = np.clip(pauses, 1.0, _PAUSES_MAX)
    bound: Floats = known * mean_ns * (_P ** (-1.0 / known) - 1.0)
    return bound


class _Pulse:
    """The usual pauses of the whole feed."""

    def __init__(self) -> None:
        self.mean_ns = 0.0
        self.pauses = 0
        self.longest_ns = 0
        self.last_ns = -1

    def beat(self, count: int, now_ns: int) -> None:
        """Learn from so many records that came at once."""
        if self.last_ns >= 0:
            pause_ns = now_ns - self.last_ns
            self.pauses += count
            share = count / max(min(self.pauses, _PAUSES_MAX), count)
            self.mean_ns += share * (pause_ns / count - self.mean_ns)
            self.longest_ns = max(self.longest_ns, pause_ns)
        self.last_ns = now_ns

    @property
    def bound_ns(self) -> int:
        """Give the longest pause that is usual."""
        known = min(self.pauses, _PAUSES_MAX)
        return int(max(known * self.mean_ns * (_P ** (-1.0 / known) - 1.0), _TIMES_LONGEST * self.longest_ns))


class _Rates:
    """The usual pauses of many sources: arrays of one length, by their number."""

    def __init__(self, count: int) -> None:
        self.mean_ns = np.zeros(count)
        self.pauses = np.zeros(count)
        self.longest_ns = np.zeros(count)
        self.last_ns = np.full(count, -1, dtype=np.int64)  # -1: nothing came yet

    def grow(self, count: int) -> None:
        more = _Rates(count - len(self.mean_ns))
        for name, column in vars(self).items():
            setattr(self, name, np.concatenate([column, getattr(more, name)]))

    def arrived(self, who: Any, counts: Array, now_ns: int) -> None:
        """Learn from so many arrivals of each."""
        last_ns = self.last_ns[who]
        pause_ns = np.where(last_ns < 0, 0, now_ns - last_ns).astype(np.float64)
        # The first arrival ends no pause.
        counts = counts - (last_ns < 0)
        share = counts / np.maximum(
            np.minimum(self.pauses[who] + counts, np.maximum(_PAUSES_MAX, counts)), 1.0
        )
        self.mean_ns[who] += share * (pause_ns / np.maximum(counts, 1) - self.mean_ns[who])
        self.pauses[who] += counts
        self.longest_ns[who] = np.maximum(self.longest_ns[who], pause_ns)
        self.last_ns[who] = now_ns

    def excess(self, now_ns: int, least_ns: int) -> npt.NDArray[np.bool_]:
        """Tell whose silence is longer than anything usual."""
        bound_ns = np.maximum(longest_usual_ns(self.mean_ns, self.pauses), _TIMES_LONGEST * self.longest_ns)
        silent_ns = now_ns - self.last_ns
        is_known = (self.pauses >= _PAUSES_MIN) & (self.last_ns >= 0)
        result: npt.NDArray[np.bool_] = is_known & (silent_ns > np.maximum(bound_ns, least_ns))
        return result


class SilenceWatch:
    """Of one feed. Used by one thread at a time.

    Parameters
    ----------
    feed
        Its name.
    market
        Whose sessions say when something is to be expected.
    """

    def __init__(self, feed: str, market: Market, settings: CaptureSettings, clock: Clock) -> None:
        self._feed = feed
        self._market = market
        self._settings = settings
        self._clock = clock
        self._random = Random()  # noqa: S311  (no secret depends on it)
        self._codes: npt.NDArray[np.int64] = np.empty(0, np.int64)  # sorted
        self._numbers: npt.NDArray[np.int64] = np.empty(0, np.int64)
        self._names: list[bytes] = []
        self._arrived: list[Array] = []
        self._session, self._minute = -1, -1
        self._alarms = 0
        self._next_learn_ns = 0
        self._is_connected = False
        # From when on records would be the end of a silence.
        self._silent_from_ns = _NEVER_NS
        self._has_come_back = False
        self._begin_session()

    def _begin_session(self) -> None:
        count = len(self._names)
        self._whole = _Pulse()
        self._each = _Rates(count)
        self._told_ns = np.full(count, np.iinfo(np.int64).min // 2)
        self._halted = np.zeros(count, np.bool_)
        self._since_ns = self._clock.monotonic_ns()

    @property
    def is_open(self) -> bool:
        """Whether records are to be expected now."""
        return self._session != _CLOSED

    def connected(self) -> None:
        """Begin to wait anew: what was not connected was not silent."""
        self._is_connected = True
        self._since_ns = self._clock.monotonic_ns()
        self._each.last_ns[self._each.last_ns >= 0] = self._since_ns
        if self._whole.last_ns >= 0:
            self._whole.last_ns = self._since_ns

    def disconnected(self) -> None:
        """Expect nothing until `connected`."""
        self._is_connected = False
        self._silent_from_ns = _NEVER_NS

    def observe(self, columns: Columns[Any]) -> None:
        """Note that records came."""
        if not len(columns):
            return
        now_ns = self._clock.monotonic_ns()
        if now_ns > self._silent_from_ns:
            self._has_come_back = True
        self._silent_from_ns = _NEVER_NS
        self._alarms = 0
        self._whole.beat(len(columns), now_ns)
        self._arrived.append(columns["symbol"])
        if columns.record is Status:
            self._note_halts(columns)

    def came_back(self) -> bool:
        """Tell whether the records observed last ended a silence that was not told yet and is not usual."""
        has_come_back, self._has_come_back = self._has_come_back, False
        return has_come_back

    def check(self) -> Silence:
        """Look whether somebody has been silent for too long; to be called a few times a second."""
        now_ns = self._clock.monotonic_ns()
        self._look_at_session()
        is_due = now_ns >= self._next_learn_ns
        if is_due:
            self._learn(now_ns)
            self._next_learn_ns = now_ns + _LEARN_EVERY_NS
        self._silent_from_ns = _NEVER_NS
        if not self.is_open or not self._is_connected:
            return Silence()
        begin_ns = max(self._since_ns, self._whole.last_ns)
        silent_from_ns = begin_ns + self._bound_ns()
        if now_ns <= silent_from_ns:
            self._silent_from_ns = silent_from_ns
            return Silence(0, self._silent_symbols(now_ns) if is_due else ())
        self._alarms += 1
        self._since_ns = now_ns
        metrics.ALARMS.inc(feed=self._feed, scope="feed")
        return Silence(now_ns - begin_ns)

    def _look_at_session(self) -> None:
        wall_ns = self._clock.now_ns()
        if wall_ns // _MINUTE_NS == self._minute:
            return
        self._minute = wall_ns // _MINUTE_NS
        session = int(session_codes(np.array([wall_ns]), self._market)[0])
        if session != self._session:
            self._session = session
            self._begin_session()

    def _learn(self, now_ns: int) -> None:
        arrived, self._arrived = self._arrived, []
        if not arrived:
            return
        symbols = np.concatenate(arrived)
        codes = event_ids_from_content([symbols])
        distinct, counts = np.unique(codes, return_counts=True)
        places = self._places(distinct)
        if (places < 0).any():
            _, rows = np.unique(codes, return_index=True)
            self._enter(distinct[places < 0], symbols[rows[places < 0]])
            places = self._places(distinct)
        is_known = places >= 0
        self._each.arrived(self._numbers[places[is_known]], counts[is_known], now_ns)

    def _places(self, codes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        if not len(self._codes):
            return np.full(len(codes), -1)
        places = np.minimum(np.searchsorted(self._codes, codes), len(self._codes) - 1)
        return np.where(self._codes[places] == codes, places, -1)

    def _enter(self, codes: npt.NDArray[np.int64], symbols: Array) -> None:
        known = len(self._names)
        codes, symbols = codes[: _SYMBOLS_MAX - known], symbols[: _SYMBOLS_MAX - known]
        self._names += symbols.tolist()
        self._codes = np.concatenate([self._codes, codes])
        self._numbers = np.concatenate([self._numbers, np.arange(known, len(self._names))])
        order = np.argsort(self._codes)
        self._codes, self._numbers = self._codes[order], self._numbers[order]
        self._each.grow(len(self._names))
        added = len(codes)
        self._told_ns = np.concatenate([self._told_ns, np.full(added, np.iinfo(np.int64).min // 2)])
        self._halted = np.concatenate([self._halted, np.zeros(added, np.bool_)])

    def _bound_ns(self) -> int:
        """Give how long the feed may be silent now."""
        most_ns = self._settings.silence_ms_max * NS_PER_MS
        bound_ns = most_ns
        if self._whole.pauses >= _PAUSES_MIN:
            bound_ns = max(self._whole.bound_ns, self._settings.silence_ms_min * NS_PER_MS)
        elif self._session != _REGULAR:
            return _NEVER_NS
        # A venue that stays mute after a reconnect is asked less and less often.
        return max(bound_ns, min(bound_ns << min(self._alarms, 20), most_ns))

    def _silent_symbols(self, now_ns: int) -> tuple[str, ...]:
        if self._session != _REGULAR:
            return ()
        silent = self._each.excess(now_ns, self._settings.symbol_silence_ms_min * NS_PER_MS) & ~self._halted
        count = int(np.count_nonzero(silent))
        metrics.SILENT_SYMBOLS.set(count, feed=self._feed)
        if not count:
            return ()
        due = np.flatnonzero(silent & (now_ns >= self._told_ns))[:_ALARMS_MAX]
        # Jitter, so that symbols which fell silent together do not come back together for ever.
        pause_ns = self._settings.resubscribe_ms_min * NS_PER_MS
        self._told_ns[due] = [now_ns + int(pause_ns * self._random.uniform(1.0, 1.5)) for _ in due]
        metrics.ALARMS.inc(len(due), feed=self._feed, scope="symbol")
        return tuple(self._names[number].decode() for number in due.tolist())

    def _note_halts(self, columns: Columns[Any]) -> None:
        """Excuse the symbols that the venue halted, until it lets them trade again."""
        is_halt, is_end = (np.isin(columns["action"], actions) for actions in (_HALTS, _RESUMPTIONS))
        if not (is_halt | is_end).any():
            return
        self._learn(self._clock.monotonic_ns())  # so that they have numbers
        codes = event_ids_from_content([columns["symbol"]])
        places = self._places(codes)
        for row in np.flatnonzero((is_halt | is_end) & (places >= 0)).tolist():
            self._halted[self._numbers[places[row]]] = bool(is_halt[row])
