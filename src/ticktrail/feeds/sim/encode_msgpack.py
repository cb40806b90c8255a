"""Trades and quotes as MessagePack, a whole frame at a time.

Every message of a frame is laid into a row of equal width beside a mask of the bytes that belong to it;
only symbols and conditions vary in length. Times are the format's own timestamps (extension type −1), as
Alpaca sends them. Source: the MessagePack specification, "Timestamp extension type".
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from ticktrail.feeds.sim.messages import CONDITIONS, E4, VENUES, Rows
from ticktrail.feeds.sim.universe import TAPES, Universe

__all__ = ["MsgpackEncoder"]

_NS_PER_SECOND = 1_000_000_000

_pack = msgspec.msgpack.encode
_UINT32, _FLOAT64 = b"\xce", b"\xcb"
_TIMESTAMP64 = b"\xd7\xff"

_TRADE_ROW = np.dtype(
    [
        ("head", "V32"),  # {T: "t", S: symbol, i:
        ("id", ">u4"),
        ("venue_name", "V2"),
        ("venue", "V2"),
        ("price_name", "V3"),
        ("price", ">f8"),
        ("size_name", "V3"),
        ("size", ">u4"),
        ("conditions", "V24"),  # c: […], z: tape, t:
        ("time", ">u8"),
    ]
)
_QUOTE_ROW = np.dtype(
    [
        ("head", "V32"),  # {T: "q", S: symbol, bx:
        ("bid_venue", "V2"),
        ("bid_name", "V4"),
        ("bid", ">f8"),
        ("bid_size_name", "V4"),
        ("bid_size", ">u4"),
        ("ask_venue_name", "V3"),
        ("ask_venue", "V2"),
        ("ask_name", "V4"),
        ("ask", ">f8"),
        ("ask_size_name", "V4"),
        ("ask_size", ">u4"),
        ("tape", "V16"),  # c: ["R"], z: tape, t:
        ("time", ">u8"),
    ]
)


class _Pieces:
    """Pieces of different lengths: their padded bytes, and which of those count."""

    def __init__(self, pieces: Sequence[bytes], width: int) -> None:
        self.bytes = np.frombuffer(b"".join(piece.ljust(width, b"\0") for piece in pieces), dtype=f"V{width}")
        lengths = np.array([len(piece) for piece in pieces])
        self.mask: npt.NDArray[np.bool_] = np.arange(width) < lengths[:, None]


class _Frame:
    """Rows of a frame in the making, and which of their bytes belong to it."""

    def __init__(self, count: int, dtype: np.dtype[np.void]) -> None:
        self.rows = np.empty(count, dtype=dtype)
        self._keep = np.ones((count, dtype.itemsize), dtype=np.bool_)

    def put(self, field: str, pieces: _Pieces, index: npt.NDArray[np.integer]) -> None:
        self.rows[field] = pieces.bytes[index]
        assert self.rows.dtype.fields is not None
        offset = self.rows.dtype.fields[field][1]
        self._keep[:, offset : offset + pieces.mask.shape[1]] = pieces.mask[index]

    def put_constant(self, field: str, content: bytes) -> None:
        self.rows[field] = np.void(content)

    def finished(self, ts_event_ns: npt.NDArray[np.int64]) -> bytes:
        seconds = ts_event_ns // _NS_PER_SECOND
        below = ts_event_ns - seconds * _NS_PER_SECOND
        self.rows["time"] = (below << 34) | seconds
        count = len(self.rows)
        body = self.rows.view(np.uint8)[self._keep.reshape(-1)]
        # An array of up to 65,535 messages; settings allow no more in a frame.
        return b"\xdc" + count.to_bytes(2, "big") + body.tobytes()


class MsgpackEncoder:
    """Encodes for clients that speak MessagePack. Parameters as those of `JsonEncoder`."""

    is_text = False

    def __init__(self, universe: Universe, messages_per_frame_max: int) -> None:
        self._most = messages_per_frame_max
        self._tape = universe.tape
        symbols = [_pack("S") + _pack(symbol) for symbol in universe.symbols]
        # 0x89: a map of nine fields; 0x8b: of eleven.
        trade = b"\x89" + _pack("T") + _pack("t")
        quote = b"\x8b" + _pack("T") + _pack("q")
        self._trade_head = _Pieces([trade + symbol + _pack("i") + _UINT32 for symbol in symbols], 32)
        self._quote_head = _Pieces([quote + symbol + _pack("bx") for symbol in symbols], 32)
        self._venue = np.frombuffer(b"".join(_pack(letter) for letter in VENUES), dtype="V2")
        ending = [_pack("z") + _pack(tape) + _pack("t") + _TIMESTAMP64 for tape in TAPES]
        self._conditions = _Pieces(
            [_pack("c") + _pack(conditions) + ending[code % 3] for code, conditions in enumerate(CONDITIONS)],
            24,
        )
        self._quote_tape = _Pieces([_pack("c") + _pack(["R"]) + end for end in ending], 16)

    def trades(self, rows: Rows) -> list[bytes]:
        """Encode rows of `TRADE`, in their order."""
        return [self._trade_frame(part) for part in self._parts(rows)]

    def quotes(self, rows: Rows) -> list[bytes]:
        """Encode rows of `QUOTE`, in their order."""
        return [self._quote_frame(part) for part in self._parts(rows)]

    def _parts(self, rows: Rows) -> list[Rows]:
        return [rows[start : start + self._most] for start in range(0, len(rows), self._most)]

    def _trade_frame(self, rows: Rows) -> bytes:
        frame = _Frame(len(rows), _TRADE_ROW)
        frame.put("head", self._trade_head, rows["symbol"])
        frame.rows["id"] = rows["id"]
        frame.put_constant("venue_name", _pack("x"))
        frame.rows["venue"] = self._venue[rows["venue"]]
        frame.put_constant("price_name", _pack("p") + _FLOAT64)
        frame.rows["price"] = rows["price_e4"] / E4
        frame.put_constant("size_name", _pack("s") + _UINT32)
        frame.rows["size"] = rows["size"]
        frame.put("conditions", self._conditions, rows["conditions"])
        return frame.finished(rows["ts_event_ns"])

    def _quote_frame(self, rows: Rows) -> bytes:
        frame = _Frame(len(rows), _QUOTE_ROW)
        frame.put("head", self._quote_head, rows["symbol"])
        frame.rows["bid_venue"] = self._venue[rows["bid_venue"]]
        frame.put_constant("bid_name", _pack("bp") + _FLOAT64)
        frame.rows["bid"] = rows["bid_e4"] / E4
        frame.put_constant("bid_size_name", _pack("bs") + _UINT32)
        frame.rows["bid_size"] = rows["bid_size"]
        frame.put_constant("ask_venue_name", _pack("ax"))
        frame.rows["ask_venue"] = self._venue[rows["ask_venue"]]
        frame.put_constant("ask_name", _pack("ap") + _FLOAT64)
        frame.rows["ask"] = rows["ask_e4"] / E4
        frame.put_constant("ask_size_name", _pack("as") + _UINT32)
        frame.rows["ask_size"] = rows["ask_size"]
        frame.put("tape", self._quote_tape, self._tape[rows["symbol"]])
        return frame.finished(rows["ts_event_ns"])
