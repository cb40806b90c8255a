"""One stream of values with the rules that look at it, in each of its forms."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ticktrail.alerts.bar_values import BarValues, Usual
from ticktrail.alerts.legs import leg_text, make_alert
from ticktrail.alerts.pairs import Firing, Leg, Pairs, PairState, SeriesKey
from ticktrail.alerts.scan import Floats, Ints, SymbolTable
from ticktrail.alerts.ticks import Chunk, QuoteValues, TradeValues
from ticktrail.model import Alert, Array, Columns
from ticktrail.reference import Market, session_codes

__all__ = ["Found", "Silence", "Track", "TrackState", "make_values"]

_REGULAR = 2

# The row of the poll that set it off, and the alert.
Found = tuple[int, Alert]
TrackState = dict[str, Any]
Values = TradeValues | QuoteValues | BarValues


class Track:
    """Values, and the pairs that watch them.

    Parameters
    ----------
    values
        Made for the series of these legs.
    state
        Of the track before it.
    """

    def __init__(self, values: Values, legs: Sequence[Leg], state: TrackState | None = None) -> None:
        self.values = values
        self.pairs = Pairs(legs, pair_states(state))
        if state is not None:
            values.table.adopt(names_of(state), arrays_of(state))
            if not isinstance(values, BarValues):
                first, second, third = (_array(each) for each in state["newest"])
                values.newest = (first, second, third)
            self.pairs.add(values.table.names)

    def read(self, columns: Columns[Any], append_ns: Ints) -> list[Found]:
        """Take a poll's records of this kind."""
        new: list[tuple[str, str]] = []

        def is_new(_number: int, feed: str, symbol: str) -> None:
            new.append((feed, symbol))

        chunk, found = (
            self.values.read(columns, append_ns, is_new)
            if isinstance(self.values, TradeValues)
            else self.values.read(columns, is_new)
        )
        if new:
            self.pairs.add(new)
        if not len(chunk.rows):
            return []
        firings = self.pairs.read(chunk.symbols, chunk.ts_ns, found)
        return [_found(firing, chunk, self.values.table, append_ns) for firing in firings]

    def state(self) -> TrackState:
        """Give everything that is known, as plain values and bytes."""
        state = _packed(self.values.table, self.pairs)
        if not isinstance(self.values, BarValues):
            state["newest"] = [_plain(each) for each in self.values.newest]
        return state


class Silence:
    """Rules on the silence of symbols, judged at each heartbeat of their feed.

    Counted is from the symbol's last trade, or from the heartbeat that first lay in the regular session,
    whichever is later.
    """

    def __init__(
        self, legs: Sequence[Leg], market_of: Callable[[str], Market], state: TrackState | None = None
    ) -> None:
        self._market_of = market_of
        self.table = SymbolTable({"recv_ns": (np.int64, 0)})
        self.pairs = Pairs(legs, pair_states(state))
        self._since_ns: dict[str, int] = {}
        self._feeds: list[str] = []
        if state is not None:
            self.table.adopt(names_of(state), arrays_of(state))
            self._since_ns = dict(state["since"])
            self._add(self.table.names)

    def read(
        self, trades: Columns[Any], trade_rows: Ints, beats: Columns[Any], beat_rows: Ints, append_ns: Ints
    ) -> list[Found]:
        """Take a poll's trades and heartbeats, with the row of each in the poll."""
        new: list[tuple[str, str]] = []
        numbers = self.table.number(
            trades["feed"], trades["symbol"], lambda _, feed, symbol: new.append((feed, symbol))
        )
        self._add(new)
        found: list[Found] = []
        at = 0
        ends = np.searchsorted(trade_rows, beat_rows).tolist()
        rows, times_ns = beat_rows.tolist(), beats["ts_recv_ns"].tolist()
        for end, row, feed, time_ns in zip(ends, rows, beats["feed"].tolist(), times_ns, strict=True):
            np.maximum.at(self.table["recv_ns"], numbers[at:end], trades["ts_recv_ns"][at:end])
            at = end
            found += self._beat(feed.decode(), time_ns, row, int(append_ns[row]))
        np.maximum.at(self.table["recv_ns"], numbers[at:], trades["ts_recv_ns"][at:])
        return found

    def _beat(self, feed: str, time_ns: int, row: int, append_ns: int) -> list[Found]:
        (code,) = session_codes(np.array([time_ns]), self._market_of(feed)).tolist()
        if code != _REGULAR:
            self._since_ns.pop(feed, None)
            return []
        since_ns = self._since_ns.setdefault(feed, time_ns)
        symbols = np.array([n for n, name in enumerate(self._feeds) if name == feed], dtype=np.int64)
        last_ns = self.table["recv_ns"][symbols]
        symbols, last_ns = symbols[last_ns > 0], last_ns[last_ns > 0]
        if not len(symbols):
            return []
        seconds: Floats = (time_ns - np.maximum(last_ns, since_ns)) / 1e9
        count = np.zeros(len(symbols), dtype=np.int64)
        chunk = Chunk(symbols, count + row, count + time_ns, last_ns)
        # Index 0 of the times is enough for all: they are one heartbeat's.
        firings = self.pairs.read(symbols, chunk.ts_ns, {("silence",): seconds})
        return [_found(firing, chunk, self.table, append_ns) for firing in firings]

    def state(self) -> TrackState:
        """Give everything that is known, as plain values and bytes."""
        return {**_packed(self.table, self.pairs), "since": self._since_ns}

    def _add(self, names: Sequence[tuple[str, str]]) -> None:
        self.pairs.add(names)
        self._feeds += [feed for feed, _ in names]


def make_values(name: str, series: Sequence[SeriesKey], usual: Usual) -> Values:
    """Make the values of a track: of trades, of quotes, or of an interval's bars."""
    if name == "trades":
        return TradeValues(series)
    return QuoteValues(series) if name == "quotes" else BarValues(name, series, usual)


def _found(firing: Firing, chunk: Chunk, table: SymbolTable, append_ns: Ints | int) -> Found:
    leg, place = firing.leg, firing.place
    ts_ns, event_id, row = int(chunk.ts_ns[place]), int(chunk.event_id[place]), int(chunk.rows[place])
    recorded_ns = append_ns if isinstance(append_ns, int) else int(append_ns[row])
    # A silence is one however often it is looked at.
    subject = (
        f"{leg.direction}:{event_id}" if leg.series == ("silence",) else f"{leg.direction}:{ts_ns}:{event_id}"
    )
    alert = make_alert(
        leg.scope,
        table.names[firing.symbol],
        subject,
        (ts_ns, recorded_ns),
        (firing.value, leg.threshold),
        leg_text(leg, firing.value),
    )
    return row, alert


def pair_states(state: TrackState | None) -> PairState:
    """Read the states of pairs out of a track's state."""
    if state is None:
        return {}
    return {(i, d, feed, symbol): (on, last_ns) for i, d, feed, symbol, on, last_ns in state["pairs"]}


def names_of(state: TrackState) -> list[tuple[str, str]]:
    """Read the symbols out of a track's state."""
    return [(feed, symbol) for feed, symbol in state["names"]]


def arrays_of(state: TrackState) -> Mapping[str, Array]:
    """Read the arrays by symbol out of a track's state."""
    return {name: _array(packed) for name, packed in state["arrays"].items()}


def _packed(table: SymbolTable, pairs: Pairs) -> TrackState:
    return {
        "names": [list(name) for name in table.names],
        "arrays": {name: _plain(array[: len(table)]) for name, array in table.arrays.items()},
        "pairs": [[*key, *value] for key, value in pairs.states().items()],
    }


def _plain(array: Array) -> list[Any]:
    return [array.dtype.str, list(array.shape), np.ascontiguousarray(array).tobytes()]


def _array(packed: Sequence[Any]) -> Array:
    dtype, shape, data = packed
    return np.frombuffer(data, dtype=dtype).reshape(shape).copy()
