from __future__ import annotations

import asyncio
import threading

import pytest

from ticktrail.testing import FakeClock


def test_sleeping_moves_the_time_and_is_remembered() -> None:
    clock = FakeClock(1_000)
    asyncio.run(clock.sleep(1.5))
    assert clock.now_ns() == 1_500_001_000
    assert clock.monotonic_ns() == 1_500_000_000
    assert clock.slept_s == [1.5]


def test_waiting_moves_the_time_unless_the_event_is_set() -> None:
    clock = FakeClock(0)
    event = threading.Event()
    assert not clock.wait(event, 2.0)
    event.set()
    assert clock.wait(event, 2.0)
    assert clock.now_ns() == 2_000_000_000


def test_sleepers_wake_in_time_when_moved_by_hand() -> None:
    async def scenario() -> list[str]:
        clock = FakeClock(auto_advance=False)
        woken: list[str] = []

        async def sleep(name: str, seconds: float) -> None:
            await clock.sleep(seconds)
            woken.append(name)

        async with asyncio.TaskGroup() as group:
            late = group.create_task(sleep("late", 5.0))
            early = group.create_task(sleep("early", 1.0))
            await asyncio.sleep(0)
            clock.advance(1.0)
            await early
            assert not late.done()
            clock.advance(4.0)
        return woken

    assert asyncio.run(scenario()) == ["early", "late"]


def test_a_cancelled_sleeper_is_forgotten() -> None:
    async def scenario() -> None:
        clock = FakeClock(auto_advance=False)
        sleeper = asyncio.ensure_future(clock.sleep(1.0))
        await asyncio.sleep(0)
        sleeper.cancel()
        clock.advance(2.0)
        await asyncio.wait([sleeper])
        assert sleeper.cancelled()

    asyncio.run(scenario())


@pytest.mark.parametrize("is_set", [False, True])
def test_a_thread_waits_until_time_is_moved_or_the_event_set(is_set: bool) -> None:
    clock = FakeClock(auto_advance=False)
    event = threading.Event()
    answers: list[bool] = []
    thread = threading.Thread(target=lambda: answers.append(clock.wait(event, 1.0)))
    thread.start()
    if is_set:
        event.set()
    while thread.is_alive():
        if not is_set:
            clock.advance(1.0)
        thread.join(timeout=0.001)
    assert answers == [is_set]


def test_the_wall_clock_may_step_back_but_not_the_monotonic_one() -> None:
    clock = FakeClock(10_000_000_000)
    clock.step_wall_clock(-5.0)
    assert clock.now_ns() == 5_000_000_000
    assert clock.monotonic_ns() == 0
