"""What all clients share: the state of the market, turned into bytes once per turn, whoever wants them.

A *turn* is the step in which the page moves, 20 ms. Clients take what has changed since the turn that they
took last; one that is slower than others gets fewer messages, never older ones, and costs the others nothing.
Everything here runs on the event loop; the thread that reads Kafka hands its values over (`Hub.take`).
"""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from ticktrail.codec import Decoded
from ticktrail.dashboard.alert_tape import AlertTape
from ticktrail.dashboard.amended import Amendments, plain_word
from ticktrail.dashboard.answers import Pipeline
from ticktrail.dashboard.board import Board
from ticktrail.dashboard.tape import Tape
from ticktrail.model import INTERVALS_NS, Alert, Bar, Columns, Correction, Quote, Status, Trade
from ticktrail.reference import Market

__all__ = ["TURN_MS", "Hub", "turns_of"]

TURN_MS = 20
_DAY_NS = INTERVALS_NS["1d"]

Index = npt.NDArray[np.int64]


class Hub:
    """The live state and its bytes.

    Parameters
    ----------
    market_of
        Feed → its market, where that is not the US equities'.
    """

    def __init__(self, market_of: dict[str, Market] | None = None) -> None:
        self.board = Board(market_of)
        self.tape = Tape()
        self.amended = Amendments()
        self.alerts = AlertTape()
        self.turned = asyncio.Event()
        self.clients = 0
        self.pipeline: Pipeline = {
            "stages": [],
            "lags": [],
            "servers": [],
            "open_gaps": None,
            "ledger": None,
            "dead_letters": 0,
            "spool_bytes": 0,
            "clients": 0,
            "trouble": None,
        }
        self._encoder = msgspec.json.Encoder()
        # Number of a symbol that somebody has asked for → the turn in which it was encoded, and its row.
        self._fragments: dict[int, tuple[int, bytes]] = {}
        self._encoded_turn = 0

    @property
    def turn(self) -> int:
        """The turn that is under way."""
        return self.board.turn

    def take(self, decoded: Decoded) -> None:
        """Take the values of one poll."""
        for record, (columns, _) in decoded.kinds.items():
            if record is Trade:
                codes = self.board.take_trades(columns)
                self.tape.add_trades(codes, columns)
                for key in self.amended.among(codes, columns["event_id"]):
                    self._amend(key)
            elif record is Quote:
                self.board.take_quotes(columns)
            elif record is Bar:
                self._take_bars(columns)
            elif record is Status:
                self.board.take_status(columns)
            elif record is Alert:
                self.alerts.add(columns)

        # After the trades of the same poll, of which they speak.
        if Correction in decoded.kinds:
            corrections = decoded.kinds[Correction].columns
            for key in self.amended.take(self.board.codes_of(corrections), corrections):
                self._amend(key)

    def trades_of(self, code: int, after: int, count_max: int) -> tuple[list[dict[str, Any]], int]:
        """Give a symbol's newest trades as `Tape.trades_of`, with what was said of them afterwards."""
        rows, left_out = self.tape.trades_of(code, after, count_max)
        if len(self.amended):
            for row in rows:
                if (word := self.amended.of(code, int(row["event_id"]))) is not None:
                    row["amended"] = plain_word(word)
        return rows, left_out

    def next_turn(self) -> None:
        """End a turn, and wake all clients."""
        self.board.turn += 1
        self.turned.set()
        self.turned = asyncio.Event()

    def fragments(self, codes: Index) -> list[bytes]:
        """Give each symbol's row as JSON; encoded once a turn at most, for all clients together."""
        known, every = self._fragments, codes
        if self._encoded_turn != self.turn:
            # Who asks first in a turn has everything encoded that others will ask for: in one call.
            self._encoded_turn = self.turn
            every = np.union1d(codes, np.fromiter(known, np.int64, len(known)))
        changed = self.board.changed_of(every).tolist()
        missing = [
            code
            for code, turn in zip(every.tolist(), changed, strict=True)
            if code not in known or known[code][0] <= min(turn, self.turn - 1)
        ]
        if missing:
            rows = self.board.rows(np.array(missing))
            for code, row in zip(missing, rows, strict=True):
                known[code] = self.turn, self._encoder.encode(row)
        return [known[code][1] for code in codes.tolist()]

    def forming(self, feed: str, symbol: str, interval: str, now_ns: int) -> dict[str, Any] | None:
        """Sum up the window that a symbol is in; None where it has no trades yet."""
        code = self.board.code(feed, symbol)
        if code is None:
            return None
        if interval == "1s":
            return self.tape.forming_second(code)
        if interval == "1d":
            if self.board.day_of(code) is None:
                return None
            open_ns, candle = self.board.day_from_ns(code), self.board.minutes.today(np.array([code]))[0]
            close_ns = open_ns + _DAY_NS
        else:
            length_ns = INTERVALS_NS[interval]
            newest_ns = self.board.minutes.newest * INTERVALS_NS["1m"]
            open_ns = min(newest_ns, now_ns) // length_ns * length_ns
            close_ns = open_ns + length_ns
            found = self.board.minutes.window(code, open_ns, close_ns)
            if found is None:
                return None
            candle = found
        return _plain_candle(candle, open_ns, close_ns)

    def _amend(self, key: tuple[int, int]) -> None:
        """Where the symbol's last price is that of a corrected trade, set it right."""
        code, event_id = key
        if self.board.last_id(code) != event_id:
            return
        # Without a trade in memory that counts, the last price is not known until the next one.
        ts_ns, last_id, price, size = self.tape.last_of(code, self.amended) or (0, 0, np.nan, np.nan)
        self.board.set_last(code, ts_ns, last_id, price, size)

    def _take_bars(self, bars: Columns[Bar]) -> None:
        self.board.take_bars(bars)
        self.tape.add_bars(bars)


def _plain_candle(candle: Any, open_ns: int, close_ns: int) -> dict[str, Any]:
    volume = float(candle["volume"])
    vwap = float(candle["amount"]) / volume if volume else None
    prices = {name: _or_none(float(candle[name])) for name in ("open", "high", "low", "close")}
    return {
        "ts_open_ns": open_ns,
        "ts_close_ns": close_ns,
        **prices,
        "volume": volume,
        "vwap": vwap,
        "trades": int(candle["trades"]),
        "revision": int(candle["revision"]),
        "is_final": False,
        "flags": 0,
    }


def _or_none(value: float) -> float | None:
    return None if value - value != 0 else value


def turns_of(every_ms: float) -> int:
    """Count the turns in a time; at least one."""
    return max(1, round(every_ms / TURN_MS))
