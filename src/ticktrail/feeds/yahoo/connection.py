"""The dialogue with Yahoo's stream: ask, and keep asking.

The venue confirms nothing and says nothing about symbols that it does not know. It forgets a subscription
that is not repeated.

Source: the dialogue of Yahoo Finance's own pages and public clients, read in 2026; Yahoo documents nothing.
"""

from __future__ import annotations

import asyncio

from ticktrail.clock import Clock
from ticktrail.errors import FeedDisconnected, UsageError
from ticktrail.feeds.base import ALL_SYMBOLS, Frame, Subscription
from ticktrail.feeds.websocket import WebSocketConnection
from ticktrail.feeds.yahoo.config import YahooConfig
from ticktrail.feeds.yahoo.symbols import to_yahoo
from ticktrail.feeds.yahoo.wire import subscribe_request

__all__ = ["YahooConnection"]


class YahooConnection:
    """One connection at a time, subscribed.

    Parameters
    ----------
    config
        Where to dial.
    subscription
        What to ask for; kinds other than ``"trades"`` are passed over, since Yahoo has none.
    clock
        Stamps the frames, and tells when to ask again.

    Raises
    ------
    UsageError
        The subscription names no symbols, or all, or no trades.
    """

    def __init__(self, config: YahooConfig, subscription: Subscription, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._request = subscribe_request(_symbols(subscription))
        self._socket = WebSocketConnection(
            feed="yahoo", url=config.url, clock=clock, open_timeout_s=config.open_timeout_s
        )
        self._asking: asyncio.Task[None] | None = None

    async def connect(self) -> None:
        """Dial and subscribe; see `ticktrail.feeds.base.Feed.connect`."""
        await self.close()
        await self._socket.open()
        try:
            await self._socket.send(self._request)
        except BaseException:  # also a cancellation must not leave a half-open connection behind
            await self._socket.close()
            raise
        self._asking = asyncio.create_task(self._ask_again(), name="yahoo-subscribe")

    async def receive(self) -> Frame:
        """Wait for the next frame; see `ticktrail.feeds.base.Feed.receive`."""
        return await self._socket.receive()

    async def close(self) -> None:
        """Close; safe to call twice and before `connect`."""
        asking, self._asking = self._asking, None
        if asking is not None:
            asking.cancel()
            await asyncio.wait([asking])
        await self._socket.close()

    async def _ask_again(self) -> None:
        while True:
            await self._clock.sleep(self._config.subscribe_every_s)
            try:
                await self._socket.send(self._request)
            except FeedDisconnected:
                return  # whoever receives learns of it, too, and connects again


def _symbols(subscription: Subscription) -> list[str]:
    symbols = list(dict.fromkeys(map(to_yahoo, subscription.symbols)))
    why = ""
    if ALL_SYMBOLS in symbols:
        why = "it cannot send all symbols"
    elif not symbols:
        why = "no symbols were named"
    elif "trades" not in subscription.kinds:
        why = "it has nothing but snapshots of trades"
    if why:
        raise UsageError(
            what="Feed yahoo cannot be asked for that",
            why=why,
            next_step="Name symbols, such as AAPL,MSFT,BTC-USD, and the kind trades.",
        )
    return symbols
