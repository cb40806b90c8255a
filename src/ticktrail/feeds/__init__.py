"""Sources of market data: one folder per vendor, files, and a simulated exchange."""

from ticktrail.feeds.base import (
    ALL_SYMBOLS,
    FRAME_BYTES_MAX,
    Feed,
    FeedFactory,
    Frame,
    Parsed,
    Rejected,
    Resubscribes,
    Subscription,
)

__all__ = [
    "ALL_SYMBOLS",
    "FRAME_BYTES_MAX",
    "Feed",
    "FeedFactory",
    "Frame",
    "Parsed",
    "Rejected",
    "Resubscribes",
    "Subscription",
]
