"""What a pipeline has done, summed up from its stages' snapshots."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, fields, replace

from ticktrail.clock import NS_PER_MS
from ticktrail.telemetry import LatencyHistogram, Snapshot

__all__ = ["Totals", "milliseconds", "totals_of"]

_SENT = "ticktrail_capture_sent_records_total"
_STORED = "ticktrail_persist_stored_records_total"


@dataclass(frozen=True, kw_only=True)
class Totals:
    """What a pipeline has done since it was started.

    Parameters
    ----------
    received
        Records of the feed that capture handed to Kafka; the rows of the gap ledger are none.
    stored
        Those acknowledged by Cassandra; the bars that are built here not counted.
    refused
        Records that the store refused, or that could not be read again; they are dead letters.
    rejected
        Messages of the feed that are no records; they are dead letters, too.
    late
        Trades that came after their minute's bar had closed.
    unknown
        What the feed's parser passed over, by label: kinds of messages and fields that it does not know,
        symbols that were not asked for.
    """

    received: int = 0
    stored: int = 0
    bars: int = 0
    refused: int = 0
    rejected: int = 0
    late: int = 0
    reconnects: int = 0
    unknown: dict[str, int]
    event_to_stored: LatencyHistogram
    recv_to_stored: LatencyHistogram

    @property
    def letters(self) -> int:
        """Values in dead-letters."""
        return self.refused + self.rejected

    @property
    def on_the_way(self) -> int:
        """Records received and neither stored nor refused yet: in capture, in Kafka or in persist."""
        return max(0, self.received - self.stored - self.refused)

    @property
    def surplus(self) -> int:
        """Records stored beyond those received: of an earlier run, or once more after a break."""
        return max(0, self.stored + self.refused - self.received)

    def since(self, earlier: Totals) -> Totals:
        """Leave out what had been done before; labels are kept."""
        names = [f.name for f in fields(self) if f.name != "unknown"]
        return replace(self, **{name: getattr(self, name) - getattr(earlier, name) for name in names})


def totals_of(snapshots: dict[str, Snapshot]) -> Totals:
    """Sum up the stages' counters."""
    capture = snapshots.get("capture")
    persist = snapshots.get("persist")
    bars = snapshots.get("bars")

    def total(snapshot: Snapshot | None, name: str, **labels: str) -> int:
        return snapshot.total(name, **labels) if snapshot is not None else 0

    def latency(name: str) -> LatencyHistogram:
        return persist.latency(name) if persist is not None else LatencyHistogram()

    return Totals(
        received=total(capture, _SENT) - total(capture, _SENT, kind="gap"),
        stored=total(persist, _STORED) - total(persist, _STORED, table="gaps"),
        bars=total(bars, "ticktrail_bars_closed_bars_total"),
        refused=total(persist, "ticktrail_persist_dead_letters_total"),
        rejected=total(capture, "ticktrail_capture_rejected_messages_total"),
        late=total(bars, "ticktrail_bars_late_trades_total", interval="1m"),
        reconnects=total(capture, "ticktrail_capture_reconnects_total"),
        unknown=_passed_over(capture),
        event_to_stored=latency("ticktrail_persist_event_to_stored_seconds"),
        recv_to_stored=latency("ticktrail_persist_recv_to_stored_seconds"),
    )


def _passed_over(capture: Snapshot | None) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for sample in capture.counters if capture is not None else ():
        if sample.name == "ticktrail_capture_unknown_items_total":
            counts[sample.labels["item"]] += int(sample.value)
    return dict(counts.most_common())


def milliseconds(histogram: LatencyHistogram, quantile: float) -> str:
    """Print a quantile, or a dash while nothing was observed."""
    value_ns = histogram.quantile_ns(quantile)
    return "–" if math.isnan(value_ns) else f"{value_ns / NS_PER_MS:.1f} ms"
