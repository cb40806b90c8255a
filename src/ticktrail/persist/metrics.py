"""What persist counts: received = stored + dead letters + not stored + abandoned, once nothing is open.

What was abandoned was not committed: it is received again, here or by another process.
"""

from __future__ import annotations

from ticktrail.telemetry import Counter, Gauge, Latency, Sizes

__all__ = [
    "ABANDONED",
    "ASSIGNED",
    "BATCH",
    "CHECKPOINT_AGE",
    "DEAD_LETTERS",
    "LAG",
    "LAG_AGE",
    "LATENCY_EVENT",
    "LATENCY_RECV",
    "LOST",
    "NOT_STORED",
    "OPEN_POLLS",
    "RECEIVED",
    "RETRIES",
    "STORED",
    "UNKNOWN_FIELDS",
]

RECEIVED = Counter("ticktrail_persist_received_records_total", "Values taken from Kafka.", unit="records")
BATCH = Sizes(
    "ticktrail_persist_batch_records", "Values taken from Kafka and stored together.", unit="records"
)
STORED = Counter(
    "ticktrail_persist_stored_records_total",
    "Records acknowledged by the store.",
    labels=("table",),
    unit="records",
)
LOST = Counter(
    "ticktrail_persist_lost_offsets_total",
    "Offsets that Kafka deleted before they were read; each loss is a permanent gap row.",
    labels=("topic",),
    unit="offsets",
)
NOT_STORED = Counter(
    "ticktrail_persist_not_stored_records_total",
    "Records that have no table on purpose (heartbeats).",
    unit="records",
)
ABANDONED = Counter(
    "ticktrail_persist_abandoned_records_total",
    "Records given up before the store acknowledged them; they are read again from Kafka.",
    unit="records",
)
DEAD_LETTERS = Counter(
    "ticktrail_persist_dead_letters_total", "Values written to dead-letters.", unit="letters"
)
UNKNOWN_FIELDS = Counter(
    "ticktrail_persist_unknown_fields_total",
    "Fields skipped because this version does not know them.",
    unit="fields",
)
RETRIES = Counter("ticktrail_persist_retries_total", "Writes sent again after a failure.", unit="retries")
ASSIGNED = Gauge(
    "ticktrail_persist_assigned_partitions", "Partitions that this process reads.", unit="partitions"
)
LAG = Gauge(
    "ticktrail_persist_lag_records",
    "Values in the log behind the last one taken.",
    labels=("topic", "partition"),
    unit="records",
)
LAG_AGE = Gauge(
    "ticktrail_persist_lag_seconds",
    "Age of the last record read, in the partition that is furthest behind; 0 where none is.",
    unit="seconds",
)
OPEN_POLLS = Gauge(
    "ticktrail_persist_open_polls", "Polls whose writes are not all acknowledged.", unit="polls"
)
CHECKPOINT_AGE = Gauge(
    "ticktrail_persist_checkpoint_age_seconds",
    "Age of the oldest records that are taken and not committed: since they were taken, or acknowledged.",
    unit="seconds",
)
LATENCY_RECV = Latency(
    "ticktrail_persist_recv_to_stored_seconds", "From capture's receive time to the store's answer."
)
LATENCY_EVENT = Latency(
    "ticktrail_persist_event_to_stored_seconds", "From the venue's time to the store's answer."
)
