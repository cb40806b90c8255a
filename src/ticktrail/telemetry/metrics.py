"""Counters, gauges, histograms: declared once, counted cheaply, read by Prometheus and snapshots.

A stage declares its metrics at module level::

    RECEIVED = Counter(
        "ticktrail_received_records_total", "Records that the feeds handed over.",
        labels=("feed", "kind"), unit="records",
    )

and counts a whole batch at once: ``RECEIVED.inc(len(batch), feed="alpaca", kind="trade")``. The
declarations are the catalogue (`catalogue`). The values live in a `Registry`; there is one per
process, and a test takes one of its own with `isolated_registry`.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from ticktrail.telemetry.latency import LatencyHistogram
from ticktrail.telemetry.sizes import SizeHistogram

__all__ = [
    "LABEL_SETS_MAX",
    "OVERFLOW_LABEL",
    "Counter",
    "CounterCell",
    "Gauge",
    "GaugeCell",
    "Latency",
    "LatencyCell",
    "Metric",
    "Registry",
    "Series",
    "Sizes",
    "SizesCell",
    "catalogue",
    "isolated_registry",
    "registry",
]

# Series cost memory for ever. A label that is not bounded is a mistake in the code; beyond this many
# the rest is counted together, under `OVERFLOW_LABEL`, so that sums stay right.
LABEL_SETS_MAX = 1_000
OVERFLOW_LABEL = "(other)"

_NAME = re.compile(r"ticktrail(_[a-z0-9]+)+")
_LABEL = re.compile(r"[a-z][a-z0-9_]*")


class CounterCell:
    """One series of a counter."""

    __slots__ = ("_lock", "value")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.value = 0

    def inc(self, n: int = 1) -> None:
        """Add `n` ≥ 0; any thread may."""
        if n < 0:
            raise ValueError(f"a counter cannot fall, got {n}")
        with self._lock:
            self.value += n


class GaugeCell:
    """One series of a gauge."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0.0

    def set(self, value: float) -> None:
        """Replace the value; any thread may."""
        self.value = float(value)


class LatencyCell:
    """One series of latencies."""

    __slots__ = ("_histogram", "_lock")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._histogram = LatencyHistogram()

    def observe_ns(self, latencies_ns: npt.NDArray[np.int64]) -> None:
        """Count a batch, shape ``(n,)``, nanoseconds, negative where clocks differ; any thread may."""
        with self._lock:
            self._histogram.observe_ns(latencies_ns)

    @property
    def value(self) -> LatencyHistogram:
        """A copy of what was counted so far."""
        with self._lock:
            return self._histogram + LatencyHistogram()


class SizesCell:
    """One series of sizes."""

    __slots__ = ("_histogram", "_lock")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._histogram = SizeHistogram()

    def observe(self, size: int) -> None:
        """Count one size ≥ 0; any thread may."""
        with self._lock:
            self._histogram.observe(size)

    @property
    def value(self) -> SizeHistogram:
        """A copy of what was counted so far."""
        with self._lock:
            return self._histogram + SizeHistogram()


C = TypeVar("C", CounterCell, GaugeCell, LatencyCell, SizesCell)


class Metric(Generic[C]):
    """Base of the declarations; use `Counter`, `Gauge`, `Latency` or `Sizes`.

    Parameters
    ----------
    name
        Prometheus name; begins with ``ticktrail_`` and ends with the unit (counters: unit and ``_total``).
    description
        One sentence for the catalogue and for Prometheus.
    labels
        Names of the labels; their values must come from a bounded set.
    unit
        Plural noun: ``"records"``, ``"bytes"``, ``"seconds"``.

    Raises
    ------
    ValueError
        The name breaks these rules, or another declaration has it already.
    """

    kind = ""
    _suffix = ""
    _cell: Callable[[], C]

    def __init__(self, name: str, description: str, *, labels: tuple[str, ...] = (), unit: str) -> None:
        ending = f"_{unit}{self._suffix}"
        if not _NAME.fullmatch(name) or not name.endswith(ending):
            raise ValueError(f"the {self.kind} {name!r} must be named ticktrail_…{ending}")
        if bad := [label for label in labels if not _LABEL.fullmatch(label)]:
            raise ValueError(f"{name} has labels with bad names: {bad}")
        self.name = name
        self.description = description
        self.label_names = labels
        self.unit = unit
        # A module may be loaded twice; two meanings of one name may not.
        if _CATALOGUE.setdefault(name, self) != self:
            raise ValueError(f"{name} is declared twice, differently")

    def _declaration(self) -> tuple[str, ...]:
        return (self.kind, self.name, self.description, self.unit, *self.label_names)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Metric) and self._declaration() == other._declaration()

    def __hash__(self) -> int:
        return hash(self.name)

    def labels(self, **labels: str) -> C:
        """Give one series, made when first asked for. Hot loops keep it instead of asking again.

        Raises
        ------
        ValueError
            The labels are not those of the declaration.
        """
        if len(labels) != len(self.label_names):
            raise ValueError(f"{self.name} has the labels {self.label_names}, got {tuple(labels)}")
        try:
            key = tuple([labels[name] for name in self.label_names])
        except KeyError:
            raise ValueError(f"{self.name} has the labels {self.label_names}, got {tuple(labels)}") from None
        return registry().cell(self, key)


class Counter(Metric[CounterCell]):
    """Declares something that only grows."""

    kind = "counter"
    _suffix = "_total"
    _cell = CounterCell

    def inc(self, n: int = 1, **labels: str) -> None:
        """Add `n`, once per batch and not per record."""
        self.labels(**labels).inc(n)


class Gauge(Metric[GaugeCell]):
    """Declares a value that goes up and down."""

    kind = "gauge"
    _cell = GaugeCell

    def set(self, value: float, **labels: str) -> None:
        """Replace the value."""
        self.labels(**labels).set(value)


class Latency(Metric[LatencyCell]):
    """Declares a distribution of latencies, kept in nanoseconds, exported in seconds."""

    kind = "latency"
    _cell = LatencyCell

    def __init__(self, name: str, description: str, *, labels: tuple[str, ...] = ()) -> None:
        super().__init__(name, description, labels=labels, unit="seconds")

    def observe_ns(self, latencies_ns: npt.NDArray[np.int64], **labels: str) -> None:
        """Count a batch, shape ``(n,)``, nanoseconds."""
        self.labels(**labels).observe_ns(latencies_ns)


class Sizes(Metric[SizesCell]):
    """Declares a distribution of sizes, such as the records of a batch, in powers of two."""

    kind = "sizes"
    _cell = SizesCell

    def observe(self, size: int, **labels: str) -> None:
        """Count one size, once per batch and not per record."""
        self.labels(**labels).observe(size)


class Series(msgspec.Struct, frozen=True):
    """One series at one moment.

    Parameters
    ----------
    metric
        Its declaration.
    labels
        Name → value.
    value
        A number, a `LatencyHistogram` or a `SizeHistogram`.
    """

    metric: Metric[Any]
    labels: dict[str, str]
    value: Any


class Registry:
    """The values of all metrics of a process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._cells: dict[Metric[Any], dict[tuple[str, ...], Any]] = {}

    def cell(self, metric: Metric[C], key: tuple[str, ...]) -> C:
        """Give the series of these label values; called by `Metric.labels`."""
        known: dict[tuple[str, ...], C] | None = self._cells.get(metric)
        if known is not None and key in known:
            return known[key]
        with self._lock:
            cells: dict[tuple[str, ...], C] = self._cells.setdefault(metric, {})
            if key not in cells and len(cells) >= LABEL_SETS_MAX:
                key = (OVERFLOW_LABEL,) * len(key)
            return cells.setdefault(key, metric._cell())

    def series(self) -> list[Series]:
        """List all series with their values of now."""
        with self._lock:
            cells = [
                (metric, key, cell) for metric, by_key in self._cells.items() for key, cell in by_key.items()
            ]
        return [
            Series(metric, dict(zip(metric.label_names, key, strict=True)), cell.value)
            for metric, key, cell in cells
        ]


def catalogue() -> list[Metric[Any]]:
    """List every metric declared by the modules imported so far, by name."""
    return sorted(_CATALOGUE.values(), key=lambda metric: metric.name)


def registry() -> Registry:
    """Give the registry in use."""
    return _registry


@contextmanager
def isolated_registry() -> Iterator[Registry]:
    """Use a new, empty registry inside the block; for tests, which would see each other's counts."""
    global _registry  # noqa: PLW0603  one per process is what a registry is
    outer, _registry = _registry, Registry()
    try:
        yield _registry
    finally:
        _registry = outer


_CATALOGUE: dict[str, Metric[Any]] = {}
_registry = Registry()
