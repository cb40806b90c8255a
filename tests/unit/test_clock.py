"""The system's clocks agree with the standard library's, and nobody else reads them."""

from __future__ import annotations

import ast
import asyncio
import threading
import time
from pathlib import Path
from random import Random

import ticktrail
from ticktrail.clock import NS_PER_MS, NS_PER_SECOND, NS_PER_US, Backoff, SystemClock

_SOURCES = Path(ticktrail.__file__).parent
_FORBIDDEN = {
    "time": {"time", "time_ns", "monotonic", "monotonic_ns", "sleep"},
    "datetime": {"now", "utcnow", "today"},
    "date": {"today"},
}
# The watcher outlives the program and imports nothing of ticktrail (see its docstring).
_EXEMPT = {"clock.py", "stack/watcher.py"}


def test_units() -> None:
    assert (NS_PER_US, NS_PER_MS, NS_PER_SECOND) == (10**3, 10**6, 10**9)


def test_now_lies_between_two_readings_of_the_standard_library() -> None:
    clock = SystemClock()
    before_ns = time.time_ns()
    now_ns = clock.now_ns()
    assert before_ns <= now_ns <= time.time_ns()


def test_monotonic_does_not_fall() -> None:
    clock = SystemClock()
    readings_ns = [clock.monotonic_ns() for _ in range(1_000)]
    assert readings_ns == sorted(readings_ns)


def test_sleep_lets_others_run() -> None:
    async def scenario() -> list[str]:
        order = []

        async def other() -> None:
            order.append("other")

        task = asyncio.create_task(other())
        await SystemClock().sleep(0)
        order.append("sleeper")
        await task
        return order

    assert asyncio.run(scenario()) == ["other", "sleeper"]


def test_wait_ends_with_the_event_or_the_time() -> None:
    event = threading.Event()
    assert not SystemClock().wait(event, 0)
    event.set()
    assert SystemClock().wait(event, 60)


def attributes() -> list[tuple[str, str, str]]:
    """List every ``name.attribute`` of the sources outside the exempt files: place, name, attribute."""
    return [
        (f"{path.relative_to(_SOURCES)}:{node.lineno}", node.value.id, node.attr)
        for path in sorted(_SOURCES.rglob("*.py"))
        if str(path.relative_to(_SOURCES)) not in _EXEMPT
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    ]


def test_nobody_else_reads_wall_time() -> None:
    assert [found for found in attributes() if found[2] in _FORBIDDEN.get(found[1], ())] == []


def test_nobody_but_config_reads_the_environment() -> None:
    forbidden = {"environ", "getenv", "putenv"}
    assert [
        found for found in attributes() if found[2] in forbidden and not found[0].startswith("config/")
    ] == []


def test_delays_double_up_to_the_cap_and_begin_anew_after_a_success() -> None:
    backoff = Backoff(0.1, 1.0, Random(7))
    for bound_s in (0.1, 0.2, 0.4, 0.8, 1.0, 1.0):
        assert bound_s / 10 <= backoff.next_s() <= bound_s
    assert 0.1 <= backoff.next_s(lasted_s=0.99) <= 1.0
    assert 0.01 <= backoff.next_s(lasted_s=1.0) <= 0.1
    assert 0.02 <= backoff.next_s() <= 0.2
    backoff.reset()
    assert 0.01 <= backoff.next_s() <= 0.1
