"""What the exchange can say: columns for the frequent kinds, structs for the rare ones.

Prices are integers in ten-thousandths of a dollar (the finest a US trade report has), so that nothing is
rounded between the model, the wire and the exchange's own log.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt

__all__ = [
    "CLOSING",
    "CONDITIONS",
    "DERIVED",
    "E4",
    "EXTENDED",
    "LATE",
    "ODD_LOT",
    "OPENING",
    "PATTERNS",
    "QUOTE",
    "SWEEP",
    "TRADE",
    "VENUES",
    "Bar",
    "Cancel",
    "Correction",
    "Event",
    "Luld",
    "MarketBatch",
    "Rows",
    "Status",
    "condition_code",
]

E4 = 10_000

# `due_ns` is when the message is to leave the exchange. `ts_event_ns` is the time inside the message: the
# same, save for trades reported late.
TRADE = np.dtype(
    [
        ("due_ns", "i8"),
        ("ts_event_ns", "i8"),
        ("id", "i8"),
        ("price_e4", "i4"),
        ("size", "i4"),
        ("symbol", "u2"),
        ("venue", "u1"),
        ("conditions", "u1"),
    ]
)
QUOTE = np.dtype(
    [
        ("due_ns", "i8"),
        ("ts_event_ns", "i8"),
        ("bid_e4", "i4"),
        ("ask_e4", "i4"),
        ("bid_size", "i4"),
        ("ask_size", "i4"),
        ("symbol", "u2"),
        ("bid_venue", "u1"),
        ("ask_venue", "u1"),
    ]
)

# Shape (n,) of TRADE or QUOTE.
Rows = npt.NDArray[np.void]

# The tapes' participant letters; rows hold an index into this. Nasdaq is Q on tape C and T on A and B.
VENUES = "DQPNKZVUJYBHAMXCLTI"

# Sale conditions without the tape's own mark for a regular sale ("@" on C, " " on A and B), in the order in
# which the tape gives them. Bits 0, 1, 2 of the first eight: odd lot, sweep, extended hours.
PATTERNS: tuple[str, ...] = ("", "I", "F", "FI", "T", "TI", "FT", "FTI", "Z", "ZI", "O", "6", "4", "4I")
ODD_LOT, SWEEP, EXTENDED = 1, 2, 4
LATE, OPENING, CLOSING, DERIVED = 8, 10, 11, 12


def condition_code(pattern: npt.NDArray[np.int64], tape: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Combine an index into `PATTERNS` and one into the tapes into one into `CONDITIONS`; shape ``(n,)``."""
    return (pattern * 3 + tape).astype(np.uint8)


# Every possible list of conditions, by condition code; the tape is code % 3.
CONDITIONS: tuple[tuple[str, ...], ...] = tuple(
    (mark, *pattern) for pattern in PATTERNS for mark in (" ", " ", "@")
)


class Event(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A rare message. `symbol` is an index; the rest is as Alpaca names it."""

    due_ns: int
    symbol: int
    ts_event_ns: int


class Correction(Event, frozen=True, gc=False, kw_only=True):
    """An earlier trade should have read otherwise."""

    venue: int
    conditions: int
    original_id: int
    original_price_e4: int
    original_size: int
    corrected_id: int
    corrected_price_e4: int
    corrected_size: int


class Cancel(Event, frozen=True, gc=False, kw_only=True):
    """An earlier trade is void: `action` ``"C"`` (cancel) or ``"E"`` (error)."""

    venue: int
    id: int
    price_e4: int
    size: int
    action: str


class Status(Event, frozen=True, gc=False, kw_only=True):
    """Trading in a symbol stops or starts."""

    code: str
    text: str
    reason_code: str
    reason_text: str


class Luld(Event, frozen=True, gc=False, kw_only=True):
    """New limit-up/limit-down bands."""

    up_e4: int
    down_e4: int


class Bar(Event, frozen=True, gc=False, kw_only=True):
    """A minute of a symbol: kind ``"b"`` at its end, ``"u"`` where late trades changed it.

    `ts_event_ns` is the minute's start; prices in dollars.
    """

    kind: str
    open: float
    high: float
    low: float
    close: float
    volume: int
    trades: int
    vwap: float


@dataclass(frozen=True)
class MarketBatch:
    """What happened in a stretch of time, each kind in the order of `due_ns`.

    Parameters
    ----------
    trades
        Shape ``(n_trades,)`` of `TRADE`.
    quotes
        Shape ``(n_quotes,)`` of `QUOTE`.
    events
        The rare messages.
    """

    trades: Rows
    quotes: Rows
    events: tuple[Event, ...]
