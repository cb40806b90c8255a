"""LEAN tick rows to records, for whole frames at once.

Trade row: ``ms, price × 10⁴, size, exchange letter, condition bit flags (hex), suspicious 0/1``. Quote
row: ``ms, bid × 10⁴, bid size, ask × 10⁴, ask size, exchange letter, condition, suspicious``, usually one
side per row, the absent one 0. Times are milliseconds since midnight in New York; newer files have
decimals there and in the sizes.

Source: QuantConnect/Lean, ``Common/Data/Market/Tick.cs`` and ``Common/Util/LeanData.cs``; which condition
bits keep a trade out of OHLC was found by comparing bars rebuilt from ticks with the bars delivered.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv

from ticktrail.clock import NS_PER_MS
from ticktrail.feeds.base import Rejected
from ticktrail.feeds.file.config import RowKind
from ticktrail.feeds.file.order import time_order
from ticktrail.feeds.file.section import Block, Section
from ticktrail.feeds.unknown import UnknownCounts
from ticktrail.model import Array, Columns, Flag, Quote, Trade
from ticktrail.model.venues import MIC_OF_LETTER
from ticktrail.reference import day_of_date, local_midnight_ns

__all__ = ["ZONE", "LeanParsed", "line_time_ms", "parse_lean"]

ZONE = "America/New_York"

# A day of 25 hours, when daylight saving ends.
_MS_MAX = 90_000_000
_PRICE_SCALE = 10_000.0

# Trades with any of these bits set no open, high, low or close (odd lots, averages, out of sequence).
_NO_OHLC = 0x20 | 0x40 | 0x80 | 0x200 | 0x1000000 | 0x2000000 | 0x4000000
_SETS_OHLC = int(Flag.UPDATES_LAST | Flag.UPDATES_HIGH_LOW)

# Blocks of nothing but these bytes take the fast path; anything odd is looked at line by line.
_PLAIN_BYTES = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef,\n"

# 15 digits are what float64 holds exactly, and more than any price × 10⁴ or size has.
_MS = r"0*\d{1,8}(?:\.\d{1,6})?"
_PRICE = r"0*\d{1,15}"
_SIZE = r"0*\d{1,15}(?:\.\d{1,6})?"
_EXCHANGE = r"[A-Z]{0,8}"
_CONDITIONS = r"[0-9A-Fa-f]{0,8}"
_SUSPICIOUS = r"[01]"
_NUMBER_MAX = 10**15 - 1

# Column, pattern, type on the fast path, type where there are decimals.
_TEXT = pa.dictionary(pa.int32(), pa.string())
_Column = tuple[str, str, pa.DataType, pa.DataType]
_COLUMNS: dict[RowKind, tuple[_Column, ...]] = {
    "trades": (
        ("ms", _MS, pa.int64(), pa.float64()),
        ("price", _PRICE, pa.int64(), pa.int64()),
        ("size", _SIZE, pa.int64(), pa.float64()),
        ("exchange", _EXCHANGE, _TEXT, _TEXT),
        ("conditions", _CONDITIONS, _TEXT, _TEXT),
        ("suspicious", _SUSPICIOUS, pa.int8(), pa.int8()),
    ),
    "quotes": (
        ("ms", _MS, pa.int64(), pa.float64()),
        ("bid_price", _PRICE, pa.int64(), pa.int64()),
        ("bid_size", _SIZE, pa.int64(), pa.float64()),
        ("ask_price", _PRICE, pa.int64(), pa.int64()),
        ("ask_size", _SIZE, pa.int64(), pa.float64()),
        ("exchange", _EXCHANGE, _TEXT, _TEXT),
        ("conditions", _CONDITIONS, _TEXT, _TEXT),
        ("suspicious", _SUSPICIOUS, pa.int8(), pa.int8()),
    ),
}
_LINES = {
    kind: re.compile(",".join(pattern for _, pattern, _, _ in columns).encode())
    for kind, columns in _COLUMNS.items()
}
_EXCHANGE_TEXT = re.compile(_EXCHANGE)
_CONDITIONS_TEXT = re.compile(_CONDITIONS)


class _Rows(msgspec.Struct):
    """Rows of all blocks: numbers by name, each ``(n,)``; texts as codes into their distinct values."""

    numbers: dict[str, Array]
    exchanges: list[str]
    conditions: list[str]


class LeanParsed(msgspec.Struct):
    """What LEAN blocks held; `columns` is None where no row was good."""

    columns: Columns[Any] | None
    rejected: list[Rejected]


def line_time_ms(line: bytes) -> float | None:
    """Read the time of one row, milliseconds since midnight in New York; None where there is none."""
    try:
        ms = float(line.partition(b",")[0])
    except ValueError:
        return None
    return ms if 0 <= ms <= _MS_MAX else None


def parse_lean(kind: RowKind, blocks: Sequence[Block], feed: str, unknown: UnknownCounts) -> LeanParsed:
    """Read blocks of one kind, in the order of their frames; count what is not known.

    Returns
    -------
    Every line is a record, a rejected line, or counted as blank. Records are in the order of their
    frames, within a frame in the order of time; rows of one file and one time keep the file's order.
    """
    payloads = [_closed(block.payload) for block in blocks]
    counts = np.array([payload.count(b"\n") for payload in payloads], dtype=np.int64)
    starts = np.cumsum(counts) - counts
    block_of = np.repeat(np.arange(len(blocks)), counts)
    row_in_block = np.arange(len(block_of)) - np.repeat(starts, counts)
    parsed = LeanParsed(None, [])
    text = b"".join(payloads)
    rows = (
        None if text.translate(None, _PLAIN_BYTES) else _tokenise(kind, text, len(block_of), decimals=False)
    )
    if rows is None:
        good = [
            (start + row, line)
            for block, payload, start in zip(blocks, payloads, starts.tolist(), strict=True)
            for row, line in _good_lines(kind, block.section, payload, (parsed.rejected, unknown))
        ]
        kept = np.array([row for row, _ in good], dtype=np.int64)
        block_of, row_in_block = block_of[kept], row_in_block[kept]
        rows = _tokenise(kind, b"".join(line + b"\n" for _, line in good), len(good), decimals=True)
    if rows is not None and len(block_of):
        rows.numbers |= {"block": block_of, "row": row_in_block}
        parsed.columns = _to_columns(kind, blocks, rows, feed, unknown)
    return parsed


def _closed(payload: bytes) -> bytes:
    return payload if payload.endswith(b"\n") or not payload else payload + b"\n"


def _tokenise(kind: RowKind, text: bytes, n_rows: int, *, decimals: bool) -> _Rows | None:
    """Cut text into columns; None where a line is not plainly a good row of this kind."""
    if n_rows == 0:
        return None
    columns = _COLUMNS[kind]
    try:
        table = pa_csv.read_csv(
            pa.BufferReader(text),
            read_options=pa_csv.ReadOptions(
                use_threads=False, column_names=[name for name, *_ in columns], block_size=len(text) + 1
            ),
            parse_options=pa_csv.ParseOptions(quote_char=False, ignore_empty_lines=False),
            convert_options=pa_csv.ConvertOptions(
                column_types={column[0]: column[3 if decimals else 2] for column in columns},
                null_values=[],
                strings_can_be_null=False,
            ),
        )
    except pa.ArrowInvalid:
        return None
    if table.num_rows != n_rows:
        return None
    texts: dict[str, list[str]] = {}
    numbers: dict[str, Array] = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        array = column.chunk(0)
        if name in ("exchange", "conditions"):
            texts[name] = array.dictionary.to_pylist()
            array = array.indices
        numbers[name] = array.to_numpy(zero_copy_only=False)
    rows = _Rows(numbers, texts["exchange"], texts["conditions"])
    return rows if _is_sound(kind, rows) else None


def _is_sound(kind: RowKind, rows: _Rows) -> bool:
    numbers = rows.numbers
    largest = {name: numbers[name].max() for name, *_ in _COLUMNS[kind]}
    return bool(
        largest["ms"] <= _MS_MAX
        and largest["suspicious"] <= 1
        and all(largest[name] <= _NUMBER_MAX for name in largest if name.endswith(("price", "size")))
        and (kind == "quotes" or numbers["price"].min() > 0)
        and all(map(_EXCHANGE_TEXT.fullmatch, rows.exchanges))
        and all(map(_CONDITIONS_TEXT.fullmatch, rows.conditions))
    )


def _good_lines(
    kind: RowKind, section: Section, payload: bytes, bad: tuple[list[Rejected], UnknownCounts]
) -> list[tuple[int, bytes]]:
    """Sort lines out one by one: the good ones with their row, the others into `bad`."""
    rejected, unknown = bad
    good: list[tuple[int, bytes]] = []
    pattern = _LINES[kind]
    for row, raw in enumerate(payload.split(b"\n")[:-1]):
        line = raw.removesuffix(b"\r")
        if not line:
            unknown.add("line", "blank")
            continue
        reason = ""
        if pattern.fullmatch(line) is None:
            reason = "bad_line"
        elif line_time_ms(line) is None:
            reason = "bad_time"
        elif kind == "trades" and int(line.split(b",", 2)[1]) == 0:
            reason = "bad_price"
        if reason:
            where = f"line {section.first_row + row + 1} of {section.file}"
            rejected.append(Rejected(raw, reason, where))
        else:
            good.append((row, line))
    return good


def _to_columns(
    kind: RowKind, blocks: Sequence[Block], rows: _Rows, feed: str, unknown: UnknownCounts
) -> Columns[Any]:
    numbers = rows.numbers
    sections = [block.section for block in blocks]
    midnights = np.array([local_midnight_ns(section.day, ZONE) for section in sections])
    numbers["ts"] = midnights[numbers["block"]] + _to_ns(numbers.pop("ms"))
    frame_of = np.array([block.frame for block in blocks])[numbers["block"]]
    if (order := time_order(frame_of, numbers["ts"])) is not None:
        numbers = {name: column[order] for name, column in numbers.items()}
    block_of = numbers["block"]
    venues = _venues(rows, numbers["exchange"], unknown)
    flags = np.where(numbers["suspicious"] == 1, int(Flag.SUSPICIOUS), 0).astype(np.int32)
    flags |= int(Flag.NO_RECV_TIME)
    data: dict[str, Any] = {
        "feed": np.full(len(block_of), feed.encode()),
        "symbol": np.array([section.symbol.encode() for section in sections])[block_of],
        "day": np.array([day_of_date(section.day) for section in sections], dtype=np.int32)[block_of],
        "ts_ns": numbers["ts"],
        "event_id": np.array([section.first_row for section in sections])[block_of] + numbers["row"],
        "ts_event_ns": numbers["ts"],
        "ts_recv_ns": numbers["ts"],
        "conditions": _bytes_of(rows.conditions)[numbers["conditions"]],
        "flags": flags,
    }
    if kind == "trades":
        allowed = np.array([_condition_flags(text) for text in rows.conditions], dtype=np.int32)
        flags |= np.where(numbers["suspicious"] == 1, 0, allowed[numbers["conditions"]]).astype(np.int32)
        data |= {"price": numbers["price"] / _PRICE_SCALE, "size": numbers["size"], "venue": venues}
        return Columns(Trade, data)
    for side in ("bid", "ask"):
        data[f"{side}_price"] = numbers[f"{side}_price"] / _PRICE_SCALE
        data[f"{side}_size"] = numbers[f"{side}_size"]
    # A row without either side withdraws both: its venue is kept on both.
    has_bid, has_ask = data["bid_price"] > 0, data["ask_price"] > 0
    data["bid_venue"] = np.where(has_bid | ~has_ask, venues, b"")
    data["ask_venue"] = np.where(has_ask | ~has_bid, venues, b"")
    return Columns(Quote, data)


def _to_ns(ms: Array) -> Array:
    if ms.dtype.kind == "i":
        exact: Array = ms * NS_PER_MS
        return exact
    # Below 2**53 / 10**6 ms a float64 holds a millisecond to well under a nanosecond.
    rounded: Array = np.rint(ms * NS_PER_MS).astype(np.int64)
    return rounded


def _condition_flags(text: str) -> int:
    bits = int(text or "0", 16)
    return int(Flag.UPDATES_VOLUME) | (0 if bits & _NO_OHLC else _SETS_OHLC)


def _venues(rows: _Rows, codes: Array, unknown: UnknownCounts) -> Array:
    for code, text in enumerate(rows.exchanges):
        if text and text not in MIC_OF_LETTER:
            unknown.add("exchange", text, count=int((codes == code).sum()))
    return _bytes_of([MIC_OF_LETTER.get(text, "") for text in rows.exchanges])[codes]


def _bytes_of(texts: Sequence[str]) -> Array:
    return np.array([text.encode() for text in texts], dtype="S")
