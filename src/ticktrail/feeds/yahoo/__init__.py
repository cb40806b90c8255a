"""Yahoo Finance's keyless, unofficial stream: price snapshots of stocks, funds, indices and coins."""

from ticktrail.feeds.yahoo.feed import YahooFeed, make_feed

__all__ = ["YahooFeed", "make_feed"]
