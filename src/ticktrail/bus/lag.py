"""How far behind a reader is, partition by partition, as a gauge."""

from __future__ import annotations

from collections.abc import Mapping

from ticktrail.bus.batches import Partition
from ticktrail.telemetry import Gauge

__all__ = ["LagGauge"]


class LagGauge:
    """Sets a gauge that has the labels ``topic`` and ``partition``.

    A partition that is read no more is 0 from then on: its lag is another reader's.
    """

    def __init__(self, gauge: Gauge) -> None:
        self._gauge = gauge
        self._known: set[Partition] = set()

    def set(self, lags: Mapping[Partition, int]) -> None:
        """Take the lags, in records, of all partitions that are read."""
        self._known |= lags.keys()
        for partition in self._known:
            lag = lags.get(partition, 0)
            self._gauge.set(lag, topic=partition.topic, partition=str(partition.number))
