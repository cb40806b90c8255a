"""Options of the chaos suite, and what all its scenarios share."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from chaos.checks import Verdict, committed_but_not_stored, compare
from chaos.report import Report
from chaos.world import Scenario, ServerPair, World, until

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


@pytest.fixture
def scenario(
    pair: ServerPair, tmp_path: Path, request: pytest.FixtureRequest, chaos_report: Report
) -> Scenario:
    """Give what runs a scenario: the block does the harm; before and after it is what belongs to all."""
    seed: int = request.config.getoption("--chaos-seed")

    @contextmanager
    def run(name: str, **world_options: Any) -> Iterator[World]:
        options = {"rate": chaos_report.rate} | world_options
        world = World(pair, tmp_path, seed=seed, **options)
        begun = time.monotonic()
        verdict = Verdict(problems=["it did not come to an end"])
        try:
            world.start()
            until(world.is_flowing, "trades are stored")
            yield world
            until(world.is_flowing, "trades are stored again")
            lost = committed_but_not_stored(world.settings)
            world.settle()
            verdict = compare(world.settings, world.log_dir)
            verdict.note(lost, "trades were committed before they were stored")
        finally:
            world.close()
            world.revive()
            chaos_report.add(name, seed, time.monotonic() - begun, world.faults, verdict)
        assert not verdict.problems, f"{name}, seed {seed}: {verdict}"

    return run
