"""What the bars stage counts: every trade stands in a bar, is a repeat, or is counted as late or ahead."""

from __future__ import annotations

from ticktrail.telemetry import Counter, Gauge

__all__ = ["AHEAD", "ASSIGNED", "BARS", "LAG", "LATE", "REJECTED", "RETRIES", "TRADES"]

TRADES = Counter("ticktrail_bars_read_trades_total", "Trades taken from Kafka.", unit="trades")
BARS = Counter("ticktrail_bars_closed_bars_total", "Bars closed.", labels=("interval",), unit="bars")
LATE = Counter(
    "ticktrail_bars_late_trades_total",
    "Trades that came after their second (interval 1s) or minute (1m) had closed.",
    labels=("interval",),
    unit="trades",
)
AHEAD = Counter(
    "ticktrail_bars_ahead_trades_total",
    "Trades too far ahead of their receive time to stand in a bar.",
    unit="trades",
)
REJECTED = Counter(
    "ticktrail_bars_rejected_values_total",
    "Values that are no records; persist writes them to dead-letters.",
    unit="values",
)
RETRIES = Counter("ticktrail_bars_retries_total", "Writes sent again after a failure.", unit="retries")
ASSIGNED = Gauge(
    "ticktrail_bars_assigned_partitions", "Partitions that this process reads.", unit="partitions"
)
LAG = Gauge("ticktrail_bars_lag_records", "Values in the log behind the last one taken.", unit="records")
