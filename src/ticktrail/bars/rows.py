"""Trades and bars in the making, as packed rows.

Inside a bar builder rows are appended, joined, split by time and sorted, over and over, all their fields
together. NumPy moves a packed row of 48 bytes with one copy if it does not know of the fields (measured: in
5–11 ns, against 47–180 field by field), and in one call instead of six where polls are small. Hence the views
as void, opaque bytes, below.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from ticktrail.model import Array, Columns, Trade

__all__ = [
    "Rows",
    "among",
    "candle_rows",
    "join",
    "ordered",
    "packed_trades",
    "run_starts",
    "take",
    "text_width",
    "trade_rows",
    "unique",
]

Rows = npt.NDArray[np.void]

_TRADE_FIELDS = (("ts_ns", "<i8"), ("event_id", "<i8"), ("price", "<f8"), ("size", "<f8"), ("flags", "<i8"))
_CANDLE_FIELDS = (
    ("ts_open_ns", "<i8"),
    ("open", "<f8"),
    ("high", "<f8"),
    ("low", "<f8"),
    ("close", "<f8"),
    ("volume", "<f8"),
    ("vwap", "<f8"),
    ("trades", "<i8"),
    ("flags", "<i8"),
    ("revision", "<i8"),
)


def text_width(column: Array) -> int:
    """Round a text column's width up to whole 8-byte words, by which symbols are compared."""
    return max(8, -(-column.dtype.itemsize // 8) * 8)


def trade_rows(trades: Columns[Trade]) -> Rows:
    """Pack what bars need of trades; shape ``(n,)``."""
    width = text_width(trades["symbol"])
    rows = np.empty(len(trades), dtype=[("symbol", f"S{width}"), *_TRADE_FIELDS])
    for name in rows.dtype.names or ():
        rows[name] = trades[name]
    return rows


def packed_trades(symbol: str, columns: Mapping[str, Array]) -> Rows:
    """Pack trades of one symbol from their columns; none where there are no columns."""
    name = np.array([symbol.encode()])
    count = len(columns["ts_ns"]) if columns else 0
    rows = np.empty(count, dtype=[("symbol", f"S{text_width(name)}"), *_TRADE_FIELDS])
    if count:
        rows["symbol"] = name[0]
        for field, _ in _TRADE_FIELDS:
            rows[field] = columns[field]
    return rows


def candle_rows(symbols: Array, n: int) -> Rows:
    """Make room for `n` bars with these symbols, the other fields not yet set."""
    rows = np.empty(n, dtype=[("symbol", f"S{text_width(symbols)}"), *_CANDLE_FIELDS])
    rows["symbol"] = symbols
    return rows


def take(rows: Rows, which: Array) -> Rows:
    """Select rows by indices or by a boolean mask."""
    opaque = rows.view(f"V{rows.itemsize}")
    chosen: Rows = (opaque[which] if which.dtype == bool else opaque.take(which)).view(rows.dtype)
    return chosen


def join(parts: Sequence[Rows]) -> Rows:
    """Put rows behind one another; at least one part is needed. The widest symbols set the width."""
    if len(parts) == 1:
        return parts[0]
    dtype = max((part.dtype for part in parts), key=lambda dtype: dtype.itemsize)
    opaque = f"V{dtype.itemsize}"
    joined: Rows = np.concatenate([part.astype(dtype, copy=False).view(opaque) for part in parts])
    return joined.view(dtype)


def ordered(rows: Rows, keys: tuple[str, ...]) -> Rows:
    """Sort by symbol (in a fixed order, not the alphabet's), then by one or two integer fields, stably."""
    words = _words(rows)
    order = np.argsort(words[0], kind="stable") if len(words) == 1 else np.lexsort(words)
    grouped = take(rows, order)
    # Within a symbol, trades nearly always come in order already; a look is cheaper than a second sort.
    if (_same_symbol(grouped) & ~_rising([grouped[key] for key in keys])).any():
        fields = [grouped[key] for key in reversed(keys)]
        grouped = take(grouped, np.lexsort((*fields, *_words(grouped))))
    return grouped


def unique(rows: Rows, keys: tuple[str, ...]) -> Rows:
    """Sort as `ordered` does and keep, of rows with equal symbol and keys, the one that came last."""
    rows = ordered(rows, keys)
    repeated = _same_symbol(rows)
    for key in keys:
        repeated &= rows[key][1:] == rows[key][:-1]
    return take(rows, np.append(~repeated, True)) if repeated.any() else rows


def run_starts(rows: Rows, values: Array) -> npt.NDArray[np.intp]:
    """Find where symbol or value change, in rows sorted by both; at least one row is needed."""
    changed = ~_same_symbol(rows) | (values[1:] != values[:-1])
    return np.concatenate(([0], np.flatnonzero(changed) + 1))


def among(rows: Rows, symbols: Array) -> npt.NDArray[np.bool_]:
    """Tell which rows have one of these symbols."""
    if rows.dtype["symbol"].itemsize == 8 and text_width(symbols) == 8:
        return np.isin(_words(rows)[0], symbols.astype("S8").view("<u8"))
    return np.isin(rows["symbol"], symbols)


def _words(rows: Rows) -> list[Array]:
    symbols = rows["symbol"]
    count = symbols.dtype.itemsize // 8
    words = symbols.view([(str(index), "<u8") for index in range(count)])
    return [words[str(index)] for index in range(count)]


def _same_symbol(rows: Rows) -> npt.NDArray[np.bool_]:
    words = _words(rows)
    same: npt.NDArray[np.bool_] = words[0][1:] == words[0][:-1]
    for word in words[1:]:
        same &= word[1:] == word[:-1]
    return same


def _rising(keys: list[Array]) -> npt.NDArray[np.bool_]:
    first, *others = keys
    if not others:
        rising: npt.NDArray[np.bool_] = first[1:] >= first[:-1]
        return rising
    strictly: npt.NDArray[np.bool_] = first[1:] > first[:-1]
    strictly |= (first[1:] == first[:-1]) & _rising(others)
    return strictly
