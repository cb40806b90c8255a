"""Declared once, counted per batch, bounded, and apart from test to test."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest

from ticktrail.telemetry import Counter, Gauge, Latency, Sizes, catalogue, isolated_registry
from ticktrail.telemetry.metrics import LABEL_SETS_MAX, OVERFLOW_LABEL, registry

RECEIVED = Counter(
    "ticktrail_test_received_records_total", "For tests.", labels=("feed", "kind"), unit="records"
)
QUEUED = Gauge("ticktrail_test_queued_frames", "For tests.", unit="frames")
DELAY = Latency("ticktrail_test_delay_seconds", "For tests.", labels=("stage",))
POLLED = Sizes("ticktrail_test_polled_records", "For tests.", labels=("stage",), unit="records")


@pytest.fixture(autouse=True)
def _isolated() -> Iterator[None]:
    with isolated_registry():
        yield


def values() -> dict[tuple[str, ...], object]:
    return {(s.metric.name, *s.labels.values()): s.value for s in registry().series()}


def test_a_batch_is_counted_at_once() -> None:
    RECEIVED.inc(500, feed="alpaca", kind="trade")
    RECEIVED.inc(20, kind="trade", feed="alpaca")
    RECEIVED.inc(feed="alpaca", kind="quote")
    assert values() == {
        (RECEIVED.name, "alpaca", "trade"): 520,
        (RECEIVED.name, "alpaca", "quote"): 1,
    }


def test_a_gauge_holds_the_last_value() -> None:
    QUEUED.set(5)
    QUEUED.set(2)
    assert values() == {(QUEUED.name,): 2.0}


def test_a_latency_holds_a_distribution() -> None:
    DELAY.observe_ns(np.array([1_000, 2_000]), stage="persist")
    ((_, histogram),) = values().items()
    assert histogram.count == 2  # type: ignore[attr-defined]


def test_sizes_hold_a_distribution() -> None:
    POLLED.observe(3, stage="bars")
    POLLED.observe(5, stage="bars")
    ((_, histogram),) = values().items()
    assert (histogram.count, histogram.total) == (2, 8)  # type: ignore[attr-defined]


def test_a_kept_series_is_the_same_one() -> None:
    cell = RECEIVED.labels(feed="sim", kind="trade")
    cell.inc(3)
    RECEIVED.inc(4, feed="sim", kind="trade")
    assert cell.value == 7


def test_threads_lose_no_count() -> None:
    cell = RECEIVED.labels(feed="sim", kind="trade")

    def count() -> None:
        for _ in range(2_000):
            cell.inc()

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert cell.value == 8_000


def test_tests_do_not_see_each_other() -> None:
    QUEUED.set(1)
    with isolated_registry():
        assert values() == {}
    assert values() == {(QUEUED.name,): 1.0}


def test_labels_beyond_the_bound_are_counted_together() -> None:
    for n in range(LABEL_SETS_MAX + 5):
        RECEIVED.inc(1, feed=str(n), kind="trade")
    assert len(values()) == LABEL_SETS_MAX + 1
    assert values()[RECEIVED.name, OVERFLOW_LABEL, OVERFLOW_LABEL] == 5


@pytest.mark.parametrize("labels", [{}, {"feed": "a"}, {"feed": "a", "venue": "b"}])
def test_labels_must_be_those_declared(labels: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="has the labels"):
        RECEIVED.inc(1, **labels)


def test_a_counter_does_not_fall() -> None:
    with pytest.raises(ValueError, match="cannot fall"):
        RECEIVED.inc(-1, feed="a", kind="b")


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("ticktrail_test_x_records", "records"),  # a counter without _total
        ("ticktrail_test_x_total", "records"),  # without its unit
        ("received_records_total", "records"),  # without the prefix
        ("ticktrail_test_X_records_total", "records"),
    ],
)
def test_names_tell_what_they_count(name: str, unit: str) -> None:
    with pytest.raises(ValueError, match="must be named"):
        Counter(name, "For tests.", unit=unit)


def test_a_bad_label_name_is_refused() -> None:
    with pytest.raises(ValueError, match="bad names"):
        Gauge("ticktrail_test_bad_frames", "For tests.", labels=("a-b",), unit="frames")


def test_a_name_has_one_declaration() -> None:
    # The same again is a module loaded twice.
    again = Gauge("ticktrail_test_queued_frames", "For tests.", unit="frames")
    again.set(3)
    assert values() == {(QUEUED.name,): 3.0}
    with pytest.raises(ValueError, match="declared twice"):
        Gauge("ticktrail_test_queued_frames", "Something else.", unit="frames")


def test_the_catalogue_lists_every_declaration() -> None:
    names = [metric.name for metric in catalogue()]
    assert names == sorted(names)
    assert {RECEIVED.name, QUEUED.name, DELAY.name} <= set(names)
