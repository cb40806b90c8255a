"""Bids and asks: random walks with a common factor and volatility that clusters."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ticktrail.feeds.sim.universe import Universe

__all__ = ["CENT_E4", "PriceWalk"]

CENT_E4 = 100

_DAY_S = 23_400.0
_MARKET_CORRELATION = 0.5

# GARCH(1,1) on one-second returns; their sum, 0.99, gives shocks a half-life of 69 s.
_ALPHA = 0.08
_BETA = 0.91
# Pulls prices back to where they began, so that a week-long run stays in a sensible range. 2.8 hours.
_REVERSION_PER_S = 1e-4
_PRICE_MIN, _PRICE_MAX = 1.0, 9_999.0


class PriceWalk:
    """Where every symbol is quoted.

    Parameters
    ----------
    universe
        The symbols.
    daily_volatility
        Of a typical one: standard deviation of its log return over 6.5 hours.

    Attributes
    ----------
    bid_e4, ask_e4
        Shape ``(n_symbols,)``, int64; whole cents, the ask at least one above the bid.
    """

    def __init__(self, universe: Universe, daily_volatility: float) -> None:
        n_symbols = len(universe.symbols)
        self._anchor = np.log(universe.price)
        self._log_price = self._anchor.copy()
        self._variance_mean = (daily_volatility * universe.volatility_factor) ** 2 / _DAY_S
        self._variance = self._variance_mean.copy()
        self._log_price_before = self._log_price.copy()
        # The much traded are quoted a cent wide; thin and dear ones wider.
        rank = np.arange(n_symbols)
        spread_bps = 0.5 + 6.0 * rank / max(n_symbols, 500)
        self._spread_e4 = np.maximum(1, np.rint(universe.price * spread_bps / 100)).astype(np.int64) * CENT_E4
        self._quote()

    def step(self, rng: np.random.Generator, seconds: float) -> None:
        """Let the prices walk for that long; at most a second."""
        common = rng.standard_normal()
        own = rng.standard_normal(len(self._log_price), dtype=np.float32)
        mixed = _MARKET_CORRELATION * common + np.sqrt(1 - _MARKET_CORRELATION**2) * own
        self._log_price += np.sqrt(self._variance * seconds) * mixed
        self._log_price += (self._anchor - self._log_price) * (_REVERSION_PER_S * seconds)
        self._quote()

    def end_second(self) -> None:
        """Let the second's returns set the next second's volatility."""
        returned = self._log_price - self._log_price_before
        self._variance = (
            (1 - _ALPHA - _BETA) * self._variance_mean + _ALPHA * returned**2 + _BETA * self._variance
        )
        self._log_price_before = self._log_price.copy()

    def _quote(self) -> None:
        price_e4 = np.clip(np.exp(self._log_price), _PRICE_MIN, _PRICE_MAX) * 1e4
        bid = (price_e4 - self._spread_e4 / 2) // CENT_E4 * CENT_E4
        self.bid_e4: npt.NDArray[np.int64] = np.maximum(bid.astype(np.int64), CENT_E4)
        self.ask_e4: npt.NDArray[np.int64] = self.bid_e4 + self._spread_e4
