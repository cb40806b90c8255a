"""Fakes and contract suites, shipped for authors of plug-ins. Product code never imports this."""

from ticktrail.testing.fake_clock import FakeClock
from ticktrail.testing.feed_contract import CHECKS, FeedCase

__all__ = ["CHECKS", "FakeClock", "FeedCase"]
