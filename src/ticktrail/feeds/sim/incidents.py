"""The rare: corrections, cancels, halts, price bands."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import numpy as np

from ticktrail.clock import NS_PER_SECOND
from ticktrail.feeds.sim.config import SimSettings
from ticktrail.feeds.sim.messages import Cancel, Correction, Event, Luld, Rows, Status
from ticktrail.feeds.sim.prices import CENT_E4, PriceWalk
from ticktrail.feeds.sim.universe import TAPES, Universe

__all__ = ["CORRECTED_ID_MIN", "Incidents"]

# Corrected trades get ids from here on, so that the ids of ordinary trades stay contiguous.
CORRECTED_ID_MIN = 1_000_000_000

# Stretches of trades that may still be corrected or cancelled.
_RECENT_STRETCHES = 64

_BAND = 0.05
_BANDS_EVERY_S = 30

# For news and for volatility: (status that stops, reason), each as code and text; and the status that ends
# it. The codes differ by plan. Source: Alpaca, "Real-time Stock Data", trading status codes and reason codes
# of tapes A & B (CTA) and C (UTP).
_CTA_STOPS = (
    (("2", "Trading Halt"), ("P", "News Pending")),
    (("2", "Trading Halt"), ("M", "Limit Up-Limit Down (LULD) Trading Pause")),
)
_CTA_RESUMES = ("3", "Resume")
_UTP_STOPS = (
    (("H", "Trading Halt"), ("T1", "Halt - News Pending")),
    (("P", "Volatility Trading Pause"), ("LUDP", "Volatility Trading Pause")),
)
_UTP_RESUMES = ("T", "Trading Resumption")


class Incidents:
    """Draws rare messages; remembers who is halted and which trades may still be corrected.

    Attributes
    ----------
    halted
        Shape ``(n_symbols,)``: who is.
    """

    def __init__(self, universe: Universe, prices: PriceWalk, settings: SimSettings) -> None:
        n_symbols = len(universe.symbols)
        self.halted = np.zeros(n_symbols, dtype=np.bool_)
        self._tape = universe.tape
        self._prices = prices
        self._settings = settings
        self._resume_at_ns: dict[int, tuple[int, int]] = {}
        self._recent: deque[Rows] = deque(maxlen=_RECENT_STRETCHES)
        self._corrected = 0
        self._traded = np.zeros(n_symbols, dtype=np.bool_)
        self._second = 0

    def halts(self, rng: np.random.Generator, from_ns: int, seconds: float) -> Iterator[Event]:
        """End the halts that are over and perhaps begin one, at `from_ns`."""
        over = [symbol for symbol, (until_ns, _) in self._resume_at_ns.items() if until_ns <= from_ns]
        for symbol in over:
            _, reason = self._resume_at_ns.pop(symbol)
            self.halted[symbol] = False
            yield self._status(from_ns, symbol, reason, is_over=True)
            yield self._bands(from_ns, symbol)
        if rng.random() < self._settings.halts_per_hour / 3_600 * seconds:
            symbol, reason = int(rng.integers(len(self.halted))), int(rng.integers(2))
            if not self.halted[symbol]:
                self.halted[symbol] = True
                self._resume_at_ns[symbol] = (from_ns + int(self._settings.halt_s * NS_PER_SECOND), reason)
                yield self._bands(from_ns, symbol)
                yield self._status(from_ns, symbol, reason, is_over=False)

    def amendments(self, rng: np.random.Generator, trades: Rows, at_ns: int) -> Iterator[Event]:
        """Correct and cancel earlier trades, as many as this many new trades call for, at `at_ns`."""
        n_corrections = rng.poisson(len(trades) * self._settings.corrections_per_million / 1e6)
        n_cancels = rng.poisson(len(trades) * self._settings.cancels_per_million / 1e6)
        for number in range(n_corrections + n_cancels):
            original = self._take_recent(rng)
            if original is None:
                continue
            if number < n_corrections:
                yield self._correction(rng, original, at_ns)
            else:
                yield Cancel(
                    due_ns=at_ns,
                    symbol=int(original["symbol"]),
                    ts_event_ns=at_ns,
                    venue=int(original["venue"]),
                    id=int(original["id"]),
                    price_e4=int(original["price_e4"]),
                    size=int(original["size"]),
                    action="C" if rng.random() < 0.8 else "E",
                )
        if len(trades):
            self._recent.append(trades.copy())
            self._traded[trades["symbol"]] = True

    def bands(self, at_ns: int) -> Iterator[Event]:
        """Once a second: the price bands of a thirtieth of the symbols, those that traded since."""
        self._second += 1
        for symbol in range(self._second % _BANDS_EVERY_S, len(self.halted), _BANDS_EVERY_S):
            if self._traded[symbol] and not self.halted[symbol]:
                self._traded[symbol] = False
                yield self._bands(at_ns, symbol)

    def _take_recent(self, rng: np.random.Generator) -> np.void | None:
        """Pick a recent trade that was not picked before."""
        if not self._recent:
            return None
        trades = self._recent[int(rng.integers(len(self._recent)))]
        index = int(rng.integers(len(trades)))
        if trades["id"][index] < 0:
            return None
        original: np.void = trades[index].copy()
        trades["id"][index] = -1
        return original

    def _correction(self, rng: np.random.Generator, original: np.void, at_ns: int) -> Correction:
        corrected_id, self._corrected = CORRECTED_ID_MIN + self._corrected, self._corrected + 1
        price_e4, size = int(original["price_e4"]), int(original["size"])
        if rng.random() < 0.5:
            price_e4 += CENT_E4 * int(rng.integers(1, 6))
        else:
            size += 100 * int(rng.integers(1, 6))
        return Correction(
            due_ns=at_ns,
            symbol=int(original["symbol"]),
            ts_event_ns=at_ns,
            venue=int(original["venue"]),
            conditions=int(original["conditions"]),
            original_id=int(original["id"]),
            original_price_e4=int(original["price_e4"]),
            original_size=int(original["size"]),
            corrected_id=corrected_id,
            corrected_price_e4=price_e4,
            corrected_size=size,
        )

    def _status(self, at_ns: int, symbol: int, reason: int, *, is_over: bool) -> Status:
        is_utp = TAPES[self._tape[symbol]] == "C"
        (code, text), (reason_code, reason_text) = (_UTP_STOPS if is_utp else _CTA_STOPS)[reason]
        if is_over:
            code, text = _UTP_RESUMES if is_utp else _CTA_RESUMES
        return Status(
            due_ns=at_ns,
            symbol=symbol,
            ts_event_ns=at_ns,
            code=code,
            text=text,
            reason_code=reason_code,
            reason_text=reason_text,
        )

    def _bands(self, at_ns: int, symbol: int) -> Luld:
        middle = (self._prices.bid_e4[symbol] + self._prices.ask_e4[symbol]) / 2
        return Luld(
            due_ns=at_ns,
            symbol=symbol,
            ts_event_ns=at_ns,
            up_e4=round(middle * (1 + _BAND) / CENT_E4) * CENT_E4,
            down_e4=max(CENT_E4, round(middle * (1 - _BAND) / CENT_E4) * CENT_E4),
        )
