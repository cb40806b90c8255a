"""A feed that plays a script: what each connection brings, one item after the other.

Frames hold words. ``AAPL`` is a trade, ``!word`` a message that cannot be read, ``?word`` one of an unknown
kind, ``#again`` and ``#never`` notices of the venue, ``%AAPL`` a bar of the vendor's own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from ticktrail.clock import Clock
from ticktrail.errors import FeedDisconnected, FeedRejected, TicktrailError
from ticktrail.feeds import Frame, Parsed, Rejected
from ticktrail.model import Bar, Columns, Flag, Trade

NAME = "scripted"

AGAIN = FeedDisconnected(what="slow client", feed=NAME, code=407)
NEVER = FeedRejected(what="not this plan", feed=NAME, code=409)
BROKEN = FeedDisconnected(what="connection lost", feed=NAME)

# What a connection may bring: a frame's words, a frame, an error, a pause until the condition is set, or
# (None) the end of the source. After the last item it is silent for ever.
Item = str | Frame | TicktrailError | asyncio.Event | None


class ScriptedFeed:
    """A `ticktrail.feeds.Feed`.

    Parameters
    ----------
    clock
        Stamps the frames.
    connections
        One script per connection; an error as the first item fails `connect` itself.

    Attributes
    ----------
    received
        Every frame that `receive` returned.
    calls
        Names of the calls that capture made, `parse` left out.
    """

    name = NAME

    def __init__(self, clock: Clock, *connections: Sequence[Item], is_live: bool = True) -> None:
        self.is_live = is_live
        self.received: list[Frame] = []
        self.calls: list[str] = []
        self.on_receive: Callable[[Frame], Any] = lambda frame: None
        self._clock = clock
        self._connections = [list(items) for items in connections]
        self._items: list[Item] = []
        self._closed = asyncio.Event()

    async def connect(self) -> None:
        self.calls.append("connect")
        self._closed.clear()
        self._items = self._connections.pop(0) if self._connections else []
        if self._items and isinstance(self._items[0], TicktrailError):
            raise self._items.pop(0)  # type: ignore[misc]

    async def receive(self) -> Frame | None:
        self.calls.append("receive")
        while True:
            if self._closed.is_set():
                raise BROKEN
            if not self._items:
                await self._closed.wait()
                continue
            item = self._items[0]
            if isinstance(item, asyncio.Event):
                await item.wait()
                self._items.pop(0)
                continue
            self._items.pop(0)
            if isinstance(item, TicktrailError):
                raise item
            if item is None:
                return None
            return self._stamped(item)

    def bring(self, item: Item) -> None:
        """Add an item to the connection that is open."""
        self._items.append(item)
        self._closed.set()
        self._closed.clear()

    def parse(self, frames: Sequence[Frame]) -> Parsed:
        trades: list[Trade] = []
        bars: list[Bar] = []
        rejected: list[Rejected] = []
        unknown: dict[str, int] = {}
        notices: list[TicktrailError] = []
        for frame in frames:
            for word in frame.payload.decode().split():
                mark, rest = word[0], word[1:]
                if mark == "!":
                    rejected.append(Rejected(word.encode(), "bad_word", f"cannot read {rest}"))
                elif mark == "?":
                    unknown[f"message:{rest}"] = unknown.get(f"message:{rest}", 0) + 1
                elif mark == "#":
                    notices.append({"again": AGAIN, "never": NEVER}[rest])
                elif mark == "%":
                    bars.append(msgspec.structs.replace(_BAR, symbol=rest))
                else:
                    trades.append(_trade(word, frame.ts_recv_ns or int(frame.origin)))
        columns: list[Columns[Any]] = []
        if trades:
            columns.append(Columns.from_records(Trade, trades))
        if bars:
            columns.append(Columns.from_records(Bar, bars))
        return Parsed(
            columns=tuple(columns), rejected=tuple(rejected), unknown=unknown, notices=tuple(notices)
        )

    async def close(self) -> None:
        self.calls.append("close")
        self._closed.set()

    def _stamped(self, item: str | Frame) -> Frame:
        frame = item if isinstance(item, Frame) else Frame(self._clock.now_ns(), item.encode())
        self.received.append(frame)
        self.on_receive(frame)
        return frame


def recorded(ts_ns: int, words: str) -> Frame:
    """Make a frame of a file: it has no receive time, its records have the event's."""
    return Frame(0, words.encode(), str(ts_ns))


def _trade(symbol: str, ts_ns: int) -> Trade:
    return Trade(
        feed=NAME,
        symbol=symbol,
        day=ts_ns // 86_400_000_000_000,
        ts_ns=ts_ns,
        event_id=0,
        ts_event_ns=ts_ns,
        ts_recv_ns=ts_ns,
        price=1.0,
        size=1.0,
        flags=int(Flag.UPDATES_LAST),
    )


_BAR = Bar(
    feed=NAME,
    symbol="",
    interval="1m",
    day=20_000,
    ts_open_ns=0,
    ts_close_ns=60_000_000_000,
    open=1.0,
    high=1.0,
    low=1.0,
    close=1.0,
    volume=1.0,
    vwap=1.0,
    trades=1,
    session="regular",
)
