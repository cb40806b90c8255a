"""What a restarted bar builder must read back: the final minutes of days that are still open."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

import numpy as np

from ticktrail.bars.rows import Rows, candle_rows, take
from ticktrail.model import Array, Bar, Columns

__all__ = ["MinuteHistory", "Seeds", "bar_rows"]


class MinuteHistory(Protocol):
    """Where the final minute bars of a restarted partition are read from: the store.

    `BarBuilder.read` is the only caller, for streams that were restored and only when their first minute
    closes: `symbols` once per feed and day, `minutes` once for those and once more whenever a symbol
    turns up that was not among them. Both may block. They may raise a `Transient` error; the builder must
    then be restored anew.
    """

    def symbols(self, feed: str, day: int) -> Collection[str]:
        """Name the symbols of this partition that may have minute bars on a trading date.

        Too many cost a read each. Of one left out, a longer bar is final only if it trades again.
        """
        ...

    def minutes(self, keys: Sequence[tuple[str, str, int]]) -> Columns[Bar]:
        """Read the minute bars of these (feed, symbol, day), in any order; other intervals are ignored.

        Must give every bar that was written before the last commit of offset and state.
        """
        ...


class Seeds:
    """Loads what a restored stream needs, each symbol once.

    Parameters
    ----------
    feed, day
        The stream.
    closed_ns
        Where the stream stood when its state was committed. Later minutes are not taken from the store,
        though it may have them: they are built again.
    """

    def __init__(self, history: MinuteHistory, feed: str, day: int, closed_ns: int) -> None:
        self.closed_ns = closed_ns
        self._history = history
        self._feed = feed
        self._day = day
        self._loaded: set[str] | None = None

    def load(self, symbols: Array) -> Rows:
        """Read the minutes of these symbols, the first time of all others too. Rows of shape ``(n,)``."""
        wanted = {symbol.decode() for symbol in np.unique(symbols).tolist()}
        if self._loaded is None:
            self._loaded = set()
            wanted.update(self._history.symbols(self._feed, self._day))
        fresh = sorted(wanted - self._loaded)
        self._loaded.update(fresh)
        if not fresh:
            return candle_rows(symbols[:0], 0)
        bars = self._history.minutes([(self._feed, symbol, self._day) for symbol in fresh])
        rows = bar_rows(bars)
        of_stream = (bars["feed"] == self._feed.encode()) & (bars["day"] == self._day)
        is_minute = (bars["interval"] == b"1m") & bars["is_final"]
        return take(rows, of_stream & is_minute & (bars["ts_close_ns"] <= self.closed_ns))


def bar_rows(bars: Columns[Bar]) -> Rows:
    """Pack what longer bars need of shorter ones; shape ``(n,)``."""
    rows = candle_rows(bars["symbol"], len(bars))
    for name in rows.dtype.names or ():
        rows[name] = bars[name]
    return rows
