"""What capture counts.

Every message of every frame becomes a record, a rejected one or an unknown one. Every record is acknowledged
by Kafka, waits for it (in memory or in the spool), or is lost, which the ledger of gaps tells.
"""

from __future__ import annotations

from ticktrail.telemetry import Counter, Gauge, Latency, Sizes

__all__ = [
    "ALARMS",
    "BATCH",
    "BYTES",
    "DISCONNECTS",
    "DRAINED",
    "FRAMES",
    "GAPS",
    "GAPS_PENDING",
    "LAG_AGE",
    "LATENCY_RECV",
    "LOST",
    "QUEUED_FRAMES",
    "RECONNECTS",
    "RECORDS",
    "REJECTED",
    "SILENT_SYMBOLS",
    "SKEW",
    "SPOOLED",
    "SPOOL_AGE",
    "SPOOL_BYTES",
    "SPOOL_DAMAGED",
    "SPOOL_TORN",
    "UNKNOWN",
    "begin",
]

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
LAG_AGE = Gauge(
    "ticktrail_capture_lag_seconds",
    "Age of the oldest frame received and not yet parsed; 0 where none is.",
    labels=("feed",),
    unit="seconds",
)
BATCH = Sizes(
    "ticktrail_capture_batch_records",
    "Records parsed and handed over together.",
    labels=("feed",),
    unit="records",
)
LATENCY_RECV = Latency(
    "ticktrail_capture_recv_to_sent_seconds",
    "From the receipt of a frame to when its records were handed to Kafka, or to the spool.",
    labels=("feed",),
)
SKEW = Latency(
    "ticktrail_capture_event_to_recv_seconds",
    "From the venue's time to our receive time; negative where the clocks differ.",
    labels=("feed",),
)
LOST = Counter(
    "ticktrail_capture_lost_records_total",
    "Records that neither Kafka nor the spool had room for; the ledger of gaps has their window.",
    labels=("feed", "reason"),
    unit="records",
)
DISCONNECTS = Counter(
    "ticktrail_capture_disconnects_total",
    "Ends of connections, by cause.",
    labels=("feed", "cause"),
    unit="disconnects",
)
ALARMS = Counter(
    "ticktrail_capture_silence_alarms_total",
    "Silences that the usual rate does not explain, of the feed or of a symbol.",
    labels=("feed", "scope"),
    unit="alarms",
)
SILENT_SYMBOLS = Gauge(
    "ticktrail_capture_silent_symbols",
    "Symbols whose silence raised an alarm.",
    labels=("feed",),
    unit="symbols",
)
GAPS = Counter(
    "ticktrail_capture_gaps_total",
    "Rows written to the ledger.",
    labels=("feed", "cause", "state"),
    unit="gaps",
)
GAPS_PENDING = Gauge(
    "ticktrail_capture_pending_gaps",
    "Interruptions that last, or of which it is not known yet whether another capture covered them.",
    labels=("feed",),
    unit="gaps",
)
SPOOLED = Counter(
    "ticktrail_capture_spooled_messages_total",
    "Messages written to the spool because Kafka took none.",
    labels=("feed",),
    unit="messages",
)
DRAINED = Counter(
    "ticktrail_capture_drained_messages_total",
    "Messages sent to Kafka from the spool.",
    labels=("feed",),
    unit="messages",
)
SPOOL_BYTES = Gauge("ticktrail_capture_spool_bytes", "Size of the spool.", labels=("feed",), unit="bytes")
SPOOL_AGE = Gauge(
    "ticktrail_capture_spool_oldest_seconds",
    "Age of the oldest frame in the spool.",
    labels=("feed",),
    unit="seconds",
)
SPOOL_TORN = Counter(
    "ticktrail_capture_spool_torn_bytes_total",
    "Frames that were cut off when the process before died: left out.",
    labels=("feed",),
    unit="bytes",
)
SPOOL_DAMAGED = Counter(
    "ticktrail_capture_spool_damaged_bytes_total",
    "Frames that were changed on disk: left out, kept in files named .damaged, told in the ledger.",
    labels=("feed",),
    unit="bytes",
)


def begin(feed: str) -> None:
    """Let a feed's counters stand at 0: who reads them sees a rise only from a value that was there."""
    for counter in (BYTES, FRAMES, RECONNECTS, SPOOLED, DRAINED, SPOOL_TORN, SPOOL_DAMAGED):
        counter.labels(feed=feed)
