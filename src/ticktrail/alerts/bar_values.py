"""Values of bars: aggregates over the last of each symbol, and volumes against the usual."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from ticktrail.alerts.pairs import SeriesKey
from ticktrail.alerts.scan import Floats, Runs, SymbolTable
from ticktrail.alerts.ticks import Chunk
from ticktrail.model import Bar, Columns

__all__ = ["FIELDS", "BarValues", "Usual"]

_NEVER_NS = -(1 << 62)
FIELDS = ("open", "high", "low", "close", "volume", "vwap", "trades", "range", "change_pct")


class Usual(Protocol):
    """Knows the volumes of earlier days; asked by `BarValues.read` for each bar that a rule concerns."""

    def volume(self, feed: str, symbol: str, interval: str, ts_open_ns: int, days: tuple[int, int]) -> float:
        """Give the mean volume at this time of the day over so many days, of so many at least; else NaN."""
        ...


class BarValues:
    """Series of the bars of one interval.

    Final bars count when they come for the first time and in order; later revisions and repeats do not.

    Parameters
    ----------
    interval
        Of these bars only.
    series
        ``bars FIELD AGGREGATE WINDOW THAN_FIELD THAN_AGGREGATE THAN_WINDOW TIMES`` or ``spike DAYS DAYS_MIN
        VOLUME_MIN``.
    """

    def __init__(self, interval: str, series: Sequence[SeriesKey], usual: Usual) -> None:
        self.interval = interval
        self._series = [key for key in series if key[1] == interval]
        self._usual = usual
        wanted = [int(key[4]) + int(key[7]) for key in self._series if key[0] == "bars"]
        self._depth = max([1, *wanted])
        self.table = SymbolTable(
            {
                "last_ns": (np.int64, _NEVER_NS),
                "bars": (np.float64, np.nan, self._depth, len(FIELDS)),
            }
        )

    def read(
        self, bars: Columns[Bar], is_new: Callable[[int, str, str], None]
    ) -> tuple[Chunk, Mapping[SeriesKey, Floats]]:
        """Take the bars of a poll."""
        counts = (bars["interval"] == self.interval.encode()) & bars["is_final"]
        rows = np.flatnonzero(counts)
        numbers = self.table.number(bars["feed"][rows], bars["symbol"][rows], is_new)
        order = np.argsort(numbers, kind="stable")
        rows, symbols = rows[order], numbers[order]
        ts_ns = bars["ts_open_ns"][rows]
        if len(rows):
            last_ns = self.table["last_ns"]
            runs = Runs.of(symbols, symbols, np.arange(len(last_ns)))
            _, before, newest_ns = runs.scan(np.maximum, last_ns[runs.symbol], ts_ns, _NEVER_NS)
            last_ns[runs.symbol] = newest_ns
            is_next = ts_ns > before
            rows, symbols, ts_ns = rows[is_next], symbols[is_next], ts_ns[is_next]
        # A bar is known at its end.
        chunk = Chunk(symbols, rows, bars["ts_close_ns"][rows], ts_ns)
        return chunk, self._values(bars.take(rows), chunk) if len(rows) else {}

    def _values(self, bars: Columns[Bar], chunk: Chunk) -> dict[SeriesKey, Floats]:
        values = {key: np.full(len(bars), np.nan) for key in self._series}
        fields = np.stack([_field(bars, name) for name in FIELDS], axis=1)
        every = np.arange(len(chunk.symbols))
        runs = Runs.of(chunk.symbols, every, np.full(len(self.table["last_ns"]), -1))
        ring = self.table["bars"]
        for turn in runs.turns():
            symbols = chunk.symbols[turn]
            ring[symbols, :-1] = ring[symbols, 1:]
            ring[symbols, -1] = fields[turn]
            for key in self._series:
                if key[0] == "bars":
                    values[key][turn] = self._compared(ring[symbols], key)
        for key in self._series:
            if key[0] == "spike":
                values[key] = self._spikes(bars, key)
        return values

    def _compared(self, ring: Floats, key: SeriesKey) -> Floats:
        field, aggregate, window = str(key[2]), str(key[3]), int(key[4])
        left = _aggregated(ring[:, self._depth - window :, FIELDS.index(field)], aggregate)
        if not key[5]:
            return left
        first = self._depth - window - int(key[7])
        before = ring[:, first : first + int(key[7]), FIELDS.index(str(key[5]))]
        result: Floats = left - float(key[8]) * _aggregated(before, str(key[6]))
        return result

    def _spikes(self, bars: Columns[Bar], key: SeriesKey) -> Floats:
        found = np.full(len(bars), np.nan)
        volumes = bars["volume"].tolist()
        names = zip(bars["feed"].tolist(), bars["symbol"].tolist(), bars["ts_open_ns"].tolist(), strict=True)
        for index, (feed, symbol, ts_ns) in enumerate(names):
            if volumes[index] >= float(key[4]):
                days = (int(key[2]), int(key[3]))
                usual = self._usual.volume(feed.decode(), symbol.decode(), self.interval, ts_ns, days)
                found[index] = volumes[index] / usual if usual > 0 else np.nan
            else:
                found[index] = 0.0
        return found


def _field(bars: Columns[Any], name: str) -> Floats:
    if name == "range":
        return np.asarray(bars["high"] - bars["low"])
    if name == "change_pct":
        is_known = bars["open"] > 0
        return np.asarray(100.0 * (bars["close"] - bars["open"]) / np.where(is_known, bars["open"], np.nan))
    return bars[name].astype(np.float64)


def _aggregated(bars: Floats, aggregate: str) -> Floats:
    """Reduce windows of shape ``(n, window)``; NaN where a bar is missing."""
    if aggregate == "last":
        return bars[:, -1]
    if aggregate == "first":
        return bars[:, 0]
    # Added one after the other, as plain code would.
    total: Floats = np.add.accumulate(bars, axis=1)[:, -1]
    if aggregate == "sum":
        return total
    if aggregate == "mean":
        return np.asarray(total / bars.shape[1])
    reduced: Floats = bars.min(axis=1) if aggregate == "min" else bars.max(axis=1)
    return reduced
