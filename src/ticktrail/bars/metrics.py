"""What the bars stage counts.

Every trade stands in a bar, is a repeat, or is counted as late or ahead; the windows of the latter are dirty
until they are rebuilt.
"""

from __future__ import annotations

from ticktrail.telemetry import Counter, Gauge, Latency, Sizes

__all__ = [
    "AHEAD",
    "ASSIGNED",
    "BARS",
    "BATCH",
    "CHECKPOINT_AGE",
    "CORRECTIONS",
    "DIRTY",
    "FORGOTTEN",
    "LAG",
    "LAG_AGE",
    "LATE",
    "LATENCY_RECV",
    "LOST",
    "REBUILT",
    "REJECTED",
    "RETRIES",
    "REVISED",
    "TRADES",
    "WAITING",
]

TRADES = Counter("ticktrail_bars_read_trades_total", "Trades taken from Kafka.", unit="trades")
BATCH = Sizes("ticktrail_bars_batch_records", "Values taken from Kafka together.", unit="records")
LATENCY_RECV = Latency(
    "ticktrail_bars_recv_to_read_seconds", "From capture's receive time to when a trade stands in its bars."
)
BARS = Counter("ticktrail_bars_closed_bars_total", "Bars closed.", labels=("interval",), unit="bars")
LATE = Counter(
    "ticktrail_bars_late_trades_total",
    "Trades that came after their second (interval 1s) or minute (1m) had closed.",
    labels=("interval",),
    unit="trades",
)
AHEAD = Counter(
    "ticktrail_bars_ahead_trades_total",
    "Trades more than an hour ahead of their receive time; their windows are rebuilt when they have closed.",
    unit="trades",
)
CORRECTIONS = Counter(
    "ticktrail_bars_read_corrections_total", "Corrections and cancels taken from Kafka.", unit="corrections"
)
REBUILT = Counter(
    "ticktrail_bars_rebuilt_windows_total", "Minutes of symbols built again from the store.", unit="windows"
)
REVISED = Counter(
    "ticktrail_bars_revised_bars_total",
    "Bars written with a new revision because a rebuild found other content.",
    labels=("interval",),
    unit="bars",
)
FORGOTTEN = Counter(
    "ticktrail_bars_forgotten_windows_total",
    "Windows of trades ahead without room in the state, or dropped at a loss; to be rebuilt by hand.",
    unit="windows",
)
DIRTY = Gauge(
    "ticktrail_bars_dirty_windows",
    "Closed windows, and corrections not looked up, that wait for persist and then for their rebuild.",
    unit="windows",
)
WAITING = Gauge(
    "ticktrail_bars_waiting_windows",
    "Windows that will be rebuilt once they have closed.",
    unit="windows",
)
REJECTED = Counter(
    "ticktrail_bars_rejected_values_total",
    "Values that are no records; persist writes them to dead-letters.",
    unit="values",
)
RETRIES = Counter(
    "ticktrail_bars_retries_total", "Writes and rebuilds tried again after a failure.", unit="retries"
)
ASSIGNED = Gauge(
    "ticktrail_bars_assigned_partitions", "Partitions that this process reads.", unit="partitions"
)
LOST = Counter(
    "ticktrail_bars_lost_records_total",
    "Records that Kafka deleted before they were read; `ticktrail bars --rebuild` mends their days.",
    unit="records",
)
LAG = Gauge(
    "ticktrail_bars_lag_records",
    "Values in the log behind the last one taken.",
    labels=("topic", "partition"),
    unit="records",
)
LAG_AGE = Gauge(
    "ticktrail_bars_lag_seconds",
    "Age of the last record read, in the partition that is furthest behind; 0 where none is.",
    unit="seconds",
)
CHECKPOINT_AGE = Gauge(
    "ticktrail_bars_checkpoint_age_seconds",
    "How long the oldest position that is acknowledged has waited to be committed.",
    unit="seconds",
)
