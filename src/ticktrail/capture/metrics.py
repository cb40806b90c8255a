"""What capture counts: every message of every frame becomes a record, a rejected one or an unknown one."""

from __future__ import annotations

from ticktrail.telemetry import Counter, Gauge, Latency

__all__ = ["BYTES", "FRAMES", "QUEUED_FRAMES", "RECONNECTS", "RECORDS", "REJECTED", "SKEW", "UNKNOWN"]

BYTES = Counter(
    "ticktrail_capture_received_bytes_total",
    "Payload of the frames received.",
    labels=("feed",),
    unit="bytes",
)
FRAMES = Counter(
    "ticktrail_capture_received_frames_total", "Frames received.", labels=("feed",), unit="frames"
)
RECORDS = Counter(
    "ticktrail_capture_sent_records_total",
    "Records handed to Kafka.",
    labels=("feed", "kind"),
    unit="records",
)
REJECTED = Counter(
    "ticktrail_capture_rejected_messages_total",
    "Messages that could not be read; each is in dead-letters.",
    labels=("feed", "reason"),
    unit="messages",
)
UNKNOWN = Counter(
    "ticktrail_capture_unknown_items_total",
    "Message kinds and fields that the feed's parser does not know.",
    labels=("feed", "item"),
    unit="items",
)
RECONNECTS = Counter(
    "ticktrail_capture_reconnects_total",
    "Connections made after the first.",
    labels=("feed",),
    unit="reconnects",
)
QUEUED_FRAMES = Gauge(
    "ticktrail_capture_queued_frames", "Frames received and not yet parsed.", labels=("feed",), unit="frames"
)
SKEW = Latency(
    "ticktrail_capture_event_to_recv_seconds",
    "From the venue's time to our receive time; negative where the clocks differ.",
    labels=("feed",),
)
