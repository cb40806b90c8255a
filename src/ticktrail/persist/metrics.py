"""What persist counts: received = stored + dead letters + not stored, once nothing is open."""

from __future__ import annotations

from ticktrail.telemetry import Counter, Gauge, Latency

__all__ = [
    "ASSIGNED",
    "DEAD_LETTERS",
    "LAG",
    "LATENCY_EVENT",
    "LATENCY_RECV",
    "NOT_STORED",
    "OPEN_POLLS",
    "RECEIVED",
    "RETRIES",
    "STORED",
    "UNKNOWN_FIELDS",
]

RECEIVED = Counter("ticktrail_persist_received_records_total", "Values taken from Kafka.", unit="records")
STORED = Counter(
    "ticktrail_persist_stored_records_total",
    "Records acknowledged by the store.",
    labels=("table",),
    unit="records",
)
NOT_STORED = Counter(
    "ticktrail_persist_not_stored_records_total",
    "Records that have no table on purpose (heartbeats).",
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
    labels=("topic",),
    unit="records",
)
OPEN_POLLS = Gauge(
    "ticktrail_persist_open_polls", "Polls whose writes are not all acknowledged.", unit="polls"
)
LATENCY_RECV = Latency(
    "ticktrail_persist_recv_to_stored_seconds", "From capture's receive time to the store's answer."
)
LATENCY_EVENT = Latency(
    "ticktrail_persist_event_to_stored_seconds", "From the venue's time to the store's answer."
)
