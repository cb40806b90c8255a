"""How each stage fares, from the difference of two of its snapshots."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ticktrail.clock import NS_PER_MS, NS_PER_SECOND
from ticktrail.telemetry.latency import LatencyHistogram
from ticktrail.telemetry.sizes import SizeHistogram
from ticktrail.telemetry.snapshot import Health, Reading, Snapshot

__all__ = ["StageHistory", "StageRow", "partition_lags", "with_totals"]

# Rates, latencies and batches are those of the last seconds.
_WINDOW_NS = 5 * NS_PER_SECOND
_ORDER = ("exchange", "capture", "persist", "bars", "alerts", "serve")

N = TypeVar("N", int, float)


@dataclass(frozen=True, kw_only=True)
class _Names:
    """The metrics of one kind of stage; empty where it has none."""

    records: str
    latency: str = ""
    venue_latency: str = ""
    batch: str = ""
    retries: str = ""
    lag: str = ""
    queued_frames: str = ""
    lag_ages: tuple[str, ...] = ()
    dead_letters: str = ""
    spool: str = ""
    spool_age: str = ""
    checkpoint_age: str = ""


_NAMES = {
    "exchange": _Names(records="ticktrail_exchange_sent_records_total"),
    "capture": _Names(
        records="ticktrail_capture_sent_records_total",
        queued_frames="ticktrail_capture_queued_frames",
        # What is received and not parsed, or parsed and not in Kafka.
        lag_ages=("ticktrail_capture_lag_seconds", "ticktrail_capture_spool_oldest_seconds"),
        latency="ticktrail_capture_recv_to_sent_seconds",
        batch="ticktrail_capture_batch_records",
        retries="ticktrail_capture_reconnects_total",
        dead_letters="ticktrail_capture_rejected_messages_total",
        spool="ticktrail_capture_spool_bytes",
        spool_age="ticktrail_capture_spool_oldest_seconds",
    ),
    "persist": _Names(
        records="ticktrail_persist_stored_records_total",
        lag="ticktrail_persist_lag_records",
        lag_ages=("ticktrail_persist_lag_seconds",),
        latency="ticktrail_persist_recv_to_stored_seconds",
        venue_latency="ticktrail_persist_event_to_stored_seconds",
        batch="ticktrail_persist_batch_records",
        retries="ticktrail_persist_retries_total",
        dead_letters="ticktrail_persist_dead_letters_total",
        checkpoint_age="ticktrail_persist_checkpoint_age_seconds",
    ),
    "bars": _Names(
        records="ticktrail_bars_read_trades_total",
        lag="ticktrail_bars_lag_records",
        lag_ages=("ticktrail_bars_lag_seconds",),
        latency="ticktrail_bars_recv_to_read_seconds",
        batch="ticktrail_bars_batch_records",
        retries="ticktrail_bars_retries_total",
        checkpoint_age="ticktrail_bars_checkpoint_age_seconds",
    ),
    "alerts": _Names(
        records="ticktrail_alerts_read_records_total",
        lag="ticktrail_alerts_lag_records",
        latency="ticktrail_alerts_recv_to_fired_seconds",
        retries="ticktrail_alerts_retries_total",
        dead_letters="ticktrail_alerts_buried_notifications_total",
        checkpoint_age="ticktrail_alerts_checkpoint_age_seconds",
    ),
    "serve": _Names(
        records="ticktrail_serve_read_values_total",
        lag="ticktrail_serve_lag_records",
        latency="ticktrail_serve_recv_to_read_seconds",
    ),
}


@dataclass(frozen=True, kw_only=True)
class StageRow:
    """One process, or the processes of one kind together; None where that says nothing.

    Parameters
    ----------
    name
        Of the process; of a total the kind.
    state
        As `ticktrail status` has it; of a total how many run: ``2/3 run``.
    pid
        None for a total.
    age_s
        Since the last word; of a total the greatest.
    is_total
        Whether this sums up several processes.
    records_per_s
        What it sent (exchange, capture), stored (persist) or read (the others), over the last seconds.
    lag_records
        Behind the last one taken from Kafka.
    queued_frames
        Of capture: received and not parsed.
    lag_s
        How old what is next is.
    latency
        From capture's receipt to the end of this stage, of the last seconds.
    venue_latency
        From the venue's own time to the end of this stage: the whole way, and what two clocks differ by.
    batch
        Records handled together, of the last seconds.
    retries
        Since the start: connections made again (capture), writes and rebuilds tried again.
    """

    name: str
    kind: str
    state: str
    pid: int | None
    age_s: float
    is_total: bool = False
    is_running: bool = False
    records_per_s: float | None = None
    lag_records: int | None = None
    queued_frames: int | None = None
    lag_s: float | None = None
    latency: LatencyHistogram = field(default_factory=LatencyHistogram)
    venue_latency: LatencyHistogram = field(default_factory=LatencyHistogram)
    batch: SizeHistogram = field(default_factory=SizeHistogram)
    retries: int | None = None
    dead_letters: int | None = None
    spool_bytes: int | None = None
    spool_age_s: float | None = None
    checkpoint_age_s: float | None = None
    rss_bytes: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Give it for programs; see the reference page on metrics."""
        identity = {"stage": self.name} if self.pid is None else {"stage": self.name, "pid": self.pid}
        return {
            **identity,
            "kind": self.kind,
            "state": self.state,
            "age_s": round(self.age_s, 1),
            "records_per_s": _rounded(self.records_per_s, 1),
            "lag_records": self.lag_records,
            "queued_frames": self.queued_frames,
            "lag_s": _rounded(self.lag_s, 3),
            "latency_p50_ms": _rounded(self.latency.quantile_ns(0.5) / NS_PER_MS, 3),
            "latency_p99_ms": _rounded(self.latency.quantile_ns(0.99) / NS_PER_MS, 3),
            "venue_p50_ms": _rounded(self.venue_latency.quantile_ns(0.5) / NS_PER_MS, 3),
            "venue_p99_ms": _rounded(self.venue_latency.quantile_ns(0.99) / NS_PER_MS, 3),
            "batch_records": _rounded(self.batch.mean, 1),
            "retries": self.retries,
            "dead_letters": self.dead_letters,
            "spool_bytes": self.spool_bytes,
            "spool_age_s": _rounded(self.spool_age_s, 3),
            "checkpoint_age_s": _rounded(self.checkpoint_age_s, 3),
            "rss_bytes": self.rss_bytes,
        }


class StageHistory:
    """Remembers the last seconds' snapshots of every process, and tells what has changed since.

    Parameters
    ----------
    window_ns
        How far back a rate looks, as far as there are snapshots.
    """

    def __init__(self, window_ns: int = _WINDOW_NS) -> None:
        self._window_ns = window_ns
        self._words: dict[str, deque[Snapshot]] = {}

    def rows(self, readings: Iterable[Reading]) -> list[StageRow]:
        """Take what was read just now, and give a row for each process."""
        return [self._row(reading, self._earlier(reading.snapshot)) for reading in readings]

    def _earlier(self, word: Snapshot) -> Snapshot | None:
        """Give the snapshot to compare with: the newest one as old as the window, else the oldest."""
        words = self._words.setdefault(word.name, deque())
        # A process that was started again counts anew; a clock that was set back says nothing of the time.
        if words and (words[-1].started_ns != word.started_ns or words[-1].ts_ns > word.ts_ns):
            words.clear()
        if not words or words[-1].ts_ns < word.ts_ns:
            words.append(word)
        while len(words) > 2 and word.ts_ns - words[1].ts_ns >= self._window_ns:
            words.popleft()
        return words[0] if len(words) > 1 else None

    def _row(self, reading: Reading, earlier: Snapshot | None) -> StageRow:
        word = reading.snapshot
        kind = word.kind or word.name
        is_alive = reading.health in (Health.RUNNING, Health.SILENT)
        row: dict[str, Any] = {}
        if (names := _NAMES.get(kind)) is not None:
            row = _counted(word, names)
            # What stood in the gauges of a process that is gone is another one's now.
            row |= _standing(word, names) if is_alive else {}
            row |= _changed(word, earlier, names) if reading.health is Health.RUNNING and earlier else {}
        return StageRow(
            name=word.name,
            kind=kind,
            state=reading.health.value,
            pid=word.pid,
            age_s=reading.age_ns / NS_PER_SECOND,
            is_running=reading.health is Health.RUNNING,
            rss_bytes=reading.rss_bytes or None,
            **row,
        )


def _counted(word: Snapshot, names: _Names) -> dict[str, Any]:
    return {
        "retries": word.total(names.retries) if names.retries else None,
        "dead_letters": word.total(names.dead_letters) if names.dead_letters else None,
    }


def _standing(word: Snapshot, names: _Names) -> dict[str, Any]:
    return {
        "lag_records": _whole(_sum(_gauges(word, names.lag))),
        "queued_frames": _whole(_sum(_gauges(word, names.queued_frames))),
        "lag_s": _max(_gauges(word, *names.lag_ages)),
        "spool_bytes": _whole(_sum(_gauges(word, names.spool))),
        "spool_age_s": _max(_gauges(word, names.spool_age)),
        "checkpoint_age_s": _max(_gauges(word, names.checkpoint_age)),
    }


def _changed(word: Snapshot, earlier: Snapshot, names: _Names) -> dict[str, Any]:
    records = word.total(names.records) - earlier.total(names.records)
    return {
        "records_per_s": records * NS_PER_SECOND / (word.ts_ns - earlier.ts_ns),
        "latency": word.latency(names.latency) - earlier.latency(names.latency),
        "venue_latency": word.latency(names.venue_latency) - earlier.latency(names.venue_latency),
        "batch": word.size(names.batch) - earlier.size(names.batch),
    }


def partition_lags(readings: Iterable[Reading]) -> list[dict[str, Any]]:
    """Tell how far behind the processes of each kind are in each partition.

    Returns
    -------
    ``stage`` (the kind), ``topic``, ``partition``, ``lag_records``; in that order.
    """
    lags: dict[tuple[str, str, int], int] = {}
    for word in (reading.snapshot for reading in readings if reading.health is Health.RUNNING):
        kind = word.kind or word.name
        name = _NAMES[kind].lag if kind in _NAMES else ""
        for sample in word.gauges:
            if sample.name == name and sample.labels.keys() == {"topic", "partition"}:
                key = kind, sample.labels["topic"], int(sample.labels["partition"])
                lags[key] = lags.get(key, 0) + int(sample.value)
    names = ("stage", "topic", "partition", "lag_records")
    return [dict(zip(names, (*key, lag), strict=True)) for key, lag in sorted(lags.items())]


def with_totals(rows: Iterable[StageRow], *, only_totals: bool = False) -> list[StageRow]:
    """Order the rows as records pass, and sum up the kinds of which there are several processes.

    Parameters
    ----------
    only_totals
        Whether a total replaces the processes that it sums up instead of standing below them.
    """
    kinds: dict[str, list[StageRow]] = {kind: [] for kind in _ORDER}
    for row in rows:
        kinds.setdefault(row.kind, []).append(row)
    result: list[StageRow] = []
    for kind, group in kinds.items():
        if len(group) < 2 or not only_totals:
            result += group
        if len(group) > 1:
            result.append(_total(kind, group))
    return result


def _total(kind: str, group: Sequence[StageRow]) -> StageRow:
    def all_of(get: Callable[[StageRow], N | None]) -> list[N]:
        return [value for row in group if (value := get(row)) is not None]

    running = sum(row.is_running for row in group)
    return StageRow(
        name=kind,
        kind=kind,
        state=f"{running}/{len(group)} run",
        pid=None,
        age_s=max(row.age_s for row in group),
        is_total=True,
        is_running=running > 0,
        records_per_s=_sum(all_of(lambda row: row.records_per_s)),
        lag_records=_sum(all_of(lambda row: row.lag_records)),
        queued_frames=_sum(all_of(lambda row: row.queued_frames)),
        lag_s=_max(all_of(lambda row: row.lag_s)),
        latency=sum((row.latency for row in group), start=LatencyHistogram()),
        venue_latency=sum((row.venue_latency for row in group), start=LatencyHistogram()),
        batch=sum((row.batch for row in group), start=SizeHistogram()),
        retries=_sum(all_of(lambda row: row.retries)),
        dead_letters=_sum(all_of(lambda row: row.dead_letters)),
        spool_bytes=_sum(all_of(lambda row: row.spool_bytes)),
        spool_age_s=_max(all_of(lambda row: row.spool_age_s)),
        checkpoint_age_s=_max(all_of(lambda row: row.checkpoint_age_s)),
        rss_bytes=_sum(all_of(lambda row: row.rss_bytes)),
    )


def _gauges(word: Snapshot, *names: str) -> list[float]:
    return [float(sample.value) for sample in word.gauges if sample.name in names]


def _sum(values: list[N]) -> N | None:
    return sum(values) if values else None


def _max(values: list[float]) -> float | None:
    return max(values, default=None)


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None or not math.isfinite(value) else round(value, digits)
