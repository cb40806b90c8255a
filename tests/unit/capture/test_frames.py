"""The queue between the socket and the parser."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from ticktrail.capture.frames import FrameQueue, Turn
from ticktrail.feeds import Frame


def frame(size_bytes: int = 1, number: int = 1) -> Frame:
    return Frame(number, b"x" * size_bytes)


async def has_room(queue: FrameQueue) -> bool:
    waiting = asyncio.ensure_future(queue.room())
    for _ in range(3):
        await asyncio.sleep(0)
    there_is = waiting.done()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    return there_is


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 40)), max_size=40))
def test_it_never_holds_more_than_it_may(steps: list[tuple[bool, int]]) -> None:
    async def play() -> None:
        queue = FrameQueue(frames_max=4, bytes_max=50)
        expected: list[Frame] = []
        for number, (adds, size_bytes) in enumerate(steps):
            held_bytes = sum(len(each.payload) for each in expected)
            fits = len(expected) < 4 and held_bytes < 50
            assert await has_room(queue) is fits
            if adds and fits:
                expected.append(frame(size_bytes, number))
                queue.put(expected[-1])
            elif expected:
                assert queue.take() == expected.pop(0)
            assert len(queue) == len(expected)

    asyncio.run(play())


def test_an_empty_queue_has_room_for_any_frame() -> None:
    async def play() -> None:
        queue = FrameQueue(frames_max=2, bytes_max=10)
        assert await has_room(queue)
        queue.put(frame(1_000))
        assert not await has_room(queue)
        queue.take()
        assert await has_room(queue)

    asyncio.run(play())


def test_the_oldest_tells_since_when_it_has_waited() -> None:
    async def play() -> None:
        queue = FrameQueue(frames_max=4, bytes_max=50)
        queue.put(Turn(cause="", at_ns=5))
        queue.put(frame(number=7))
        assert queue.oldest_ns == 5
        await queue.get()
        assert queue.oldest_ns == 7
        await queue.get()
        assert queue.oldest_ns is None

    asyncio.run(play())


def test_who_waits_for_room_gets_it() -> None:
    async def play() -> None:
        queue = FrameQueue(frames_max=1, bytes_max=10)
        queue.put(frame(number=1))
        waiting = asyncio.ensure_future(queue.room())
        await asyncio.sleep(0)
        assert not waiting.done()
        assert await queue.get() == frame(number=1)
        await waiting

    asyncio.run(play())


def test_who_waits_for_a_frame_gets_it() -> None:
    async def play() -> None:
        queue = FrameQueue(frames_max=1, bytes_max=10)
        waiting = asyncio.ensure_future(queue.get())
        await asyncio.sleep(0)
        queue.put(frame(number=7))
        assert await waiting == frame(number=7)

    asyncio.run(play())


def test_a_closed_queue_gives_what_it_has_and_then_none() -> None:
    async def play() -> list[Frame | Turn | None]:
        queue = FrameQueue(frames_max=9, bytes_max=99)
        queue.put(frame(number=1))
        queue.put(frame(number=2))
        queue.close()
        return [await queue.get() for _ in range(4)]

    assert asyncio.run(play()) == [frame(number=1), frame(number=2), None, None]


def test_closing_wakes_who_waits() -> None:
    async def play() -> Frame | Turn | None:
        queue = FrameQueue(frames_max=1, bytes_max=1)
        waiting = asyncio.ensure_future(queue.get())
        await asyncio.sleep(0)
        queue.close()
        return await waiting

    assert asyncio.run(play()) is None
