"""The Yahoo feed: connection and parser behind the contract of `ticktrail.feeds.base`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ticktrail.clock import Clock
from ticktrail.config import convert_section
from ticktrail.feeds.base import Frame, Parsed, Subscription
from ticktrail.feeds.yahoo.config import YahooConfig
from ticktrail.feeds.yahoo.connection import YahooConnection
from ticktrail.feeds.yahoo.parse import YahooParser

__all__ = ["YahooFeed", "make_feed"]


class YahooFeed:
    """Yahoo Finance's stream: keyless and unofficial.

    Parameters
    ----------
    config
        How to reach it.
    subscription
        What to ask for.
    clock
        Stamps the frames.

    Raises
    ------
    UsageError
        The subscription names no symbols, or all, or no trades.
    """

    name = "yahoo"
    is_live = True

    def __init__(self, config: YahooConfig, subscription: Subscription, clock: Clock) -> None:
        self._connection = YahooConnection(config, subscription, clock)
        self._parser = YahooParser(self.name)

    async def connect(self) -> None:
        await self._connection.connect()

    async def receive(self) -> Frame | None:
        return await self._connection.receive()

    def parse(self, frames: Sequence[Frame]) -> Parsed:
        return self._parser.parse(frames)

    async def close(self) -> None:
        await self._connection.close()


def make_feed(settings: Mapping[str, Any], subscription: Subscription, clock: Clock) -> YahooFeed:
    """Build the feed from its section of the settings; a `ticktrail.feeds.base.FeedFactory`.

    Raises
    ------
    ConfigError
        A setting is unknown, of the wrong type or out of range.
    UsageError
        The subscription names no symbols, or all, or no trades.
    """
    config = convert_section(settings, YahooConfig, path="feeds.yahoo")
    return YahooFeed(config, subscription, clock)
