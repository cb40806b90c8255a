"""The Alpaca feed: connection and parser behind the contract of `ticktrail.feeds.base`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ticktrail.clock import Clock
from ticktrail.feeds.alpaca.config import AlpacaConfig, read_config
from ticktrail.feeds.alpaca.connection import AlpacaConnection
from ticktrail.feeds.alpaca.parse import AlpacaParser
from ticktrail.feeds.base import Frame, Parsed, Subscription
from ticktrail.reference.sessions import US_EQUITIES, sessions

__all__ = ["AlpacaFeed", "make_feed"]


class AlpacaFeed:
    """Alpaca's stock stream, or anything that speaks its protocol.

    Parameters
    ----------
    config
        How to reach it.
    subscription
        What to ask for.
    clock
        Stamps the frames.
    name
        Of the feed, in records and errors.

    Raises
    ------
    UsageError
        The subscription asks for nothing, or for a kind that Alpaca does not have.
    """

    is_live = True

    def __init__(
        self, config: AlpacaConfig, subscription: Subscription, clock: Clock, *, name: str = "alpaca"
    ) -> None:
        self.name = name
        if "bars" in subscription.kinds:
            # Loads the exchange's calendar now, which takes a second, rather than when the first bar comes.
            sessions(np.zeros(1, np.int64), US_EQUITIES)
        self._connection = AlpacaConnection(name, config, subscription, clock)
        self._parser = AlpacaParser(name, config.encoding, config.quote_size_unit)

    async def connect(self) -> None:
        await self._connection.connect()

    async def receive(self) -> Frame | None:
        return await self._connection.receive()

    def parse(self, frames: Sequence[Frame]) -> Parsed:
        return self._parser.parse(frames)

    async def close(self) -> None:
        await self._connection.close()


def make_feed(
    settings: Mapping[str, Any], subscription: Subscription, clock: Clock, *, name: str = "alpaca"
) -> AlpacaFeed:
    """Build the feed from its section of the settings; a `ticktrail.feeds.base.FeedFactory`.

    Raises
    ------
    ConfigError
        A setting is unknown, missing, of the wrong type or out of range.
    UsageError
        The subscription asks for nothing, or for a kind that Alpaca does not have.
    """
    return AlpacaFeed(read_config(name, settings), subscription, clock, name=name)
