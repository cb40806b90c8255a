"""The market itself: pure, seeded, deterministic.

It is made in stretches of 50 ms of its own time and handed out by `advance` up to any moment, so equal
settings and an equal start give equal messages, however the time is sliced.
"""

from __future__ import annotations

import math

import numpy as np

from ticktrail.clock import NS_PER_SECOND
from ticktrail.feeds.sim.bars import BarMaker
from ticktrail.feeds.sim.config import SimSettings
from ticktrail.feeds.sim.incidents import Incidents
from ticktrail.feeds.sim.messages import QUOTE, TRADE, Event, MarketBatch, Rows
from ticktrail.feeds.sim.prices import PriceWalk
from ticktrail.feeds.sim.session import Session
from ticktrail.feeds.sim.trades import Stretch, TickMaker
from ticktrail.feeds.sim.universe import Universe

__all__ = ["STRETCH_NS", "MarketModel"]

STRETCH_NS = 50_000_000
_STRETCH_S = STRETCH_NS / NS_PER_SECOND
_STRETCHES_PER_SECOND = NS_PER_SECOND // STRETCH_NS

# How much busier or quieter than the session's shape the market is: exp of an Ornstein-Uhlenbeck process
# with this deviation and memory, of mean 1.
_ACTIVITY_SIGMA = 0.25
_ACTIVITY_MEMORY_S = 20.0


class MarketModel:
    """All that happens, in order.

    Parameters
    ----------
    settings
        Those of the exchange; only what concerns the market is read.
    start_ns
        When it begins, nanoseconds since 1970.

    Attributes
    ----------
    universe
        The listed symbols.
    is_over
        Whether `settings.trades_max` or `settings.seconds` is reached and everything was handed out.
    """

    def __init__(self, settings: SimSettings, start_ns: int) -> None:
        self.universe = Universe.of(settings.seed, settings.symbols)
        self._settings = settings
        self._start_ns = start_ns
        self._rng = np.random.Generator(np.random.SFC64(settings.seed))
        self._session = Session(settings.session_s)
        self._prices = PriceWalk(self.universe, settings.daily_volatility)
        self._ticks = TickMaker(self.universe, self._prices, settings.late_per_million)
        self._incidents = Incidents(self.universe, self._prices, settings)
        self._bars = BarMaker(settings.symbols) if settings.bars else None
        self._activity = 0.0
        self._stretches = 0
        self._trades_made = 0
        self._end_ns = start_ns + int(settings.seconds * NS_PER_SECOND) if settings.seconds else None
        self._made_all = False
        self._trades: Rows = np.empty(0, TRADE)
        self._quotes: Rows = np.empty(0, QUOTE)
        self._events: list[Event] = []

    @property
    def is_over(self) -> bool:
        return self._made_all and not (len(self._trades) or len(self._quotes) or self._events)

    def advance(self, to_ns: int) -> MarketBatch:
        """Hand out everything due up to and including `to_ns`, nanoseconds since 1970."""
        trades, quotes = [self._trades], [self._quotes]
        while not self._made_all and self._start_ns + self._stretches * STRETCH_NS <= to_ns:
            more_trades, more_quotes = self._make_stretch()
            trades.append(more_trades)
            quotes.append(more_quotes)
        due_trades, self._trades = _cut(trades, to_ns)
        due_quotes, self._quotes = _cut(quotes, to_ns)
        due_events = tuple(event for event in self._events if event.due_ns <= to_ns)
        self._events = self._events[len(due_events) :]
        return MarketBatch(trades=due_trades, quotes=due_quotes, events=due_events)

    def _make_stretch(self) -> tuple[Rows, Rows]:
        settings, rng = self._settings, self._rng
        since_ns = self._stretches * STRETCH_NS
        from_ns = self._start_ns + since_ns
        to_ns = from_ns + STRETCH_NS
        self._prices.step(rng, _STRETCH_S)
        begins_second = self._stretches % _STRETCHES_PER_SECOND == 0
        if begins_second:
            self._end_second()
        events = list(self._incidents.halts(rng, from_ns, _STRETCH_S))
        stretch = Stretch(
            from_ns=from_ns,
            to_ns=to_ns,
            market_start_ns=self._start_ns,
            session=self._session.number(since_ns),
            is_extended=self._session.is_extended(since_ns),
            halted=self._incidents.halted,
        )
        expected = settings.rate * _STRETCH_S * self._session.intensity(since_ns) * self._activity_factor()
        trades = self._ticks.trades(rng, int(rng.poisson(expected)), stretch)
        quotes = self._ticks.quotes(rng, int(rng.poisson(expected * settings.quotes_per_trade)), stretch)
        trades, quotes = self._bounded(trades, quotes)
        # At the stretch's last nanosecond: after all of its trades.
        events += self._incidents.amendments(rng, trades, to_ns - 1)
        if begins_second:
            events += self._incidents.bands(to_ns - 1)
        if self._bars is not None:
            events += self._bars.take(trades, to_ns - 1, is_last=self._made_all)
        self._events += events
        self._stretches += 1
        return trades, quotes

    def _bounded(self, trades: Rows, quotes: Rows) -> tuple[Rows, Rows]:
        """Cut off what lies beyond the market's end, and note whether that is reached."""
        cut_ns = self._end_ns
        most = self._settings.trades_max
        if most and self._trades_made + len(trades) >= most:
            trades = trades[: most - self._trades_made]
            full_ns = int(trades["due_ns"][-1]) + 1
            cut_ns = full_ns if cut_ns is None else min(cut_ns, full_ns)
        if cut_ns is not None:
            trades = trades[trades["due_ns"] < cut_ns]
            quotes = quotes[quotes["due_ns"] < cut_ns]
            self._made_all = cut_ns <= self._start_ns + (self._stretches + 1) * STRETCH_NS
        self._trades_made += len(trades)
        return trades, quotes

    def _end_second(self) -> None:
        if self._stretches:
            self._prices.end_second()
        keep = math.exp(-1 / _ACTIVITY_MEMORY_S)
        shock = _ACTIVITY_SIGMA * math.sqrt(1 - keep * keep) * self._rng.standard_normal()
        self._activity = keep * self._activity + shock

    def _activity_factor(self) -> float:
        if not self._settings.session_s:
            return 1.0
        return math.exp(self._activity - _ACTIVITY_SIGMA**2 / 2)


def _cut(parts: list[Rows], to_ns: int) -> tuple[Rows, Rows]:
    parts = [part for part in parts if len(part)] or parts[:1]
    rows = np.concatenate(parts) if len(parts) > 1 else parts[0]
    end = int(np.searchsorted(rows["due_ns"], to_ns, side="right"))
    return rows[:end], rows[end:]
