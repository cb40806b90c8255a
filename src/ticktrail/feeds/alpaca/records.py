"""Messages of one kind to the columns of their record type."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ticktrail.feeds.alpaca import wire
from ticktrail.feeds.alpaca.batch import ZONE, Batch
from ticktrail.feeds.text import cut_text, distinct_codes, text_column
from ticktrail.model import INTERVALS_NS, Array, Bar, Columns, Correction, Quote, Status, Trade
from ticktrail.model.identity import event_ids_from_content, event_ids_from_numbers
from ticktrail.reference import date_of_day, local_midnight_ns
from ticktrail.reference.sessions import US_EQUITIES, sessions

__all__ = [
    "build_bars",
    "build_cancels",
    "build_corrections",
    "build_lulds",
    "build_quotes",
    "build_statuses",
    "build_trades",
]

# The SEC's round-lot rule took effect: from this trading date on quotes count shares, before it lots.
# Source: Alpaca market data API definition, schema stock_quote: "Ask size in shares (round lots prior to
# November 3, 2025)", as of 2026-05-27. A few shares of high price had smaller lots, which is not told.
_SHARES_FROM_DAY = 20_395
_SHARES_PER_LOT = 100

# Status codes differ by tape. Source: Alpaca documentation, "Real-time Stock Data", "Status Codes".
_CTA_ACTIONS = {"2": "halt", "3": "resume"}
_UTP_ACTIONS = {"H": "halt", "Q": "quote_only", "T": "resume", "P": "pause"}
_CTA_TAPES = frozenset({"A", "B"})
# Halts for these reasons are volatility pauses: limit up-limit down, single-stock pause.
_PAUSE_REASONS = frozenset({"M", "LUDP", "LUDS", "T5"})

_CANCEL_ACTIONS = {"C": "cancel", "E": "error"}


def build_trades(batch: Batch) -> Columns[Trade]:
    """Build trades."""
    marks = batch.tape_columns("conditions", of_sale=True)
    venue, code = batch.venues("venue")
    ids = batch.integers("trade_id")
    price, size = batch.floats("price"), batch.floats("size")
    common = batch.common()
    flags = common.pop("flags") | marks.pop("flags") | batch.rounded_flags("t", [price, size])
    columns = {
        "event_id": event_ids_from_numbers(ids, code),
        "price": price,
        "size": size,
        "flags": flags,
        "venue": venue,
        "trade_id": _id_column(ids),
    }
    return Columns(Trade, common | marks | columns)


def build_quotes(batch: Batch, size_unit: int) -> Columns[Quote]:
    """Build quotes; sizes become shares (see `ticktrail.feeds.alpaca.config.AlpacaConfig`)."""
    marks = batch.tape_columns("conditions", of_sale=False)
    common = batch.common()
    unit = _size_units(common["day"], size_unit)
    bid_price, ask_price = batch.floats("bid_price"), batch.floats("ask_price")
    columns = {
        "bid_price": bid_price,
        "bid_size": batch.floats("bid_size") * unit,
        "ask_price": ask_price,
        "ask_size": batch.floats("ask_size") * unit,
        "bid_venue": batch.venues("bid_venue")[0],
        "ask_venue": batch.venues("ask_venue")[0],
        **marks,
    }
    columns["event_id"] = event_ids_from_content(list(columns.values()))
    flags = common.pop("flags") | batch.rounded_flags("q", [bid_price, ask_price])
    return Columns(Quote, common | columns | {"flags": flags})


def build_bars(batch: Batch) -> Columns[Bar]:
    """Build bars of all three kinds; a day's bar stays open, since the venue sends it again and again."""
    common = batch.common()
    open_ns, day = batch.ts_event_ns, common["day"]
    is_daily = np.array([type(message) is wire.DailyBarMessage for message in batch.messages])
    is_update = np.array([type(message) is wire.UpdatedBarMessage for message in batch.messages])
    volume = batch.floats("volume_size")
    prices = {name: batch.floats(f"{name}_price") for name in ("open", "high", "low", "close")}
    columns = {
        "feed": batch.feed,
        "symbol": common["symbol"],
        "interval": np.where(is_daily, b"1d", b"1m"),
        "day": day,
        "ts_open_ns": open_ns,
        "ts_close_ns": np.where(is_daily, _next_midnights_ns(day), open_ns + INTERVALS_NS["1m"]),
        **prices,
        "volume": volume,
        "vwap": np.where(volume > 0, batch.floats("vwap_price"), np.nan),
        "trades": batch.integers("trades"),
        "session": np.where(is_daily, b"day", sessions(open_ns, US_EQUITIES)),
        "revision": is_update.astype(np.int32),
        "is_final": ~is_daily,
        "flags": batch.rounded_flags("b", list(prices.values())),
    }
    return Columns(Bar, columns)


def build_corrections(batch: Batch) -> Columns[Correction]:
    """Build corrections of trades."""
    marks = batch.tape_columns("conditions", of_sale=True)
    venue, code = batch.venues("venue")
    original_ids, ids = batch.integers("original_id"), batch.integers("corrected_id")
    content = {
        "original_price": batch.floats("original_price"),
        "original_size": batch.floats("original_size"),
        "price": batch.floats("corrected_price"),
        "size": batch.floats("corrected_size"),
    }
    common = batch.common()
    flags = common.pop("flags") | marks.pop("flags") | batch.rounded_flags("c", list(content.values()))
    columns = {
        "event_id": event_ids_from_content([original_ids, ids, venue, *content.values()]),
        "original_event_id": event_ids_from_numbers(original_ids, code),
        "flags": flags,
        "action": "correct",
        "venue": venue,
        "trade_id": _id_column(original_ids),
        "corrected_trade_id": _id_column(ids),
    }
    return Columns(Correction, common | marks | content | columns)


def build_cancels(batch: Batch) -> Columns[Correction]:
    """Build cancels and errors of trades; an unknown action is counted and taken as a cancel."""
    marks = batch.tape_columns(None, of_sale=False)
    venue, code = batch.venues("venue")
    ids = batch.integers("trade_id")
    letters, codes = distinct_codes(batch.values("action"))
    for index, letter in enumerate(letters):
        if letter not in _CANCEL_ACTIONS:
            batch.unknown.add("cancel", letter, count=int((codes == index).sum()))
    action = text_column([_CANCEL_ACTIONS.get(letter, "cancel") for letter in letters])[codes]
    price, size = batch.floats("price"), batch.floats("size")
    common = batch.common()
    columns = {
        "event_id": event_ids_from_content([ids, action, venue, price, size]),
        "original_event_id": event_ids_from_numbers(ids, code),
        "original_price": price,
        "original_size": size,
        "price": np.full(len(batch), np.nan),
        "size": np.full(len(batch), np.nan),
        "flags": common.pop("flags") | batch.rounded_flags("x", [price, size]),
        "action": action,
        "venue": venue,
        "trade_id": _id_column(ids),
    }
    return Columns(Correction, common | marks | columns)


def build_statuses(batch: Batch) -> Columns[Status]:
    """Build halts, resumptions and other changes of state."""
    marks = batch.tape_columns(None, of_sale=False)
    actions, reasons = [], []
    for message in batch.messages:
        actions.append(_action(message))
        code, text = message.reason_code, message.reason_text
        if not (code or text):
            code, text = message.status_code, message.status_text
        reasons.append(_fitting(batch, f"{code} {text}".strip()))
    return _status_columns(batch, marks, actions, reasons, (np.nan, np.nan))


def build_lulds(batch: Batch) -> Columns[Status]:
    """Build limit-up and limit-down bands; the reason is the venue's indicator."""
    marks = batch.tape_columns(None, of_sale=False)
    reasons = [_fitting(batch, indicator) for indicator in batch.values("indicator")]
    bands = (batch.floats("limit_up_price"), batch.floats("limit_down_price"))
    marks["flags"] = batch.rounded_flags("l", bands)
    return _status_columns(batch, marks, ["bands"] * len(batch), reasons, bands)


def _status_columns(
    batch: Batch, marks: dict[str, Any], actions: list[str], reasons: list[str], bands: tuple[Any, Any]
) -> Columns[Status]:
    common = batch.common()
    columns = {
        "limit_up": np.broadcast_to(np.asarray(bands[0], np.float64), len(batch)),
        "limit_down": np.broadcast_to(np.asarray(bands[1], np.float64), len(batch)),
        "action": text_column(actions),
        "reason": text_column(reasons),
    }
    flags = common.pop("flags") | marks.pop("flags", np.zeros(len(batch), np.int32))
    event_id = event_ids_from_content(list(columns.values()))
    return Columns(Status, common | marks | columns | {"event_id": event_id, "flags": flags})


def _action(message: wire.StatusMessage[Any]) -> str:
    actions = _CTA_ACTIONS if message.tape in _CTA_TAPES else _UTP_ACTIONS
    action = actions.get(message.status_code, "other")
    return "pause" if action == "halt" and message.reason_code in _PAUSE_REASONS else action


def _fitting(batch: Batch, text: str) -> str:
    """Cut a text for people rather than lose a halt over it, and count that."""
    cut = cut_text(text)
    if cut != text:
        batch.unknown.add("cut", "s")
    return cut


def _id_column(ids: npt.NDArray[np.int64]) -> Array:
    width = len(str(int(ids.max()))) if len(ids) else 1
    return ids.astype(f"S{width}")


def _size_units(day: npt.NDArray[np.int32], size_unit: int) -> npt.NDArray[np.float64]:
    if size_unit:
        return np.full(len(day), float(size_unit))
    return np.where(day >= _SHARES_FROM_DAY, 1.0, float(_SHARES_PER_LOT))


def _next_midnights_ns(day: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
    days, codes = distinct_codes(day.tolist())
    table = np.array([local_midnight_ns(date_of_day(number + 1), ZONE) for number in days], np.int64)
    midnights: npt.NDArray[np.int64] = table[codes]
    return midnights
