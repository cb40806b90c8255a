"""Rates, latencies and lags of the stages, from snapshots whose numbers are known."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

from ticktrail.telemetry import Health, LatencyHistogram, Reading, SizeHistogram, Snapshot, catalogue
from ticktrail.telemetry.snapshot import Sample
from ticktrail.telemetry.stages import _NAMES, StageHistory, StageRow, with_totals

S = 10**9
T = 1_800_000_000


def latencies(*values_ms: float) -> dict[str, Any]:
    histogram = LatencyHistogram()
    histogram.observe_ns((np.array(values_ms) * 1e6).astype(np.int64))
    return histogram.to_dict()


def sizes(*values: int) -> dict[str, Any]:
    histogram = SizeHistogram()
    for value in values:
        histogram.observe(value)
    return histogram.to_dict()


def reading(
    at_s: float,
    kind: str = "persist",
    name: str = "",
    health: Health = Health.RUNNING,
    started_s: float = 0.0,
    **values: Any,
) -> Reading:
    """Make a snapshot of these metrics, whose names here lack their ``ticktrail_KIND_``."""
    by_list: dict[str, list[Sample]] = {"counters": [], "gauges": [], "latencies": [], "sizes": []}
    for metric, value in values.items():
        kept = ("sizes" if "total" in value else "latencies") if isinstance(value, dict) else "gauges"
        by_list["counters" if metric.endswith("_total") else kept].append(
            Sample(f"ticktrail_{kind}_{metric}", {}, value)
        )
    word = Snapshot(
        name=name or kind,
        kind=kind,
        pid=7,
        started_ns=int((T + started_s) * S),
        ts_ns=int((T + at_s) * S),
        **by_list,  # type: ignore[arg-type]
    )
    return Reading(snapshot=word, age_ns=S // 4, health=health, rss_bytes=1_000)


def row_of(*readings: Reading, window_ns: int = 5 * S) -> StageRow:
    """Give what is shown after these were read one after the other."""
    history = StageHistory(window_ns)
    for each in readings:
        (row,) = history.rows([each])
    return row


_ROOMS = {"exchange": "feeds.sim", "serve": "dashboard"}


def test_every_metric_that_is_shown_is_declared() -> None:
    for kind in _NAMES:
        importlib.import_module(f"ticktrail.{_ROOMS.get(kind, kind)}.metrics")
    declared = {metric.name: metric.kind for metric in catalogue()}
    for names in _NAMES.values():
        expected = {
            "counter": (names.records, names.retries, names.dead_letters),
            "gauge": (names.lag, names.queued_frames, *names.lag_ages, names.spool, names.spool_age),
            "latency": (names.latency,),
            "sizes": (names.batch,),
        }
        for metric_kind, metrics in expected.items():
            assert {declared[name] for name in metrics if name} <= {metric_kind}
        assert not names.checkpoint_age or declared[names.checkpoint_age] == "gauge"


def test_a_rate_is_the_difference_of_two_words_by_their_own_times() -> None:
    row = row_of(
        reading(10.0, stored_records_total=1_000),
        reading(12.5, stored_records_total=4_000),
    )
    assert row.records_per_s == pytest.approx(3_000 / 2.5)


def test_the_first_word_tells_no_rate_and_a_silent_stage_none_either() -> None:
    first, later = reading(10, stored_records_total=1), reading(12, stored_records_total=9)
    assert row_of(first).records_per_s is None
    assert row_of(first).to_dict()["latency_p50_ms"] is None
    silent = Reading(snapshot=later.snapshot, age_ns=9 * S, health=Health.SILENT)
    row = row_of(first, later, silent)
    assert (row.state, row.records_per_s) == ("silent", None)


def test_a_rate_looks_back_as_far_as_the_window() -> None:
    # 10 a second, then 100 a second from the fourth second on.
    counts = {t: 10 * min(t, 4) + 100 * max(t - 4, 0) for t in range(13)}
    words = [reading(t, stored_records_total=count) for t, count in counts.items()]
    assert row_of(*words).records_per_s == pytest.approx(100)
    assert row_of(*words[:8]).records_per_s == pytest.approx((2 * 10 + 3 * 100) / 5)
    assert row_of(*words[::6]).records_per_s == pytest.approx(100), "words farther apart than the window"


def test_the_same_word_read_twice_changes_nothing() -> None:
    one, two = reading(1, stored_records_total=0), reading(2, stored_records_total=50)
    assert row_of(one, two, two, two).records_per_s == 50


def test_a_process_started_again_counts_anew() -> None:
    old, new = reading(1, stored_records_total=900), reading(2, stored_records_total=5, started_s=1.5)
    assert row_of(old, new).records_per_s is None
    assert row_of(old, new, reading(4, stored_records_total=25, started_s=1.5)).records_per_s == 10


def test_a_clock_set_back_gives_no_negative_rate() -> None:
    words = [reading(9, stored_records_total=1), reading(5, stored_records_total=3)]
    assert row_of(*words).records_per_s is None
    assert row_of(*words, reading(6, stored_records_total=7)).records_per_s == 4


def test_latencies_and_batches_are_those_between_the_two_words() -> None:
    old = [1_000.0] * 50
    row = row_of(
        reading(1, recv_to_stored_seconds=latencies(*old), batch_records=sizes(9_000)),
        reading(
            2,
            recv_to_stored_seconds=latencies(*old, *[10.0] * 98, 40, 40),
            batch_records=sizes(9_000, 10, 30),
        ),
    )
    shown = row.to_dict()
    assert shown["latency_p50_ms"] == pytest.approx(10, rel=0.04)
    assert shown["latency_p99_ms"] == pytest.approx(40, rel=0.04)
    assert shown["batch_records"] == 20


def test_what_stands_in_persists_gauges_and_counters() -> None:
    row = row_of(
        reading(
            1,
            lag_records=12,
            lag_seconds=0.5,
            checkpoint_age_seconds=1.25,
            retries_total=3,
            dead_letters_total=2,
        )
    )
    assert (row.lag_records, row.lag_s, row.checkpoint_age_s) == (12, 0.5, 1.25)
    assert (row.retries, row.dead_letters) == (3, 2)
    assert (row.spool_bytes, row.queued_frames, row.rss_bytes) == (None, None, 1_000)


def test_captures_lag_is_the_older_of_its_queue_and_its_spool() -> None:
    values: dict[str, Any] = {
        "queued_frames": 4,
        "lag_seconds": 0.2,
        "spool_bytes": 77,
        "spool_oldest_seconds": 60,
    }
    row = row_of(reading(1, "capture", reconnects_total=2, rejected_messages_total=5, **values))
    assert (row.queued_frames, row.lag_s, row.lag_records) == (4, 60, None)
    assert (row.spool_bytes, row.spool_age_s) == (77, 60)
    assert (row.retries, row.dead_letters) == (2, 5)


@pytest.mark.parametrize("health", [Health.STOPPED, Health.DEAD])
def test_of_a_process_that_is_gone_only_its_counts_are_left(health: Health) -> None:
    row = row_of(reading(1, lag_records=12, lag_seconds=3, retries_total=3, health=health))
    assert (row.lag_records, row.lag_s, row.retries) == (None, None, 3)


def test_a_stage_without_metrics_has_its_state() -> None:
    row = row_of(reading(1, "other"), reading(2, "other"))
    assert (row.state, row.records_per_s, row.retries) == ("running", None, None)


def rows_of(first: Iterable[Reading], second: Iterable[Reading]) -> list[StageRow]:
    history = StageHistory()
    history.rows(first)
    return history.rows(second)


def both() -> list[StageRow]:
    def words(at_s: float, one: int, two: int, *more: float) -> list[Reading]:
        shared: dict[str, Any] = {"lag_records": 5, "retries_total": 2}
        return [
            reading(at_s, "bars", read_trades_total=0),
            reading(at_s, "capture", sent_records_total=0),
            reading(
                at_s,
                stored_records_total=one,
                lag_seconds=1,
                recv_to_stored_seconds=latencies(1, *[10.0 for _ in more]),
                **shared,
            ),
            reading(
                at_s,
                name="persist-2",
                stored_records_total=two,
                lag_seconds=4,
                recv_to_stored_seconds=latencies(1, *more),
                **shared,
            ),
        ]

    return rows_of(words(1, 100, 200), words(3, 300, 260, 90, 90, 90))


def test_several_processes_of_a_kind_have_a_total_below_them() -> None:
    rows = with_totals(both())
    assert [(row.name, row.is_total) for row in rows] == [
        ("capture", False),
        ("persist", False),
        ("persist-2", False),
        ("persist", True),
        ("bars", False),
    ]
    total = rows[3]
    assert total.state == "2/2 run"
    assert total.records_per_s == pytest.approx(100 + 30)
    assert (total.lag_records, total.lag_s, total.retries, total.rss_bytes) == (10, 4, 4, 2_000)
    # Three of 10 ms and three of 90 ms: a mean of percentiles would say 50.
    assert total.to_dict()["latency_p50_ms"] == pytest.approx(10, rel=0.04)
    assert total.to_dict()["latency_p99_ms"] == pytest.approx(90, rel=0.04)
    assert "pid" not in total.to_dict()


def test_a_total_may_stand_for_its_processes() -> None:
    rows = with_totals(both(), only_totals=True)
    assert [(row.name, row.is_total) for row in rows] == [
        ("capture", False),
        ("persist", True),
        ("bars", False),
    ]
