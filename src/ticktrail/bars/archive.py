"""What a rebuild reads back from the store: trades, what was said of them afterwards, and bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from ticktrail.bars.candles import Times
from ticktrail.bars.rows import Rows
from ticktrail.model import Array, Bar, Columns, Correction

__all__ = ["Archive", "Span", "StoredTrades"]

Span = tuple[int, int]
"""From (inclusive) and to (exclusive), in nanoseconds since 1970 in UTC."""


@dataclass(frozen=True)
class StoredTrades:
    """Trades of one symbol, each identity once.

    Parameters
    ----------
    rows
        As of `ticktrail.bars.rows.trade_rows`; shape ``(n,)``.
    venues, trade_ids
        By which corrections name their trade; shape ``(n,)``.
    """

    rows: Rows
    venues: Array
    trade_ids: Array


class Archive(Protocol):
    """Where stored records are read from. All methods may block, and may raise any `TicktrailError`.

    `day` is the trading date of the records' own field; the date of a bar may be another one where a feed
    has venues of other zones.
    """

    def trades(self, feed: str, symbol: str, day: int, spans: Sequence[Span]) -> StoredTrades:
        """Read the trades of some stretches of time, in any order."""
        ...

    def find(self, feed: str, symbol: str, day: int, event_ids: Times, near_ns: Times) -> Times:
        """Find trades by their event ids.

        Parameters
        ----------
        event_ids
            Shape ``(n,)``.
        near_ns
            Shape ``(n,)``; where to look first.

        Returns
        -------
        The `ts_ns` of those that there are, in any order; more of other trades do no harm.
        """
        ...

    def corrections(self, feed: str, symbol: str, day: int) -> Columns[Correction]:
        """Read all corrections of a day."""
        ...

    def corrected_symbols(self, feed: str, day: int) -> Sequence[str]:
        """Name the symbols of which there are corrections on a day."""
        ...

    def bars(self, feed: str, symbol: str, date: int, spans: Mapping[str, Span]) -> Columns[Bar]:
        """Read the bars of a trading date that open in a span, one span per interval; by time."""
        ...
