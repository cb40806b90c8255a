"""Alpaca's stock stream, version 2."""

from ticktrail.feeds.alpaca.config import AlpacaConfig
from ticktrail.feeds.alpaca.feed import AlpacaFeed, make_feed

__all__ = ["AlpacaConfig", "AlpacaFeed", "make_feed"]
