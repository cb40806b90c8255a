"""Trades and quotes as JSON text, a whole frame at a time.

Every message of a frame is laid into a row of equal width, with look-up tables for what repeats and NUL
bytes for what is shorter; taking out the NULs leaves the text. Fields stand in the order of Alpaca's own.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from ticktrail.feeds.sim.digits import (
    DATE_WIDTH,
    NANOS_WIDTH,
    fraction_e4,
    integer_groups,
    nanos,
    seconds_text,
)
from ticktrail.feeds.sim.messages import CONDITIONS, E4, VENUES, Rows
from ticktrail.feeds.sim.universe import TAPES, Universe

__all__ = ["JsonEncoder"]

_NS_PER_SECOND = 1_000_000_000

_TRADE_ROW = np.dtype(
    [
        ("head", "V32"),  # {"T":"t","S":"AAPL","i":
        ("id", "u4", 3),
        ("venue", "V16"),  # ,"x":"D","p":
        ("price", "u4", 2),
        ("cents", "u8"),
        ("size_name", "V8"),  # ,"s":
        ("size", "u4", 2),
        ("conditions", "V48"),  # ,"c":["@","I"],"z":"C","t":"
        ("date", f"V{DATE_WIDTH}"),
        ("nanos", "u1", NANOS_WIDTH),
        ("tail", "V4"),
    ]
)
_QUOTE_ROW = np.dtype(
    [
        ("head", "V32"),  # {"T":"q","S":"AMD","bx":
        ("bid_venue", "V16"),  # "U","bp":
        ("bid", "u4", 2),
        ("bid_cents", "u8"),
        ("bid_size_name", "V8"),  # ,"bs":
        ("bid_size", "u4", 2),
        ("ask_venue", "V16"),  # ,"ax":"Q","ap":
        ("ask", "u4", 2),
        ("ask_cents", "u8"),
        ("ask_size_name", "V8"),  # ,"as":
        ("ask_size", "u4", 2),
        ("tape", "V32"),  # ,"c":["R"],"z":"C","t":"
        ("date", f"V{DATE_WIDTH}"),
        ("nanos", "u1", NANOS_WIDTH),
        ("tail", "V4"),
    ]
)

Table = npt.NDArray[np.void]


class JsonEncoder:
    """Encodes for clients that speak JSON. One object serves all of them.

    Parameters
    ----------
    universe
        What the symbol numbers mean.
    messages_per_frame_max
        Longer batches become several frames.
    """

    is_text = True

    def __init__(self, universe: Universe, messages_per_frame_max: int) -> None:
        self._most = messages_per_frame_max
        self._tape = universe.tape
        names = [msgspec.json.encode(symbol) for symbol in universe.symbols]
        self._trade_head = _table([b'{"T":"t","S":%b,"i":' % name for name in names], 32)
        self._quote_head = _table([b'{"T":"q","S":%b,"bx":' % name for name in names], 32)
        letters = [letter.encode() for letter in VENUES]
        self._trade_venue = _table([b',"x":"%b","p":' % letter for letter in letters], 16)
        self._bid_venue = _table([b'"%b","bp":' % letter for letter in letters], 16)
        self._ask_venue = _table([b',"ax":"%b","ap":' % letter for letter in letters], 16)
        self._conditions = _table(
            [
                b',"c":%b,"z":"%b","t":"' % (msgspec.json.encode(conditions), TAPES[code % 3].encode())
                for code, conditions in enumerate(CONDITIONS)
            ],
            48,
        )
        self._quote_tape = _table([b',"c":["R"],"z":"%b","t":"' % tape.encode() for tape in TAPES], 32)

    def trades(self, rows: Rows) -> list[bytes]:
        """Encode rows of `TRADE`, in their order."""
        return [self._trade_frame(part) for part in self._parts(rows)]

    def quotes(self, rows: Rows) -> list[bytes]:
        """Encode rows of `QUOTE`, in their order."""
        return [self._quote_frame(part) for part in self._parts(rows)]

    def _parts(self, rows: Rows) -> list[Rows]:
        return [rows[start : start + self._most] for start in range(0, len(rows), self._most)]

    def _trade_frame(self, rows: Rows) -> bytes:
        text = np.empty(len(rows), dtype=_TRADE_ROW)
        text["head"] = self._trade_head[rows["symbol"]]
        _put_integer(text["id"], rows["id"])
        text["venue"] = self._trade_venue[rows["venue"]]
        _put_price(text["price"], text["cents"], rows["price_e4"])
        text["size_name"] = np.void(b',"s":\0\0\0')
        _put_integer(text["size"], rows["size"])
        text["conditions"] = self._conditions[rows["conditions"]]
        return _finished(text, rows["ts_event_ns"])

    def _quote_frame(self, rows: Rows) -> bytes:
        text = np.empty(len(rows), dtype=_QUOTE_ROW)
        text["head"] = self._quote_head[rows["symbol"]]
        text["bid_venue"] = self._bid_venue[rows["bid_venue"]]
        _put_price(text["bid"], text["bid_cents"], rows["bid_e4"])
        text["bid_size_name"] = np.void(b',"bs":\0\0')
        _put_integer(text["bid_size"], rows["bid_size"])
        text["ask_venue"] = self._ask_venue[rows["ask_venue"]]
        _put_price(text["ask"], text["ask_cents"], rows["ask_e4"])
        text["ask_size_name"] = np.void(b',"as":\0\0')
        _put_integer(text["ask_size"], rows["ask_size"])
        text["tape"] = self._quote_tape[self._tape[rows["symbol"]]]
        return _finished(text, rows["ts_event_ns"])


def _table(texts: Sequence[bytes], width: int) -> Table:
    return np.frombuffer(b"".join(text.ljust(width, b"\0") for text in texts), dtype=f"V{width}")


def _put_integer(target: npt.NDArray[np.uint32], values: npt.NDArray[np.signedinteger]) -> None:
    for column, group in enumerate(integer_groups(values, target.shape[1])):
        target[:, column] = group


def _put_price(
    dollars: npt.NDArray[np.uint32], cents: npt.NDArray[np.uint64], values_e4: npt.NDArray[np.int32]
) -> None:
    _put_integer(dollars, values_e4 // E4)
    cents[:] = fraction_e4(values_e4)


def _finished(text: Table, ts_event_ns: npt.NDArray[np.int64]) -> bytes:
    seconds = ts_event_ns // _NS_PER_SECOND
    below = ts_event_ns - seconds * _NS_PER_SECOND
    text["date"] = seconds_text(seconds)
    text["nanos"] = nanos(below)
    text["tail"] = np.void(b'Z"},')
    if not below.all():
        # A whole second has no point either.
        text["date"].view(("u1", DATE_WIDTH))[below == 0, DATE_WIDTH - 1] = 0
    body = text.tobytes().translate(None, b"\0")
    return b"[%b]" % body[:-1]
