"""Records of a poll by symbol, and what runs along each symbol's.

Everything here gives the same result however the log is cut into polls: what a symbol had so far goes in as
the carry, and running sums are added in the log's order, one after the other, never in pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ticktrail.model import Array

__all__ = ["Floats", "Ints", "Runs", "SymbolTable", "first_of_each"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
_NO_ROOM = 64


@dataclass(frozen=True)
class Runs:
    """Stretches of records with one symbol and one key, in records sorted by symbol.

    Parameters
    ----------
    symbol, key
        Shape ``(m,)``: of each run.
    continues
        Shape ``(m,)``: whether it goes on with what its symbol had before the poll.
    turn
        Shape ``(m,)``: how many runs of its symbol come before it.
    row, column
        Shape ``(n,)``: each record's run, and its place in it.
    starts
        Shape ``(m,)``: where each run begins.
    """

    symbol: Ints
    key: Ints
    continues: npt.NDArray[np.bool_]
    turn: Ints
    row: Ints
    column: Ints
    starts: Ints

    @staticmethod
    def of(symbols: Ints, keys: Ints, carried: Ints) -> Runs:
        """Find the runs.

        Parameters
        ----------
        symbols, keys
            Shape ``(n,)``, sorted by symbol.
        carried
            The last key of every symbol before, by its number.
        """
        changes = np.empty(len(symbols), dtype=bool)
        changes[:1] = True
        is_other = symbols[1:] != symbols[:-1]
        changes[1:] = is_other | (keys[1:] != keys[:-1])
        starts = np.flatnonzero(changes)
        row = np.cumsum(changes) - 1
        symbol, key = symbols[starts], keys[starts]
        is_first = np.concatenate(([True], symbol[1:] != symbol[:-1]))
        order = np.arange(len(starts))
        turn = order - np.maximum.accumulate(np.where(is_first, order, 0))
        return Runs(
            symbol=symbol,
            key=key,
            continues=is_first & (carried[symbol] == key),
            turn=turn,
            row=row,
            column=np.arange(len(symbols)) - starts[row],
            starts=starts,
        )

    @property
    def is_last(self) -> npt.NDArray[np.bool_]:
        """Whether a run is the last of its symbol; shape ``(m,)``."""
        return np.append(self.symbol[1:] != self.symbol[:-1], True)

    def scan(self, ufunc: np.ufunc, carry: Array, values: Array, fill: Any) -> tuple[Array, Array, Array]:
        """Accumulate along each run.

        Parameters
        ----------
        carry
            Shape ``(m,)``: what each run begins with.
        values
            Shape ``(n,)``.
        fill
            What changes nothing.

        Returns
        -------
        For each record what was accumulated with it, and before it; for each run the last of all.
        """
        table = np.full((len(self.starts), int(self.column.max(initial=0)) + 2), fill, dtype=values.dtype)
        table[:, 0] = carry
        table[self.row, self.column + 1] = values
        ufunc.accumulate(table, axis=1, out=table)
        return table[self.row, self.column + 1], table[self.row, self.column], table[:, -1]

    def turns(self) -> list[Ints]:
        """Give the runs that come first for their symbols, then those that come second, and so on."""
        if not self.turn.any():
            return [np.arange(len(self.turn))]
        return [np.flatnonzero(self.turn == turn) for turn in range(int(self.turn.max()) + 1)]


class SymbolTable:
    """Numbers symbols as they come, and keeps arrays by these numbers.

    Parameters
    ----------
    fills
        Name → type and initial value of each array; a shape may stand behind them.
    """

    def __init__(self, fills: dict[str, tuple[Any, ...]]) -> None:
        self.names: list[tuple[str, str]] = []
        self._numbers: dict[tuple[bytes, bytes], int] = {}
        self._fills = fills
        self.arrays: dict[str, Array] = {name: self._made(name, _NO_ROOM) for name in fills}

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, name: str) -> Array:
        return self.arrays[name]

    def number(self, feeds: Array, symbols: Array, is_new: Callable[[int, str, str], None]) -> Ints:
        """Give the numbers of some records' symbols, shapes ``(n,)``; new ones are told."""
        numbers = np.empty(len(symbols), dtype=np.int64)
        for feed in _distinct(feeds):
            rows = np.flatnonzero(feeds == feed)
            words = _words(symbols[rows])
            _, first, inverse = np.unique(words, return_index=True, return_inverse=True)
            found = np.empty(len(first), dtype=np.int64)
            for index in np.argsort(first).tolist():
                found[index] = self._number_of(feed, bytes(symbols[rows[first[index]]]), is_new)
            numbers[rows] = found[inverse]
        return numbers

    def add(self, feed: str, symbol: str) -> int:
        """Give one symbol's number."""
        return self._number_of(feed.encode(), symbol.encode(), lambda *_: None)

    def adopt(self, names: Sequence[tuple[str, str]], arrays: Mapping[str, Array]) -> None:
        """Take over what another table knew, as far as this one keeps it; only before the first symbol.

        Of arrays along time that are longer or shorter here, the newest are taken.
        """
        for feed, symbol in names:
            self.add(feed, symbol)
        for name, array in self.arrays.items():
            old = arrays.get(name)
            if old is None or not len(names):
                continue
            if old.ndim > 1:
                depth = min(old.shape[1], array.shape[1])
                array[: len(names), array.shape[1] - depth :] = old[: len(names), old.shape[1] - depth :]
            else:
                array[: len(names)] = old[: len(names)]

    def _number_of(self, feed: bytes, symbol: bytes, is_new: Callable[[int, str, str], None]) -> int:
        number = self._numbers.get((feed, symbol))
        if number is None:
            number = self._numbers[feed, symbol] = len(self.names)
            self.names.append((feed.decode(errors="replace"), symbol.decode(errors="replace")))
            for name, array in self.arrays.items():
                if number >= len(array):
                    self.arrays[name] = np.concatenate((array, self._made(name, len(array))))
            is_new(number, *self.names[number])
        return number

    def _made(self, name: str, count: int) -> Array:
        dtype, fill, *shape = self._fills[name]
        return np.full((count, *shape), fill, dtype=dtype)


def first_of_each(symbols: Ints, ts_ns: Ints, ids: Ints) -> npt.NDArray[np.bool_]:
    """Tell which records are the first with their symbol, time and id; shapes ``(n,)``."""
    order = np.lexsort((ids, ts_ns, symbols))
    same = symbols[order][1:] == symbols[order][:-1]
    same &= ts_ns[order][1:] == ts_ns[order][:-1]
    same &= ids[order][1:] == ids[order][:-1]
    first = np.ones(len(symbols), dtype=bool)
    first[order[1:][same]] = False
    return first


def _distinct(column: Array) -> list[bytes]:
    if len(column) and (column == column[0]).all():
        return [bytes(column[0])]
    return [bytes(feed) for feed in np.unique(column)]


def _words(symbols: Array) -> Array:
    """Compare short symbols as numbers, which is much faster."""
    return symbols.astype("S8").view("<u8") if symbols.dtype.itemsize <= 8 else symbols
