"""Capture over a scripted feed, into a Kafka that is a list."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, cast

import pytest
from fakes.memory_producer import MemoryProducer, Sent
from fakes.scripted_feed import AGAIN, BROKEN, NAME, NEVER, Item, ScriptedFeed, recorded
from hypothesis import given, settings
from hypothesis import strategies as st

from ticktrail.bus import Producer, Topics
from ticktrail.capture import Capture, Direct, Sender, metrics
from ticktrail.clock import NS_PER_MS, NS_PER_SECOND
from ticktrail.config import CaptureSettings
from ticktrail.errors import FeedRejected, Unreachable
from ticktrail.model import Heartbeat, Trade
from ticktrail.telemetry import isolated_registry
from ticktrail.testing import FakeClock

TOPICS = Topics(prefix="t")
BEAT_S = 0.25
DEADLINE_S = 20.0


class QuietClock(FakeClock):
    """Lets nobody wait, except for heartbeats, which never come."""

    async def sleep(self, seconds: float) -> None:
        if seconds == BEAT_S:
            await asyncio.Event().wait()
        await super().sleep(seconds)


class Scene:
    """A capture with everything around it."""

    def __init__(
        self, *connections: list[Item], clock: FakeClock | None = None, is_live: bool = True, **set_to: Any
    ) -> None:
        self.clock = clock or QuietClock()
        self.feed = ScriptedFeed(self.clock, *connections, is_live=is_live)
        self.producer = MemoryProducer()
        self.stop = asyncio.Event()
        sender = Sender(Direct(cast("Producer", self.producer)), TOPICS, NAME, 2)
        values = {"batch_ms": 0, "heartbeat_ms": int(BEAT_S * 1_000), **set_to}
        self.capture = Capture(self.feed, sender, CaptureSettings(**values), self.clock)

    @property
    def stored(self) -> list[str]:
        """Symbols of the trades in Kafka, in their order."""
        return [sent.record.symbol for sent in self.producer.sent if is_trade(sent)]  # type: ignore[attr-defined]

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while not condition():  # noqa: ASYNC110  (the condition is on another side of a thread)
                await asyncio.sleep(0.001)

    async def run_until(self, condition: Callable[[], bool]) -> None:
        """Capture until something has happened, then stop."""
        running = asyncio.ensure_future(self.capture.run(self.stop))
        await self.until(lambda: condition() or running.done())
        self.stop.set()
        await running


def is_trade(sent: Sent) -> bool:
    return sent.topic == TOPICS.trades and isinstance(sent.record, Trade)


def beats(producer: MemoryProducer) -> list[int]:
    records = [sent.record for sent in producer.sent if sent.topic == TOPICS.trades]
    return [record.ts_recv_ns for record in records if isinstance(record, Heartbeat)]


def play(scene: Callable[[], Coroutine[Any, Any, None]]) -> None:
    with isolated_registry():
        asyncio.run(scene())


# --- the way of a frame ------------------------------------------------------------------------------


def test_everything_received_is_accounted_for() -> None:
    async def scene() -> None:
        each = Scene(["AAPL !junk", "MSFT ?news IBM", "?news", None])
        await each.capture.run(each.stop)
        assert each.stored == ["AAPL", "MSFT", "IBM"]
        assert [sent.value for sent in each.producer.of(TOPICS.dead_letters)] == [b"!junk"]
        assert metrics.UNKNOWN.labels(feed=NAME, item="message:news").value == 2
        assert metrics.FRAMES.labels(feed=NAME).value == 3
        assert metrics.BATCH.labels(feed=NAME).value.total == 3
        assert metrics.LATENCY_RECV.labels(feed=NAME).value.count == 3
        assert metrics.REJECTED.labels(feed=NAME, reason="bad_word").value == 1
        assert each.producer.flushes == 1
        assert each.feed.calls[-1] == "close"

    play(scene)


def test_a_stop_drains_what_was_received() -> None:
    async def scene() -> None:
        each = Scene([f"S{number}" for number in range(500)])
        each.producer.gate.clear()
        running = asyncio.ensure_future(each.capture.run(each.stop))
        await each.until(lambda: len(each.feed.received) == 500)
        each.stop.set()
        each.producer.gate.set()
        await running
        assert each.stored == [f"S{number}" for number in range(500)]
        assert each.producer.flushes == 1
        assert each.producer.hurried_s is not None

    play(scene)


def test_while_kafka_is_slow_the_socket_is_not_read() -> None:
    async def scene() -> None:
        each = Scene([f"S{number}" for number in range(50)], queue_frames_max=4)
        each.producer.gate.clear()
        running = asyncio.ensure_future(each.capture.run(each.stop))
        # One batch in hand, four in the queue; then `receive` is not even called.
        await each.until(lambda: len(each.feed.received) >= 5)
        calls = each.feed.calls.count("receive")
        for _ in range(50):
            await asyncio.sleep(0)
        assert each.feed.calls.count("receive") == calls == len(each.feed.received)
        assert calls <= 4 + 4
        each.stop.set()
        each.producer.gate.set()
        await running
        assert len(each.stored) == len(each.feed.received), "what was received before the stop is not lost"

    play(scene)


def test_a_vendors_bars_pass_in_recordings_too() -> None:
    async def scene() -> None:
        each = Scene([recorded(5, "%AAPL MSFT"), None], is_live=False)
        await each.capture.run(each.stop)
        assert each.stored == ["MSFT"]
        assert len(each.producer.of(TOPICS.vendor_bars)) == 1

    play(scene)


# --- trouble -----------------------------------------------------------------------------------------


def test_lost_connections_are_made_anew_with_growing_capped_delays() -> None:
    async def scene() -> None:
        tries = 12
        broken: list[list[Item]] = [[BROKEN]] * tries
        each = Scene(*broken, ["AAPL"], reconnect_delay_ms_max=5_000)
        await each.run_until(lambda: each.stored == ["AAPL"])
        delays_s = each.clock.slept_s
        assert len(delays_s) == tries == metrics.RECONNECTS.labels(feed=NAME).value
        bounds_s = [min(5.0, 0.2 * 2**number) for number in range(tries)]
        assert all(bound / 10 <= delay <= bound for delay, bound in zip(delays_s, bounds_s, strict=True))
        assert len(set(delays_s[-6:])) == 6, "without jitter, all clients of a venue come back at once"

    play(scene)


def test_a_connection_that_breaks_loses_nothing_that_came_before() -> None:
    async def scene() -> None:
        each = Scene(["A", "B", BROKEN], ["C", BROKEN], [BROKEN], ["D"])
        await each.run_until(lambda: each.stored == ["A", "B", "C", "D"])
        assert each.feed.calls.count("connect") == 4
        assert each.feed.calls.count("close") == 4

    play(scene)


def test_a_steady_connection_resets_the_delay() -> None:
    async def scene() -> None:
        broken: list[list[Item]] = [[BROKEN]] * 8
        each = Scene(*broken, ["A"], ["B"])
        running = asyncio.ensure_future(each.capture.run(each.stop))
        await each.until(lambda: each.stored == ["A"])
        each.clock.advance(60)
        each.feed.bring(BROKEN)
        await each.until(lambda: each.stored == ["A", "B"])
        assert each.clock.slept_s[-1] <= 0.2 < each.clock.slept_s[-2]
        each.stop.set()
        await running

    play(scene)


def test_what_came_before_a_refusal_is_stored_and_the_refusal_told() -> None:
    async def scene() -> None:
        each = Scene(["A", "B", BROKEN], [NEVER])
        with pytest.raises(FeedRejected):
            await each.capture.run(each.stop)
        assert each.stored == ["A", "B"]
        assert each.producer.flushes == 1
        assert each.feed.calls[-1] == "close"

    play(scene)


def test_a_refusal_inside_the_stream_stops_also_while_the_venue_is_silent() -> None:
    async def scene() -> None:
        each = Scene(["A", "#never B", "C"])
        with pytest.raises(FeedRejected):
            await each.capture.run(each.stop)
        assert each.stored == ["A", "B", "C"]
        assert each.producer.flushes == 1
        assert each.feed.calls.count("connect") == 1

    play(scene)


def test_a_notice_of_trouble_connects_anew_also_while_the_venue_is_silent() -> None:
    async def scene() -> None:
        each = Scene(["A", "#again B"], ["C"])
        await each.run_until(lambda: each.stored == ["A", "B", "C"])
        assert each.feed.calls.count("connect") == 2

    play(scene)


def test_a_stop_while_waiting_to_reconnect_is_heeded() -> None:
    async def scene() -> None:
        each = Scene([AGAIN], clock=FakeClock(auto_advance=False))
        await each.run_until(lambda: len(each.clock.slept_s) == 2)
        assert each.producer.flushes == 1

    play(scene)


def test_an_error_that_nobody_foresaw_is_told_after_the_rest_is_stored() -> None:
    async def scene() -> None:
        each = Scene(["A", cast("Any", LookupError("a bug"))])
        each.feed.receive = failing_after(each.feed)  # type: ignore[method-assign]
        with pytest.raises(LookupError):
            await each.capture.run(each.stop)
        assert each.stored == ["A"]

    def failing_after(feed: ScriptedFeed) -> Any:
        real = feed.receive

        async def receive() -> Any:
            if feed.received:
                raise LookupError("a bug")
            return await real()

        return receive

    play(scene)


def test_kafkas_refusal_ends_the_run() -> None:
    async def scene() -> None:
        each = Scene(["A"])
        each.producer.failure = Unreachable(what="Kafka is away", service="Kafka", address="k:1")
        with pytest.raises(Unreachable):
            await each.capture.run(each.stop)
        assert each.feed.calls[-1] == "close"

    play(scene)


def test_values_that_kafka_did_not_take_in_the_end_are_told() -> None:
    async def scene() -> None:
        each = Scene(["A"])

        def fail(sent: Sent) -> None:
            del sent
            each.producer.failure = Unreachable(what="3 values are left", service="Kafka", address="k:1")
            each.stop.set()

        each.producer.on_send = fail
        with pytest.raises(Unreachable, match="3 values are left"):
            await each.run_until(lambda: False)

    play(scene)


# --- heartbeats --------------------------------------------------------------------------------------


def test_time_passes_while_nothing_comes() -> None:
    async def scene() -> None:
        clock = FakeClock(auto_advance=False)
        each = Scene([], clock=clock)
        begin_ns = clock.now_ns()
        running = asyncio.ensure_future(each.capture.run(each.stop))
        for count in range(1, 4):
            await each.until(lambda: len(clock.slept_s) >= count)  # noqa: B023
            clock.advance(BEAT_S)
            await each.until(lambda: len(beats(each.producer)) == 2 * count)  # noqa: B023
        assert set(beats(each.producer)) == {begin_ns + n * 250 * NS_PER_MS for n in (1, 2, 3)}
        each.stop.set()
        await running

    play(scene)


def test_a_frame_that_waits_for_company_is_not_passed_by_a_heartbeat() -> None:
    """Once lost: the queue is empty then, but the frame is not in Kafka either."""

    async def scene() -> None:
        clock = FakeClock(auto_advance=False)
        each = Scene([], clock=clock, batch_ms=2.0)
        running = asyncio.ensure_future(each.capture.run(each.stop))
        await each.until(lambda: clock.slept_s == [BEAT_S])
        each.feed.bring("AAPL")
        await each.until(lambda: clock.slept_s == [BEAT_S, 0.002])
        clock.advance(BEAT_S)  # both are over at once
        await each.until(lambda: bool(beats(each.producer)))
        assert is_trade(each.producer.sent[0]), "the heartbeat claims that everything before it is there"
        each.stop.set()
        await running

    play(scene)


# What happens next, and whether capture has time to react to it before the one after.
steps = st.lists(
    st.tuples(st.sampled_from(["frame", "two", "tick", "beat"]), st.booleans()), min_size=5, max_size=20
)


@settings(max_examples=40)
@given(steps, st.sampled_from([0.0, 2.0]))
def test_no_heartbeat_claims_more_than_there_is(script: list[tuple[str, bool]], batch_ms: float) -> None:
    async def scene() -> None:
        clock = FakeClock(auto_advance=False)
        each = Scene([], clock=clock, batch_ms=batch_ms)
        running = asyncio.ensure_future(each.capture.run(each.stop))
        for step, settles in script:
            if step in {"frame", "two"}:
                clock.advance(0.000001)
                each.feed.bring("A")
            if step == "two":
                each.feed.bring("B")
            if step in {"tick", "beat"}:
                clock.advance({"tick": 0.002, "beat": BEAT_S}[step])
            await asyncio.sleep(0.001 if settles else 0)
        each.stop.set()
        while not running.done():
            clock.advance(0.002)
            await asyncio.sleep(0.001)
        await running
        assert len(each.stored) == len(each.feed.received)
        last_beat_ns = 0
        for sent in each.producer.of(TOPICS.trades):
            if isinstance(sent.record, Heartbeat):
                last_beat_ns = max(last_beat_ns, sent.record.ts_recv_ns)
            elif isinstance(sent.record, Trade):
                assert sent.record.ts_recv_ns >= last_beat_ns

    play(scene)


def test_a_recordings_time_is_told_by_its_records_alone() -> None:
    async def scene() -> None:
        hour_ns = 3_600 * NS_PER_SECOND
        clock = FakeClock()  # heartbeats are due all the time
        ready = asyncio.Event()
        each = Scene(
            [ready, recorded(5 * hour_ns, "A"), recorded(6 * hour_ns, "B"), None], clock=clock, is_live=False
        )
        running = asyncio.ensure_future(each.capture.run(each.stop))
        await each.until(lambda: len(clock.slept_s) > 5)
        assert not each.producer.sent, "the wall clock says nothing of a recording"
        ready.set()
        await running
        told = beats(each.producer)
        assert told[-1] == 6 * hour_ns + 48 * hour_ns
        assert set(told[:-2]) <= {5 * hour_ns, 6 * hour_ns}
        assert each.stored == ["A", "B"]

    play(scene)


def test_an_empty_recording_tells_no_time() -> None:
    async def scene() -> None:
        each = Scene([None], is_live=False)
        await each.capture.run(each.stop)
        assert each.producer.sent == []

    play(scene)
