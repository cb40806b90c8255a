"""Trades to bars."""

from ticktrail.bars.engine import BarBuilder
from ticktrail.bars.history import MinuteHistory
from ticktrail.bars.step import AHEAD_NS_MAX, BarCounts, Step
from ticktrail.bars.window import bars_of

__all__ = ["AHEAD_NS_MAX", "BarBuilder", "BarCounts", "MinuteHistory", "Step", "bars_of"]
