"""A feed, made from the settings, whoever wrote it."""

from __future__ import annotations

from ticktrail.clock import Clock
from ticktrail.config import Settings
from ticktrail.feeds import Feed, Subscription
from ticktrail.feeds.registry import get

__all__ = ["make_feed"]


def make_feed(name: str, settings: Settings, subscription: Subscription, clock: Clock) -> Feed:
    """Make a feed by its name, with its section of the settings; raises as `FeedEntry.make` does."""
    return get(name).make(settings.feeds.get(name, {}), subscription, clock)
