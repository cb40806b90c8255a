"""What every test may use; see README.md beside this file."""

from __future__ import annotations

import os
from pathlib import Path

import hypothesis
import pytest

# Deadlines measure the machine, not the code. CI draws the same examples every time, so that a red run
# is the change's fault; at a desk they differ from run to run and explore.
hypothesis.settings.register_profile("desk", deadline=None, max_examples=100)
hypothesis.settings.register_profile(
    "ci", deadline=None, max_examples=100, derandomize=True, database=None, print_blob=True
)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "desk")

pytest_plugins = ["fixtures_servers"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add what `make test-recordings` and `make chaos` ask for."""
    parser.addoption("--all-recordings", action="store_true", help="use all recorded data, not only a part")
    parser.addoption("--chaos", action="store_true", help="run all of tests/chaos, for an hour or two")
    parser.addoption("--chaos-seed", type=int, default=1, help="decides when what is killed")
    parser.addoption("--chaos-report", help="write the results there, as Markdown")


_CHECKOUT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def recordings_dir() -> Path:
    """The recorded market data, which its owners do not let us ship; without it the test is skipped."""
    given = os.environ.get("TICKTRAIL_TEST_DATA")
    path = Path(given) if given else _CHECKOUT.parent / "shared" / "data"
    if not path.is_dir():
        pytest.skip(f"no recorded market data at {path}; set TICKTRAIL_TEST_DATA to a folder that has it")
    return path
