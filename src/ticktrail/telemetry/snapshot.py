"""What a stage tells the others on this machine: one small JSON file, replaced about twice a second.

Each process of a stage writes ``<data_dir>/run/<stage>.json`` (several of one stage: ``persist-2.json``);
``ticktrail status`` and the live view read them all. A file needs no port, survives its writer, and shows
what a stage knew last.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec
import psutil

from ticktrail.clock import NS_PER_MS, NS_PER_SECOND, Clock
from ticktrail.telemetry.latency import LatencyHistogram
from ticktrail.telemetry.log import get_logger
from ticktrail.telemetry.metrics import Counter, registry
from ticktrail.telemetry.sizes import SizeHistogram

__all__ = ["Health", "Reading", "Sample", "Snapshot", "SnapshotWriter", "read_snapshots", "run_dir"]

WRITE_INTERVAL_NS = 500 * NS_PER_MS
# Six missed writes: a stage may well be busy for a second.
SILENT_AFTER_NS = 3 * NS_PER_SECOND

_log = get_logger("telemetry")

_FAILED = Counter(
    "ticktrail_failed_snapshots_total",
    "Snapshots that could not be written to the run directory.",
    unit="snapshots",
)


class Sample(msgspec.Struct, frozen=True):
    """One series' value.

    Parameters
    ----------
    name
        Of the metric.
    labels
        Name → value.
    value
        A number; for latencies what `LatencyHistogram.to_dict` gives, for sizes `SizeHistogram.to_dict`.
    """

    name: str
    labels: dict[str, str]
    value: Any


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The state of one stage process.

    Parameters
    ----------
    name
        The file's stem: ``"persist"``, ``"persist-2"``.
    kind
        Of the stage, however its process is called: ``"persist"``; empty where it did not say.
    pid
        Of the process.
    started_ns, ts_ns
        When it started, and when it wrote this: nanoseconds since 1970 in UTC.
    is_final
        True when the process has ended in order and this is its last word.
    counters, gauges, latencies, sizes
        Every series of its registry.
    view
        Whatever the stage wants to show, JSON-able: the bars that are forming, a position.
    """

    name: str
    pid: int
    started_ns: int
    ts_ns: int
    kind: str = ""
    is_final: bool = False
    counters: list[Sample] = []
    gauges: list[Sample] = []
    latencies: list[Sample] = []
    sizes: list[Sample] = []
    view: dict[str, Any] = {}

    def total(self, name: str, **labels: str) -> int:
        """Sum a counter over the series that have these labels."""
        return int(sum(sample.value for sample in _select(self.counters, name, labels)))

    def gauge(self, name: str, **labels: str) -> float:
        """Sum a gauge over the series that have these labels."""
        return float(sum(sample.value for sample in _select(self.gauges, name, labels)))

    def latency(self, name: str, **labels: str) -> LatencyHistogram:
        """Merge a latency metric over the series that have these labels."""
        merged = LatencyHistogram()
        for sample in _select(self.latencies, name, labels):
            merged += LatencyHistogram.from_dict(sample.value)
        return merged

    def size(self, name: str, **labels: str) -> SizeHistogram:
        """Merge a metric of sizes over the series that have these labels."""
        merged = SizeHistogram()
        for sample in _select(self.sizes, name, labels):
            merged += SizeHistogram.from_dict(sample.value)
        return merged


class Health(StrEnum):
    """How a snapshot's writer fares."""

    RUNNING = "running"
    SILENT = "silent"  # alive, but has not written for `SILENT_AFTER_NS`
    STOPPED = "stopped"  # in order
    DEAD = "dead"  # without a last word


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """A snapshot as found.

    Parameters
    ----------
    snapshot
        What the stage wrote.
    age_ns
        How long ago; may be slightly negative when the clock was set back.
    health
        What that and the process table say of the stage.
    rss_bytes
        Resident memory of its process; None where that is gone.
    """

    snapshot: Snapshot
    age_ns: int
    health: Health
    rss_bytes: int | None = None


def run_dir(data_dir: Path) -> Path:
    """Tell where the snapshots of a data directory stand."""
    return data_dir / "run"


class SnapshotWriter:
    """Writes a stage's snapshots; call `write` as often as convenient, for instance once per batch.

    Parameters
    ----------
    path
        The file; its directory is made. Two live processes must not share it.
    clock
        Dates the snapshots and limits their rate.
    kind
        Of the stage.
    """

    def __init__(self, path: Path, clock: Clock, kind: str = "") -> None:
        self._path = path
        self._kind = kind
        self._partial = path.with_suffix(f".{os.getpid()}.partial")
        self._clock = clock
        self._started_ns = clock.now_ns()
        self._due_ns = clock.monotonic_ns()
        self._has_failed = False

    def write(self, view: Mapping[str, Any] | Callable[[], Mapping[str, Any]]) -> bool:
        """Replace the file, if half a second has passed since the last time.

        Parameters
        ----------
        view
            The stage's own part, JSON-able; a function is called only when a write is due.

        Returns
        -------
        Whether it was written. A failure (a full disk) is counted and logged once, never raised: a stage
        must not stop because nobody can watch it.
        """
        now_ns = self._clock.monotonic_ns()
        if now_ns < self._due_ns:
            return False
        self._due_ns = now_ns + WRITE_INTERVAL_NS
        return self._replace(view() if callable(view) else view, is_final=False)

    def close(self, view: Mapping[str, Any]) -> None:
        """Write the last word, whenever the last write was."""
        self._replace(view, is_final=True)

    def _replace(self, view: Mapping[str, Any], *, is_final: bool) -> bool:
        snapshot = Snapshot(
            name=self._path.stem,
            kind=self._kind,
            pid=os.getpid(),
            started_ns=self._started_ns,
            ts_ns=self._clock.now_ns(),
            is_final=is_final,
            view=dict(view),
            **_samples(),
        )
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._partial.write_bytes(msgspec.json.encode(snapshot, enc_hook=_encode_number))
            self._partial.replace(self._path)
        except OSError as error:
            _FAILED.inc()
            if not self._has_failed:
                _log.warning("snapshot.failed", path=str(self._path), error=error)
            self._has_failed = True
            return False
        self._has_failed = False
        return True


def read_snapshots(directory: Path, clock: Clock) -> list[Reading]:
    """Read the last snapshot of every stage, by name.

    A file that is no snapshot (of another version, say) is passed over with a warning.
    """
    readings = []
    for path in sorted(directory.glob("*.json"), key=lambda path: path.stem):
        try:
            snapshot = msgspec.json.decode(path.read_bytes(), type=Snapshot)
        except FileNotFoundError:
            continue  # removed since the listing
        except (OSError, msgspec.MsgspecError) as error:
            _log.warning("snapshot.unreadable", path=str(path), error=error)
            continue
        age_ns = clock.now_ns() - snapshot.ts_ns
        rss_bytes = None if snapshot.is_final else _rss_bytes(snapshot)
        health = _health(snapshot, age_ns, is_alive=rss_bytes is not None)
        readings.append(Reading(snapshot=snapshot, age_ns=age_ns, health=health, rss_bytes=rss_bytes))
    return readings


def _health(snapshot: Snapshot, age_ns: int, *, is_alive: bool) -> Health:
    if snapshot.is_final:
        return Health.STOPPED
    if not is_alive:
        return Health.DEAD
    return Health.SILENT if age_ns > SILENT_AFTER_NS else Health.RUNNING


def _rss_bytes(snapshot: Snapshot) -> int | None:
    """Ask for the memory of a snapshot's writer; None where it is gone, 0 where it is another user's."""
    try:
        process = psutil.Process(snapshot.pid)
        # Numbers are used again: a process born after this snapshot is another one.
        born_later = process.create_time() * NS_PER_SECOND > snapshot.ts_ns + NS_PER_SECOND
        if born_later or process.status() == psutil.STATUS_ZOMBIE:
            return None
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return None
    except psutil.AccessDenied:
        return 0


def _samples() -> dict[str, list[Sample]]:
    samples: dict[str, list[Sample]] = {"counters": [], "gauges": [], "latencies": [], "sizes": []}
    lists = {"counter": "counters", "gauge": "gauges", "latency": "latencies", "sizes": "sizes"}
    for series in registry().series():
        is_distribution = isinstance(series.value, LatencyHistogram | SizeHistogram)
        value = series.value.to_dict() if is_distribution else series.value
        samples[lists[series.metric.kind]].append(Sample(series.metric.name, series.labels, value))
    return samples


def _select(samples: list[Sample], name: str, labels: Mapping[str, str]) -> list[Sample]:
    return [s for s in samples if s.name == name and labels.items() <= s.labels.items()]


def _encode_number(value: Any) -> Any:
    """Let NumPy's scalars and arrays, and anything else by its repr, stand in a view."""
    return value.tolist() if hasattr(value, "tolist") else repr(value)
