"""A simulated exchange that speaks Alpaca's protocol over a real websocket, and keeps its own log."""

from ticktrail.feeds.sim.config import SYMBOLS_MAX, SimSettings, read_settings
from ticktrail.feeds.sim.faults import COPY, DROPPED, LATE_DELIVERY, SILENCED, Faults
from ticktrail.feeds.sim.log import KINDS, ExchangeLog, read_log
from ticktrail.feeds.sim.market import MarketModel
from ticktrail.feeds.sim.messages import MarketBatch
from ticktrail.feeds.sim.server import PATHS, Summary, serve
from ticktrail.feeds.sim.universe import Universe

__all__ = [
    "COPY",
    "DROPPED",
    "KINDS",
    "LATE_DELIVERY",
    "PATHS",
    "SILENCED",
    "SYMBOLS_MAX",
    "ExchangeLog",
    "Faults",
    "MarketBatch",
    "MarketModel",
    "SimSettings",
    "Summary",
    "Universe",
    "read_log",
    "read_settings",
    "serve",
]
