"""Named events → structured logs; counters, latencies, sizes → Prometheus and snapshots."""

from ticktrail.telemetry.exporter import MetricsServer
from ticktrail.telemetry.latency import LatencyHistogram
from ticktrail.telemetry.log import Logger, configure_logging, get_logger
from ticktrail.telemetry.metrics import Counter, Gauge, Latency, Sizes, catalogue, isolated_registry
from ticktrail.telemetry.sizes import SizeHistogram
from ticktrail.telemetry.snapshot import Health, Reading, Snapshot, SnapshotWriter, read_snapshots, run_dir

__all__ = [
    "Counter",
    "Gauge",
    "Health",
    "Latency",
    "LatencyHistogram",
    "Logger",
    "MetricsServer",
    "Reading",
    "SizeHistogram",
    "Sizes",
    "Snapshot",
    "SnapshotWriter",
    "catalogue",
    "configure_logging",
    "get_logger",
    "isolated_registry",
    "read_snapshots",
    "run_dir",
]
