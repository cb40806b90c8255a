"""Trades and quotes of one short stretch of time, drawn column by column."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ticktrail.clock import NS_PER_SECOND
from ticktrail.feeds.sim.messages import (
    CLOSING,
    DERIVED,
    EXTENDED,
    LATE,
    ODD_LOT,
    OPENING,
    QUOTE,
    SWEEP,
    TRADE,
    VENUES,
    Rows,
    condition_code,
)
from ticktrail.feeds.sim.prices import CENT_E4, PriceWalk
from ticktrail.feeds.sim.universe import TAPES, Universe

__all__ = ["Stretch", "TickMaker"]

_I64 = np.int64
Mask = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.int64]

# Of all trades. About two in five are reported by FINRA's facilities (D): brokers' own executions, often at
# prices between the cents.
_VENUE_SHARE = {
    "D": 0.40, "Q": 0.16, "P": 0.09, "N": 0.07, "K": 0.08, "Z": 0.06, "V": 0.03, "U": 0.04, "J": 0.02,
    "Y": 0.015, "B": 0.008, "H": 0.012, "A": 0.005, "M": 0.003, "X": 0.005, "C": 0.002,
}  # fmt: skip
_FINRA = VENUES.index("D")
# Where each tape's symbols are listed, and so where their auctions are held: NYSE, Arca, Nasdaq.
_LISTING_VENUE = np.array([VENUES.index(letter) for letter in "NPQ"], dtype=np.uint8)

_BETWEEN_CENTS = 0.35  # of FINRA's reports
_SWEEP = 0.30  # of all others
_DERIVED = 0.01  # of FINRA's reports
_CONTINUED = 0.04  # one order filled by several trades of one instant

_LATE_NS_MIN = NS_PER_SECOND
_LATE_NS_MEAN = 8 * NS_PER_SECOND
_LATE_NS_MAX = 90 * NS_PER_SECOND

_AUCTION_LOTS_MIN, _AUCTION_LOTS_MAX = 5, 400

# Sizes and venues are drawn by index into tables this long: a draw of 16 bits and one look-up.
_TABLE_BITS = 16
_TABLE_LENGTH = 1 << _TABLE_BITS


@dataclass(frozen=True)
class Stretch:
    """One stretch of time, over which bids, asks and halts stand still.

    Parameters
    ----------
    from_ns, to_ns
        Its bounds, since 1970; the end is not part of it.
    market_start_ns
        No event is dated before this.
    session
        Which day it belongs to, from 0.
    is_extended
        Whether that day's regular session is over.
    halted
        Shape ``(n_symbols,)``.
    """

    from_ns: int
    to_ns: int
    market_start_ns: int
    session: int
    is_extended: bool
    halted: Mask


class TickMaker:
    """Draws trades and quotes; remembers each symbol's last trade id and whether its auctions were held."""

    def __init__(self, universe: Universe, prices: PriceWalk, late_per_million: float) -> None:
        n_symbols = len(universe.symbols)
        self._tape = universe.tape
        self._prices = prices
        self._late_share = late_per_million / 1e6
        self._last_id = np.zeros(n_symbols, dtype=_I64)
        self._opened_session = np.full(n_symbols, -1, dtype=_I64)
        self._closed_session = np.full(n_symbols, -1, dtype=_I64)
        self._accept, self._alias = _alias_tables(universe.share)
        table_rng = np.random.default_rng(20_130_607)
        self._sizes = _size_table(table_rng)
        self._venues = _venue_table(table_rng)
        # In shares, as Alpaca has sent them since the new round lots of 2025-11-03.
        self._displayed = (100 * np.clip(table_rng.geometric(0.25, _TABLE_LENGTH), 1, 99)).astype(np.int32)

    def trades(self, rng: np.random.Generator, count: int, stretch: Stretch) -> Rows:
        """Draw about `count` trades (fewer where symbols are halted), in the order of their times.

        Ids rise by one from trade to trade of a symbol, beginning with 1.
        """
        rows, draws = self._drawn(rng, count, stretch, TRADE, 4)
        # A continued order repeats the row before it: same symbol, same instant.
        source = np.maximum.accumulate(
            np.where(rng.random(len(rows), dtype=np.float32) < _CONTINUED, 0, np.arange(len(rows)))
        )
        for name in ("symbol", "due_ns"):
            rows[name] = rows[name][source]
        symbol, tape = rows["symbol"], self._tape[rows["symbol"]]
        rank = _rank_within(symbol)
        rows["id"] = self._last_id[symbol] + rank + 1
        rows["size"] = self._sizes[draws[0]]
        venue = self._venues[draws[1]]
        first = (rank == 0) & self._auction_due(symbol, stretch)
        self._last_id += np.bincount(symbol, minlength=len(self._last_id))

        chance = draws[2] / _TABLE_LENGTH
        # Disjoint parts of 0 … 1 decide these, so that no trade is two of them.
        late = (chance > 1 - self._late_share) & ~first
        lateness = np.minimum(_LATE_NS_MIN + rng.exponential(_LATE_NS_MEAN, len(rows)), _LATE_NS_MAX)
        ts_event_ns = rows["due_ns"] - np.where(late, lateness.astype(_I64), 0)
        late &= ts_event_ns >= stretch.market_start_ns
        rows["ts_event_ns"] = np.where(late, ts_event_ns, rows["due_ns"])
        venue[late] = _FINRA
        venue[first] = _LISTING_VENUE[tape[first]]
        is_finra = venue == _FINRA
        between = is_finra & (chance < _BETWEEN_CENTS) & ~late
        rows["price_e4"] = self._trade_prices(symbol, draws[3], between)
        rows["size"][first] = 100 * (
            _AUCTION_LOTS_MIN + draws[3][first] % (_AUCTION_LOTS_MAX - _AUCTION_LOTS_MIN)
        )

        pattern = np.where(rows["size"] < 100, ODD_LOT, 0)
        pattern += np.where(~is_finra & (chance < _SWEEP), SWEEP, 0)
        if stretch.is_extended:
            pattern += EXTENDED
        derived = is_finra & (chance >= _BETWEEN_CENTS) & (chance < _BETWEEN_CENTS + _DERIVED) & ~late
        pattern[derived] = DERIVED + (pattern[derived] & ODD_LOT)
        pattern[late] = LATE + (pattern[late] & ODD_LOT)
        pattern[first] = CLOSING if stretch.is_extended else OPENING
        rows["conditions"] = condition_code(pattern, tape)
        # CTA's letter for Nasdaq is T.
        venue[(venue == VENUES.index("Q")) & (tape != TAPES.index("C"))] = VENUES.index("T")
        rows["venue"] = venue
        return rows

    def quotes(self, rng: np.random.Generator, count: int, stretch: Stretch) -> Rows:
        """Draw about `count` quotes (fewer where symbols are halted), in the order of their times."""
        rows, draws = self._drawn(rng, count, stretch, QUOTE, 3)
        symbol = rows["symbol"]
        rows["ts_event_ns"] = rows["due_ns"]
        # One side in four stands a cent off: a venue that is not at the best price, or a new best.
        rows["bid_e4"] = self._prices.bid_e4[symbol] - np.where(draws[0] % 4 == 0, CENT_E4, 0)
        rows["ask_e4"] = self._prices.ask_e4[symbol] + np.where(draws[0] % 4 == 1, CENT_E4, 0)
        rows["bid_e4"] = np.maximum(rows["bid_e4"], CENT_E4)
        rows["bid_size"] = self._displayed[draws[1]]
        rows["ask_size"] = self._displayed[draws[2]]
        # No venue D: FINRA's facilities report trades only.
        rows["bid_venue"] = 1 + draws[1] % 7
        rows["ask_venue"] = 1 + draws[2] % 7
        return rows

    def _drawn(
        self, rng: np.random.Generator, count: int, stretch: Stretch, dtype: np.dtype[np.void], n_draws: int
    ) -> tuple[Rows, npt.NDArray[np.int32]]:
        """Draw times and symbols, without the halted; and per row `n_draws` even draws of 16 bits."""
        at_ns = rng.integers(stretch.from_ns, stretch.to_ns, count)
        at_ns.sort()
        symbol = rng.integers(0, len(self._accept), count)
        symbol = np.where(rng.random(count) < self._accept[symbol], symbol, self._alias[symbol])
        draws = rng.integers(0, _TABLE_LENGTH, (n_draws, count), dtype=np.uint16).astype(np.int32)
        if stretch.halted.any():
            trading = ~stretch.halted[symbol]
            at_ns, symbol, draws = at_ns[trading], symbol[trading], draws[:, trading]
        rows = np.zeros(len(at_ns), dtype=dtype)
        rows["due_ns"], rows["symbol"] = at_ns, symbol
        return rows, draws

    def _auction_due(self, symbol: npt.NDArray[np.uint16], stretch: Stretch) -> Mask:
        """Whether the symbol's opening (or, in extended hours, closing) print is still to come today."""
        held = self._closed_session if stretch.is_extended else self._opened_session
        due: Mask = held[symbol] < stretch.session
        held[symbol] = stretch.session
        return due

    def _trade_prices(
        self, symbol: npt.NDArray[np.uint16], draw: npt.NDArray[np.int32], between: Mask
    ) -> Numbers:
        bid, ask = self._prices.bid_e4[symbol], self._prices.ask_e4[symbol]
        price = np.where(draw % 2 == 0, bid, ask)
        price[between] = bid[between] + 1 + draw[between] % (ask[between] - bid[between] - 1)
        return price


def _rank_within(symbol: npt.NDArray[np.uint16]) -> Numbers:
    """Give each row its number among those of its symbol, from 0."""
    order = np.argsort(symbol, kind="stable")
    ordered = symbol[order]
    position = np.arange(len(symbol))
    begins = np.ones(len(symbol), dtype=np.bool_)
    begins[1:] = ordered[1:] != ordered[:-1]
    rank = np.empty(len(symbol), dtype=_I64)
    rank[order] = position - np.maximum.accumulate(np.where(begins, position, 0))
    return rank


def _alias_tables(share: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], Numbers]:
    """Prepare drawing symbols by share with two look-ups a draw.

    Source: A. J. Walker, "An Efficient Method for Generating Discrete Random Variables with General
    Distributions", ACM TOMS 3(3), 1977.
    """
    accept = share * len(share)
    alias = np.arange(len(share))
    small = [index for index in range(len(share)) if accept[index] < 1]
    large = [index for index in range(len(share)) if accept[index] >= 1]
    while small and large:
        low, high = small.pop(), large[-1]
        alias[low] = high
        accept[high] -= 1 - accept[low]
        if accept[high] < 1:
            small.append(large.pop())
    # What is left differs from 1 by rounding only.
    accept[small + large] = 1.0
    return accept, alias


def _size_table(rng: np.random.Generator) -> npt.NDArray[np.int32]:
    """Half odd lots, most of the rest one or a few round lots, some in between, few blocks."""
    kind = rng.random(_TABLE_LENGTH)
    odd = np.clip(np.exp(rng.normal(2.4, 1.3, _TABLE_LENGTH)), 1, 99)
    lots = 100 * np.clip(rng.geometric(0.6, _TABLE_LENGTH), 1, 50)
    mixed = rng.integers(101, 1_000, _TABLE_LENGTH)
    block = 100 * np.clip(np.exp(rng.normal(4.5, 0.8, _TABLE_LENGTH)), 50, 5_000).astype(_I64)
    return np.select([kind < 0.50, kind < 0.90, kind < 0.998], [odd, lots, mixed], block).astype(np.int32)


def _venue_table(rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    letters = [VENUES.index(letter) for letter in _VENUE_SHARE]
    weight = np.array(list(_VENUE_SHARE.values()))
    return rng.choice(letters, _TABLE_LENGTH, p=weight / weight.sum()).astype(np.uint8)
