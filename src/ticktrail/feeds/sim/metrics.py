"""What the simulated exchange counts: every record that is due is sent to somebody, or unsent."""

from __future__ import annotations

from ticktrail.telemetry import Counter, Gauge

__all__ = ["CLIENTS", "CONNECTIONS", "CUT", "FRAMES", "SENT", "UNSENT", "begin"]

CLIENTS = Gauge("ticktrail_exchange_clients", "Clients that are connected.", unit="clients")
CONNECTIONS = Counter(
    "ticktrail_exchange_accepted_connections_total", "Connections accepted.", unit="connections"
)
CUT = Counter(
    "ticktrail_exchange_cut_connections_total",
    "Connections that the exchange ended: the client read too slowly, or a fault was asked for.",
    labels=("reason",),
    unit="connections",
)
FRAMES = Counter(
    "ticktrail_exchange_sent_frames_total", "Frames handed to connections, each to each.", unit="frames"
)
SENT = Counter(
    "ticktrail_exchange_sent_records_total",
    "Records handed to at least one client.",
    labels=("channel",),
    unit="records",
)
UNSENT = Counter(
    "ticktrail_exchange_unsent_records_total",
    "Records that nobody was handed: nobody subscribed to them, or a fault was asked for.",
    labels=("channel",),
    unit="records",
)


def begin() -> None:
    """Let the usual series stand at 0: who reads them sees a rise only from a value that was there."""
    CLIENTS.set(0)
    for channel in ("trades", "quotes"):
        SENT.labels(channel=channel)
        UNSENT.labels(channel=channel)
    for reason in ("slow", "fault"):
        CUT.labels(reason=reason)
