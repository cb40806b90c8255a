"""Values of trades and quotes, as rules hold them against their thresholds.

What counts: records in the order of their own times. One that is older than another of its symbol before
it in the log (a late print, the second capture that lags) is passed over, and so is a repeat. Of trades, the
sale conditions say what they may set, as for bars. Nothing counts that is an hour ahead of its receive time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from ticktrail.alerts.pairs import SeriesKey
from ticktrail.alerts.rings import MoveRing, SigmaRing
from ticktrail.alerts.scan import Floats, Ints, Runs, SymbolTable, first_of_each
from ticktrail.bars.step import AHEAD_NS_MAX
from ticktrail.clock import NS_PER_MS
from ticktrail.model import Array, Columns, Flag, Quote, Trade

__all__ = ["Chunk", "QuoteValues", "TickValues", "TradeValues"]

_NEVER_NS = -(1 << 62)
_NO_DAY = -(1 << 31)
IsNew = Callable[[int, str, str], None]


@dataclass(frozen=True)
class Chunk:
    """Records that count, sorted by symbol; arrays of shape ``(n,)``.

    Parameters
    ----------
    symbols
        Numbers in the symbol table.
    rows
        Their places in the columns that were read.
    """

    symbols: Ints
    rows: Ints
    ts_ns: Ints
    event_id: Ints


class TickValues:
    """What trades and quotes have in common: symbols, order, repeats.

    Parameters
    ----------
    series
        Those wanted.
    """

    fills: ClassVar[dict[str, tuple[Any, ...]]] = {}

    def __init__(self, series: Sequence[SeriesKey]) -> None:
        self.rings = {key: ring for key in series if (ring := _ring_of(key)) is not None}
        fills = {"last_ns": (np.int64, _NEVER_NS), **self.fills}
        for key, ring in self.rings.items():
            fills |= ring.fills(f"{_prefix(key)}")
        self.table = SymbolTable(fills)
        none = np.empty(0, dtype=np.int64)
        # Of all records of the last poll, also of those that do not count.
        self.numbers: Ints = none
        # The newest records of each symbol, those of its last time: whoever repeats them is no news.
        self.newest = (none, none, none)

    def take(self, columns: Columns[Any], is_good: npt.NDArray[np.bool_], is_new: IsNew) -> Chunk:
        """Find the records that count."""
        numbers = self.table.number(columns["feed"], columns["symbol"], is_new)
        self.numbers = numbers
        is_good = is_good & (columns["ts_ns"] <= columns["ts_recv_ns"] + AHEAD_NS_MAX)
        rows = np.flatnonzero(is_good)
        rows = rows[np.argsort(numbers[rows], kind="stable")]
        symbols, ts_ns = numbers[rows], columns["ts_ns"][rows]
        if not len(rows):
            return Chunk(symbols, rows, ts_ns, columns["event_id"][rows])
        runs = Runs.of(symbols, symbols, np.arange(len(self.table["last_ns"])))
        last_ns = self.table["last_ns"]
        _, before, newest_ns = runs.scan(np.maximum, last_ns[runs.symbol], ts_ns, _NEVER_NS)
        last_ns[runs.symbol] = newest_ns
        kept = ts_ns >= before
        rows, symbols, ts_ns = rows[kept], symbols[kept], ts_ns[kept]
        known = len(self.newest[0])
        every = (
            np.concatenate((self.newest[0], symbols)),
            np.concatenate((self.newest[1], ts_ns)),
            np.concatenate((self.newest[2], columns["event_id"][rows])),
        )
        first = first_of_each(*every)
        is_newest = first & (every[1] == last_ns[every[0]])
        self.newest = (every[0][is_newest], every[1][is_newest], every[2][is_newest])
        fresh = first[known:]
        return Chunk(symbols[fresh], rows[fresh], ts_ns[fresh], columns["event_id"][rows[fresh]])

    def ring_state(self, key: SeriesKey) -> dict[str, Array]:
        """Give a ring's arrays by their own names."""
        prefix = _prefix(key)
        return {
            name.removeprefix(prefix): array
            for name, array in self.table.arrays.items()
            if name.startswith(prefix)
        }


class TradeValues(TickValues):
    """Series of trades: ``price``, ``vwap``, ``high``, ``low``, ``lag``, ``up W``, ``down W``, ``sigma W``.

    Prices in the currency, lag in milliseconds, the others in percent, sigma in standard deviations.
    """

    fills: ClassVar[dict[str, tuple[Any, ...]]] = {
        "day": (np.int64, _NO_DAY),
        "turnover": (np.float64, 0.0),
        "volume": (np.float64, 0.0),
        "high": (np.float64, -np.inf),
        "low": (np.float64, np.inf),
    }

    def read(
        self, trades: Columns[Trade], append_ns: Ints, is_new: IsNew
    ) -> tuple[Chunk, Mapping[SeriesKey, Floats]]:
        """Take the trades of a poll, with the log's times of shape ``(n,)``."""
        prices, flags = trades["price"], trades["flags"]
        is_good = (prices > 0) & np.isfinite(prices) & (flags & Flag.SUSPICIOUS == 0)
        chunk = self.take(trades, is_good, is_new)
        rows = chunk.rows
        if not len(rows):
            return chunk, {}
        prices, flags = prices[rows], flags[rows]
        priced: Floats = np.where(flags & Flag.UPDATES_LAST, prices, np.nan)
        lag = (append_ns[rows] - trades["ts_event_ns"][rows]) / NS_PER_MS
        values: dict[SeriesKey, Floats] = {
            ("price",): priced,
            ("lag",): np.where(flags & Flag.NO_RECV_TIME, np.nan, lag),
        }
        self._read_day(chunk, trades, priced, values)
        done = set()
        for key, ring in self.rings.items():
            if _prefix(key) in done:
                continue
            done.add(_prefix(key))
            state = self.ring_state(key)
            if isinstance(ring, MoveRing):
                up, down = ring.read(state, chunk.symbols, chunk.ts_ns, priced)
                values["up", key[1]], values["down", key[1]] = up, down
            else:
                values[key] = ring.read(state, chunk.symbols, chunk.ts_ns, priced)
        return chunk, values

    def _read_day(
        self, chunk: Chunk, trades: Columns[Trade], priced: Floats, values: dict[SeriesKey, Floats]
    ) -> None:
        table, rows = self.table, chunk.rows
        prices, flags = trades["price"][rows], trades["flags"][rows]
        runs = Runs.of(chunk.symbols, trades["day"][rows].astype(np.int64), table["day"])
        sizes = np.where(
            (flags & Flag.UPDATES_VOLUME != 0) & (trades["size"][rows] > 0), trades["size"][rows], 0.0
        )

        def run_through(name: str, ufunc: np.ufunc, added: Floats, fill: float) -> tuple[Floats, Floats]:
            carry = np.where(runs.continues, table[name][runs.symbol], fill)
            through, before, last = runs.scan(ufunc, carry, added, fill)
            table[name][runs.symbol[runs.is_last]] = last[runs.is_last]
            return through, before

        turnover, _ = run_through("turnover", np.add, prices * sizes, 0.0)
        volume, volume_before = run_through("volume", np.add, sizes, 0.0)
        may_set = flags & Flag.UPDATES_HIGH_LOW != 0
        _, high = run_through("high", np.maximum, np.where(may_set, prices, -np.inf), -np.inf)
        _, low = run_through("low", np.minimum, np.where(may_set, prices, np.inf), np.inf)
        table["day"][runs.symbol[runs.is_last]] = runs.key[runs.is_last]
        # Of its first trade alone the day has no average to cross.
        vwap = turnover / np.where(volume_before > 0, volume, np.nan)
        values[("vwap",)] = 100.0 * (priced - vwap) / vwap
        high = np.where(may_set & (high > 0), high, np.nan)
        low = np.where(may_set & np.isfinite(low), low, np.nan)
        values[("high",)] = 100.0 * (prices - high) / high
        values[("low",)] = 100.0 * (low - prices) / low


class QuoteValues(TickValues):
    """Series of quotes: ``spread bps`` and ``spread price``."""

    def read(self, quotes: Columns[Quote], is_new: IsNew) -> tuple[Chunk, Mapping[SeriesKey, Floats]]:
        """Take the quotes of a poll; one-sided ones have no spread."""
        bid, ask = quotes["bid_price"], quotes["ask_price"]
        is_good = (quotes["flags"] & Flag.SUSPICIOUS == 0) & ~np.isnan(bid) & ~np.isnan(ask)
        chunk = self.take(quotes, is_good, is_new)
        bid, ask = bid[chunk.rows], ask[chunk.rows]
        is_two_sided = (bid > 0) & (ask > 0)
        spread = np.where(is_two_sided, ask - bid, np.nan)
        middle = np.where(is_two_sided, (ask + bid) / 2.0, np.nan)
        return chunk, {("spread", "price"): spread, ("spread", "bps"): 10_000.0 * spread / middle}


def _ring_of(key: SeriesKey) -> MoveRing | SigmaRing | None:
    if key[0] in ("up", "down"):
        return MoveRing(int(key[1]))
    return SigmaRing(int(key[1])) if key[0] == "sigma" else None


def _prefix(key: SeriesKey) -> str:
    return f"{'sigma' if key[0] == 'sigma' else 'move'}.{key[1]}."
