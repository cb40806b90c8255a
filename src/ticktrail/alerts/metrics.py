"""What the alerts stage counts."""

from __future__ import annotations

from ticktrail.telemetry import Counter, Gauge, Latency

__all__ = [
    "ASSIGNED",
    "CHECKPOINT_AGE",
    "DEAD_LETTERS",
    "EXPIRED",
    "FIRED",
    "LAG",
    "LATENCY_RECV",
    "LOST",
    "NOTIFIED",
    "READ",
    "RECORDED",
    "REJECTED",
    "RETRIES",
    "RULES",
    "STATES_LOST",
    "SUPPRESSED",
    "UNNOTIFIED",
]

READ = Counter(
    "ticktrail_alerts_read_records_total", "Values taken from Kafka.", labels=("source",), unit="records"
)
FIRED = Counter(
    "ticktrail_alerts_fired_alerts_total",
    "Alerts found; after a restart some are found again.",
    labels=("kind",),
    unit="alerts",
)
SUPPRESSED = Gauge(
    "ticktrail_alerts_suppressed_alerts",
    "How often rules came true within their cool-down.",
    labels=("reader",),
    unit="alerts",
)
RECORDED = Counter(
    "ticktrail_alerts_recorded_alerts_total", "Alerts acknowledged by the store.", unit="alerts"
)
LATENCY_RECV = Latency(
    "ticktrail_alerts_recv_to_fired_seconds", "From the log's time of a record to when its alert is in Kafka."
)
RETRIES = Counter("ticktrail_alerts_retries_total", "Writes tried again after a failure.", unit="retries")
RULES = Gauge("ticktrail_alerts_evaluated_rules", "Rules that are evaluated.", unit="rules")
REJECTED = Gauge(
    "ticktrail_alerts_rejected_values",
    "Values that are no records; persist writes them to dead-letters.",
    labels=("reader",),
    unit="values",
)
ASSIGNED = Gauge(
    "ticktrail_alerts_assigned_partitions",
    "Partitions that this process reads.",
    labels=("reader",),
    unit="partitions",
)
LAG = Gauge(
    "ticktrail_alerts_lag_records",
    "Values in the log behind the last one taken.",
    labels=("topic", "partition"),
    unit="records",
)
LOST = Counter(
    "ticktrail_alerts_lost_records_total",
    "Records that Kafka deleted before they were read.",
    unit="records",
)
STATES_LOST = Counter(
    "ticktrail_alerts_lost_states_total",
    "Partitions that began anew because the state of their position was not to be read.",
    unit="states",
)
CHECKPOINT_AGE = Gauge(
    "ticktrail_alerts_checkpoint_age_seconds",
    "How long the oldest state that is stored has waited to be committed.",
    labels=("reader",),
    unit="seconds",
)
NOTIFIED = Counter(
    "ticktrail_alerts_delivered_notifications_total",
    "Notifications delivered.",
    labels=("target",),
    unit="notifications",
)
UNNOTIFIED = Counter(
    "ticktrail_alerts_withheld_notifications_total",
    "Notifications withheld on purpose: quiet hours, a mute, a target that is gone.",
    labels=("reason",),
    unit="notifications",
)
EXPIRED = Counter(
    "ticktrail_alerts_expired_notifications_total",
    "Alerts too old to notify anybody.",
    unit="notifications",
)
DEAD_LETTERS = Counter(
    "ticktrail_alerts_buried_notifications_total",
    "Notifications given up and written to dead-letters.",
    labels=("target",),
    unit="notifications",
)
