"""Every registered feed keeps the contract; a feed's cases stand in ``feed_cases_NAME.py`` beside this."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest

from ticktrail.feeds import registry
from ticktrail.testing import CHECKS, FeedCase


def _cases() -> list[FeedCase]:
    cases: list[FeedCase] = []
    for path in sorted(Path(__file__).parent.glob("feed_cases_*.py")):
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        cases += module.CASES
    return cases


CASES = _cases()


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_feed_keeps_the_contract(case: FeedCase, check: Callable[[FeedCase], None]) -> None:
    check(case)


def test_every_registered_feed_has_a_case() -> None:
    covered = {case.name.partition("-")[0] for case in CASES}
    assert set(registry.FEEDS) <= covered
