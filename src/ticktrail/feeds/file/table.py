"""Rows of CSV and Parquet, column by column, to records."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from ticktrail.errors import FileFormatError
from ticktrail.feeds.base import ALL_SYMBOLS, Rejected
from ticktrail.feeds.file.config import FileSettings, RowKind
from ticktrail.feeds.file.fields import Mask, integers, numbers, rounded_rows, texts, times_ns
from ticktrail.feeds.file.section import ROW_BITS, Section
from ticktrail.feeds.unknown import UnknownCounts
from ticktrail.model import NO_SEQUENCE, Array, Columns, Flag, Quote, Record, Trade, column_names
from ticktrail.model.conditions import is_known_condition, sale_condition_flags
from ticktrail.reference import trading_days

__all__ = ["Layout", "TableParsed", "find_layout", "to_columns"]

_REQUIRED: dict[RowKind, tuple[str, ...]] = {
    "trades": ("symbol", "ts_event_ns", "price", "size"),
    "quotes": ("symbol", "ts_event_ns", "bid_price", "bid_size", "ask_price", "ask_size"),
}
_RECORD: dict[RowKind, type[Record]] = {"trades": Trade, "quotes": Quote}
# Fields that no file may set: the feed decides them.
_OWN = frozenset({"feed", "day", "ts_ns"})
_INTEGERS = frozenset({"event_id", "sequence", "flags"})
_UNIT_SUFFIX = re.compile(r"_(ns|us|ms|s)$")

_REASONS = ("", "bad_time", "bad_number", "bad_price", "bad_size", "bad_text", "bad_symbol")

# What others call our columns, for the hint when one is missing.
_OTHER_NAMES = {
    "symbol": ("ticker", "sym", "instrument"),
    "ts_event_ns": ("timestamp", "time", "datetime", "date_time", "ts", "ts_event", "sip_timestamp"),
    "size": ("volume", "qty", "quantity", "amount", "shares"),
    "price": ("px", "last", "trade_price"),
}

# Far above any price or size on record, and far below where float64 gets coarse.
_NUMBER_MAX = 1e15


class Layout(msgspec.Struct, frozen=True):
    """Which column of a file holds what.

    Parameters
    ----------
    columns
        Field → the file's column, for those fields that the file has.
    time_unit
        Of its integer times; empty: times are ISO 8601 text or typed instants.
    ignored
        Columns that no field takes.
    """

    kind: RowKind
    columns: dict[str, str]
    time_unit: str
    ignored: tuple[str, ...]


class TableParsed(msgspec.Struct):
    """What a table's rows held; `columns` is None where no row was good."""

    columns: Columns[Any] | None
    rejected: list[Rejected]


def find_layout(names: Sequence[str], settings: FileSettings, path: str) -> Layout:
    """Match a file's columns with the fields of a record.

    Raises
    ------
    FileFormatError
        A required column is missing, or the kind cannot be told.
    """
    kind = _kind_of(names, settings, path)
    fields = [name for name in column_names(_RECORD[kind]) if name not in _OWN]
    columns = {
        field: settings.columns.get(field, field)
        for field in fields
        if settings.columns.get(field, field) in names
    }
    missing = [field for field in _REQUIRED[kind] if field not in columns]
    missing += [field for field in settings.columns if field in fields and field not in columns]
    if missing:
        raise _missing_columns(missing, names, settings, path)
    time = columns["ts_event_ns"]
    suffix = _UNIT_SUFFIX.search(time)
    unit = settings.time_unit or (suffix[1] if suffix else "")
    taken = set(columns.values())
    return Layout(kind, columns, unit, tuple(name for name in names if name not in taken))


def to_columns(
    layout: Layout,
    arrays: Mapping[str, Any],
    rows: Array,
    context: tuple[Section, FileSettings, frozenset[str], UnknownCounts],
    originals: Callable[[list[int]], list[bytes]],
) -> TableParsed:
    """Make records of a table's columns.

    Parameters
    ----------
    arrays
        Field → Arrow array of n values, for the fields of the layout.
    rows
        Shape ``(n,)``; the number of each row within its section.
    context
        The section, the feed's settings, the symbols asked for, and where to count.
    originals
        Gives the bytes of some of the n rows, for the dead letters.
    """
    section, settings, symbols, unknown = context
    values, reasons = _values(layout, arrays)
    rejected = []
    if len(bad := np.flatnonzero(reasons)):
        rejected = [
            Rejected(line, _REASONS[reasons[at]], f"row {section.first_row + rows[at] + 1} of {section.file}")
            for at, line in zip(bad.tolist(), originals(bad.tolist()), strict=True)
        ]
    good = reasons == 0
    if ALL_SYMBOLS not in symbols:
        wanted = np.isin(values["symbol"], np.array([symbol.encode() for symbol in symbols], dtype="S"))
        if unwanted := int((good & ~wanted).sum()):
            unknown.add("filtered", "symbol", count=unwanted)
        good &= wanted
    if not good.any():
        return TableParsed(None, rejected)
    values = {name: column[good] for name, column in values.items()}
    ts_event_ns = values["ts_event_ns"]
    data: dict[str, Any] = {
        "event_id": (section.tag << ROW_BITS) + section.first_row + rows[good],
        **values,
        "feed": settings.feed_name.encode(),
        "ts_ns": ts_event_ns,
        "day": trading_days(ts_event_ns, settings.zone),
        "flags": _flags(layout, values, unknown),
    }
    data.setdefault("ts_recv_ns", ts_event_ns)
    del data["rounded"]
    return TableParsed(Columns(_RECORD[layout.kind], data), rejected)


def _values(layout: Layout, arrays: Mapping[str, Any]) -> tuple[dict[str, Array], Array]:
    """Read every column; the second array tells what is wrong with each row: an index of `_REASONS`."""
    n_rows = len(next(iter(arrays.values())))
    values: dict[str, Array] = {"rounded": np.zeros(n_rows, dtype=bool)}
    reasons = np.zeros(n_rows, dtype=np.int8)
    found: Array
    for field, array in arrays.items():
        if field.startswith("ts_"):
            found, good = times_ns(array, layout.time_unit if field == "ts_event_ns" else "ns")
            reason = "bad_time"
        elif field in _INTEGERS:
            found, good = integers(array, NO_SEQUENCE if field == "sequence" else None)
            reason = "bad_number"
            good &= found >= (NO_SEQUENCE if field == "sequence" else 0)
        elif field.endswith(("price", "size")):
            found, good = numbers(array)
            good &= _plausible(field, found)
            reason = "bad_price" if field.endswith("price") else "bad_size"
            values["rounded"] |= rounded_rows(array)
        else:
            found, good = texts(array)
            reason = "bad_text"
            if field == "symbol":
                good &= found != b""
                reason = "bad_symbol"
            elif field == "side":
                found = np.where(np.isin(found, [b"B", b"S"]), found, b"N")
        values[field] = found
        reasons[~good & (reasons == 0)] = _REASONS.index(reason)
    return values, reasons


def _plausible(field: str, found: Array) -> Mask:
    # A quote's absent side has price 0; a trade always has a price.
    low = found > 0 if field == "price" else found >= 0
    mask: Mask = low & (found < _NUMBER_MAX)
    return mask


def _flags(layout: Layout, values: Mapping[str, Array], unknown: UnknownCounts) -> Array:
    if "flags" in values:
        flags = values["flags"].astype(np.int32)
    elif layout.kind == "trades":
        flags = _condition_flags(values, unknown)
    else:
        flags = np.zeros(len(values["symbol"]), dtype=np.int32)
    if "ts_recv_ns" not in values:
        flags |= int(Flag.NO_RECV_TIME)
    return flags | np.where(values["rounded"], int(Flag.ROUNDED), 0).astype(np.int32)


def _condition_flags(values: Mapping[str, Array], unknown: UnknownCounts) -> Array:
    none = np.full(len(values["symbol"]), b"")
    tapes, tape_of = _distinct(values.get("tape", none))
    conditions, condition_of = _distinct(values.get("conditions", none))
    # Both repeat over and over, so the rules are asked once per pair that occurs.
    pair_of = tape_of * len(conditions) + condition_of
    counts = np.bincount(pair_of, minlength=len(tapes) * len(conditions))
    allowed = np.zeros(len(counts), dtype=np.int32)
    for pair in np.flatnonzero(counts).tolist():
        tape, text = tapes[pair // len(conditions)], conditions[pair % len(conditions)]
        allowed[pair] = int(sale_condition_flags(tape, text))
        for condition in filter(None, text.split(",")):
            if not is_known_condition(tape, condition):
                unknown.add("condition", tape or "?", condition, count=int(counts[pair]))
    result: Array = allowed[pair_of]
    return result


def _distinct(column: Array) -> tuple[list[str], Array]:
    coded = pa.array(column, type=pa.binary()).dictionary_encode()
    codes: Array = coded.indices.to_numpy().astype(np.int64)
    return [text.decode() for text in coded.dictionary.to_pylist()], codes


def _kind_of(names: Sequence[str], settings: FileSettings, path: str) -> RowKind:
    if settings.kind != "auto":
        return settings.kind
    has = {
        kind: settings.columns.get(field, field) in names
        for kind, field in (("trades", "price"), ("quotes", "bid_price"))
    }
    if has["trades"] and has["quotes"]:
        raise FileFormatError(
            what=f"Cannot tell whether {path} holds trades or quotes",
            why="it has a price and a bid_price",
            next_step='Set kind to "trades" or "quotes".',
            path=path,
            line=1,
        )
    return "quotes" if has["quotes"] else "trades"


def _missing_columns(
    missing: Sequence[str], names: Sequence[str], settings: FileSettings, path: str
) -> FileFormatError:
    wanted = [settings.columns.get(field, field) for field in missing]
    example = ", ".join(
        f'{field} = "{_nearest(field, want, names)}"' for field, want in zip(missing, wanted, strict=True)
    )
    return FileFormatError(
        what=f"{path} lacks the column{'s' if len(wanted) > 1 else ''} {', '.join(wanted)}",
        why=f"it has {', '.join(names) or 'none'}",
        next_step=f"Name the file's own columns in the settings: columns = {{ {example} }}.",
        path=path,
        line=1,
    )


def _nearest(field: str, wanted: str, names: Sequence[str]) -> str:
    by_lower = {name.lower(): name for name in names}
    for other in (wanted, *_OTHER_NAMES.get(field, ())):
        if other.lower() in by_lower:
            return by_lower[other.lower()]
    found = difflib.get_close_matches(wanted, names, n=1, cutoff=0.5)
    return found[0] if found else "…"
