"""Options of the chaos suite."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from chaos.report import Report

SHORT_RATE = 2_000.0
FULL_RATE = 5_000.0


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the long scenarios to `make chaos`."""
    if config.getoption("--chaos"):
        return
    skip = pytest.mark.skip(reason="minutes long: `make chaos` runs it")
    for item in items:
        if item.get_closest_marker("chaos"):
            item.add_marker(skip)


@pytest.fixture(scope="session")
def chaos_report(request: pytest.FixtureRequest) -> Iterator[Report]:
    """Collect results; written where ``--chaos-report`` says."""
    report = Report(FULL_RATE if request.config.getoption("--chaos") else SHORT_RATE)
    yield report
    path = request.config.getoption("--chaos-report")
    if path is not None and report.rows:
        report.write(Path(path))
