"""Rare and control messages in both encodings.

Source: Alpaca, "WebSocket Stream" and "Real-time Stock Data".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

import msgspec

from ticktrail.feeds.sim.messages import (
    CONDITIONS,
    E4,
    VENUES,
    Bar,
    Cancel,
    Correction,
    Event,
    Luld,
    Status,
)
from ticktrail.feeds.sim.universe import TAPES, Universe

__all__ = ["CHANNELS", "channel_of", "control_frame", "error_message", "event_frame"]

# As the subscription message lists them.
CHANNELS = (
    "trades",
    "quotes",
    "bars",
    "updatedBars",
    "dailyBars",
    "statuses",
    "lulds",
    "corrections",
    "cancelErrors",
)

_ERRORS = {
    400: "invalid syntax",
    401: "not authenticated",
    402: "auth failed",
    403: "already authenticated",
    404: "auth timeout",
    405: "symbol limit exceeded",
    406: "connection limit exceeded",
    407: "slow client",
    410: "invalid subscribe action for this feed",
}

_NS_PER_SECOND = 1_000_000_000
_MSGPACK_TIMESTAMP = -1


def error_message(code: int) -> dict[str, Any]:
    """Give Alpaca's error message of that code."""
    return {"T": "error", "code": code, "msg": _ERRORS[code]}


def control_frame(message: dict[str, Any], *, is_text: bool) -> bytes:
    """Encode one control message as a frame."""
    return msgspec.json.encode([message]) if is_text else msgspec.msgpack.encode([message])


def channel_of(event: Event) -> str:
    """Name the channel on which a rare message travels."""
    if isinstance(event, Bar):
        return "bars" if event.kind == "b" else "updatedBars"
    return _CHANNEL_OF[type(event)]


def event_frame(events: Iterable[Event], universe: Universe, *, is_text: bool) -> bytes:
    """Encode rare messages as one frame, in their order."""
    time_of = _rfc3339 if is_text else _timestamp
    messages = [_message(event, universe, time_of) for event in events]
    return msgspec.json.encode(messages) if is_text else msgspec.msgpack.encode(messages)


_CHANNEL_OF: dict[type[Event], str] = {
    Correction: "corrections",
    Cancel: "cancelErrors",
    Status: "statuses",
    Luld: "lulds",
}


def _message(event: Event, universe: Universe, time_of: Callable[[int], object]) -> dict[str, object]:
    symbol = universe.symbols[event.symbol]
    ending = {"z": TAPES[universe.tape[event.symbol]], "t": time_of(event.ts_event_ns)}
    match event:
        case Correction():
            conditions = CONDITIONS[event.conditions]
            return {
                "T": "c",
                "S": symbol,
                "x": VENUES[event.venue],
                "oi": event.original_id,
                "op": event.original_price_e4 / E4,
                "os": event.original_size,
                "oc": conditions,
                "ci": event.corrected_id,
                "cp": event.corrected_price_e4 / E4,
                "cs": event.corrected_size,
                "cc": conditions,
            } | ending
        case Cancel():
            return {
                "T": "x",
                "S": symbol,
                "i": event.id,
                "x": VENUES[event.venue],
                "p": event.price_e4 / E4,
                "s": event.size,
                "a": event.action,
            } | ending
        case Status():
            return {
                "T": "s",
                "S": symbol,
                "sc": event.code,
                "sm": event.text,
                "rc": event.reason_code,
                "rm": event.reason_text,
            } | ending
        case Luld():
            bands = {"u": event.up_e4 / E4, "d": event.down_e4 / E4, "i": "B"}
            return {"T": "l", "S": symbol} | bands | ending
        case Bar():
            return {
                "T": event.kind,
                "S": symbol,
                "o": event.open,
                "h": event.high,
                "l": event.low,
                "c": event.close,
                "v": event.volume,
                "n": event.trades,
                "vw": event.vwap,
                "t": ending["t"],
            }
    raise AssertionError(f"no message for {type(event).__name__}")


def _rfc3339(ts_ns: int) -> str:
    seconds, below = divmod(ts_ns, _NS_PER_SECOND)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f".{below:09d}".rstrip("0") if below else ""
    return f"{text}{fraction}Z"


def _timestamp(ts_ns: int) -> msgspec.msgpack.Ext:
    seconds, below = divmod(ts_ns, _NS_PER_SECOND)
    return msgspec.msgpack.Ext(_MSGPACK_TIMESTAMP, ((below << 34) | seconds).to_bytes(8, "big"))
