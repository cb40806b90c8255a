"""What the server of the page counts."""

from __future__ import annotations

from ticktrail.telemetry import Counter, Gauge, Latency

__all__ = [
    "CLIENTS",
    "CONFLATED",
    "DROPPED",
    "LAG",
    "LATENCY_RECV",
    "MESSAGES",
    "REFUSED",
    "REJECTED",
    "SKIPPED",
    "VALUES",
]

VALUES = Counter("ticktrail_serve_read_values_total", "Values taken from Kafka.", unit="values")
REJECTED = Counter("ticktrail_serve_rejected_values_total", "Values that are no records.", unit="values")
SKIPPED = Counter(
    "ticktrail_serve_skips_total",
    "How often the log no longer had what was to be read next.",
    unit="skips",
)
MESSAGES = Counter("ticktrail_serve_sent_messages_total", "Messages sent to live clients.", unit="messages")
CONFLATED = Counter(
    "ticktrail_serve_conflated_clients_total", "How often a client was slowed down.", unit="clients"
)
DROPPED = Counter(
    "ticktrail_serve_dropped_clients_total", "Clients that were let go.", labels=("reason",), unit="clients"
)
REFUSED = Counter(
    "ticktrail_serve_refused_requests_total",
    "Requests that were refused: no token, a foreign origin or host, too many, too slow.",
    labels=("reason",),
    unit="requests",
)
CLIENTS = Gauge("ticktrail_serve_clients", "Live clients that are connected.", unit="clients")
LAG = Gauge("ticktrail_serve_lag_records", "Values that are in Kafka and not taken.", unit="records")
LATENCY_RECV = Latency(
    "ticktrail_serve_recv_to_read_seconds", "From capture's receipt of a trade to the server's state."
)
