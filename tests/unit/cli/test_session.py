"""What a run says at its end."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ticktrail.cli.session import Outcome
from ticktrail.cli.totals import Totals
from ticktrail.telemetry import LatencyHistogram


def outcome(*, is_interrupted: bool = False, **counts: Any) -> Outcome:
    nothing: Any = LatencyHistogram()
    totals = Totals(unknown={}, event_to_stored=nothing, recv_to_stored=nothing)
    return Outcome(
        totals=replace(totals, **counts),
        seconds=57.7,
        market_seconds=40.0,
        is_drained=True,
        killed=[],
        restarts={},
        failures=[],
        is_interrupted=is_interrupted,
    )


def test_the_time_of_the_market_stands_beside_the_whole() -> None:
    assert dict(outcome(received=1, stored=1).rows())["ran"] == "40.0 s; with start and end 57.7 s"


def test_late_trades_are_no_loss() -> None:
    rows = dict(outcome(received=9, stored=9, late=421_798).rows())
    assert rows["late trades"] == "421,798 (stored; their minute had closed, its bar is rebuilt)"
    assert dict(outcome(received=9, stored=9).rows())["late trades"] == "0"


def test_more_stored_than_received_is_explained() -> None:
    rows = dict(outcome(received=25_444, stored=25_455).rows())
    assert rows["stored"] == "25,455 records (11 left by an earlier run, or stored again)"


@pytest.mark.parametrize(
    ("received", "is_interrupted", "is_good"), [(0, False, False), (0, True, True), (1, False, True)]
)
def test_nothing_received_is_no_success(received: int, is_interrupted: bool, is_good: bool) -> None:
    assert outcome(received=received, stored=received, is_interrupted=is_interrupted).is_good is is_good
