"""The silence watch: quiet is not dead, and a mute socket is."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ticktrail.capture.silence import Silence, SilenceWatch, longest_usual_ns
from ticktrail.clock import NS_PER_SECOND
from ticktrail.config import CaptureSettings
from ticktrail.model import Columns, Status, Trade
from ticktrail.reference import ROUND_THE_CLOCK, US_EQUITIES, Market
from ticktrail.telemetry import isolated_registry
from ticktrail.testing import FakeClock

STEP_S = 0.25
SETTINGS = CaptureSettings(silence_ms_min=2_000, silence_ms_max=60_000, symbol_silence_ms_min=5_000)


def trades(symbols: list[bytes]) -> Columns[Any]:
    numbers = {
        "day": 1,
        "ts_ns": 0,
        "event_id": 0,
        "ts_event_ns": 0,
        "ts_recv_ns": 0,
        "price": 1.0,
        "size": 1.0,
    }
    return Columns(Trade, {"feed": b"sim", "symbol": np.array(symbols), **numbers})


class Scene:
    """A watch, and a clock that steps as capture does."""

    def __init__(self, market: Market = ROUND_THE_CLOCK, at: datetime | None = None) -> None:
        self.clock = FakeClock() if at is None else FakeClock(int(at.timestamp()) * NS_PER_SECOND)
        self.watch = SilenceWatch("sim", market, SETTINGS, self.clock)
        self.watch.connected()
        self.watch.check()

    def step(self, symbols: list[bytes]) -> Silence:
        self.clock.advance(STEP_S)
        if symbols:
            self.watch.observe(trades(symbols))
        return self.watch.check()

    def play(self, random: np.random.Generator, rates: dict[bytes, float], seconds: float) -> list[Silence]:
        """Let every symbol trade at its own rate (a second), and gather the alarms."""
        alarms = []
        for _ in range(int(seconds / STEP_S)):
            counts = {symbol: int(random.poisson(rate * STEP_S)) for symbol, rate in rates.items()}
            found = self.step([symbol for symbol, count in counts.items() for _ in range(count)])
            if found.feed_ns or found.symbols:
                alarms.append(found)
        return alarms


@settings(max_examples=8)
@given(st.integers(0, 2**32), st.lists(st.floats(0.02, 200.0), min_size=1, max_size=4))
def test_independent_trades_never_alarm_whatever_their_rate(seed: int, rates: list[float]) -> None:
    with isolated_registry():
        scene = Scene()
        named = {b"S%d" % number: rate for number, rate in enumerate(rates)}
        # Where even the feed as a whole may pause for longer than what is allowed before its rate is known.
        named[b"BUSY"] = 1.0
        assert scene.play(np.random.default_rng(seed), named, 900) == []


@settings(max_examples=8)
@given(st.integers(0, 2**32), st.floats(0.5, 500.0))
def test_a_mute_feed_is_noticed_in_time(seed: int, rate: float) -> None:
    with isolated_registry():
        scene = Scene()
        random = np.random.default_rng(seed)
        assert scene.play(random, {b"A": rate, b"B": 0.3 * rate}, 200) == []
        # What the rate allows, by the formula for a known rate, with room for what is not known of it; what
        # three of the longest pauses are; and the step in which it is noticed.
        rate *= 1.3
        longest_s = np.log(200 * rate * 1e6) / rate
        bound_s = max(2.0, 40 / rate, 3 * max(longest_s, 2 * STEP_S)) + 2 * STEP_S
        for _ in range(int(bound_s / STEP_S) + 1):
            found = scene.step([])
            if found.feed_ns:
                assert found.feed_ns >= 2 * NS_PER_SECOND
                return
        raise AssertionError(f"nothing after {bound_s} s")


def test_a_mute_feed_that_was_never_known_is_left_in_the_end_and_less_and_less_often() -> None:
    with isolated_registry():
        scene = Scene()
        alarms = []
        for step in range(int(600 / STEP_S)):
            if scene.step([]).feed_ns:
                alarms.append(step * STEP_S)
                scene.watch.disconnected()
                scene.watch.connected()
        pauses = np.diff([0.0, *alarms])
        assert 3 <= len(alarms) <= 10
        assert all(55 <= pause <= 65 for pause in pauses), "at most every minute, as the settings have it"


def test_a_feed_that_stays_mute_after_reconnects_is_asked_less_often() -> None:
    with isolated_registry():
        scene = Scene()
        scene.play(np.random.default_rng(1), {b"A": 100.0}, 60)
        alarms = []
        for step in range(int(400 / STEP_S)):
            if scene.step([]).feed_ns:
                alarms.append(step * STEP_S)
                scene.watch.disconnected()
                scene.watch.connected()
        pauses = np.diff(alarms)
        assert alarms[0] < 4
        assert (pauses[1:] >= pauses[:-1] - STEP_S).all()
        assert pauses[-1] >= 59


@settings(max_examples=8)
@given(st.integers(0, 2**32), st.floats(0.5, 50.0))
def test_one_mute_symbol_is_noticed_while_others_go_on(seed: int, rate: float) -> None:
    with isolated_registry():
        scene = Scene()
        random = np.random.default_rng(seed)
        everybody = {b"DEAD": rate, b"FAST": 50.0, b"SLOW": 0.2}
        assert scene.play(random, everybody, 300) == []
        others = {b"FAST": 50.0, b"SLOW": 0.2}
        bound_s = max(5.0, 40 / rate, 3 * np.log(300 * rate * 1e6) / rate + 6) + 3
        alarms = scene.play(random, others, bound_s)
        assert alarms == [Silence(0, ("DEAD",))]
        assert scene.play(random, others, 500) == [], "told once in ten minutes at most"


def test_a_halted_symbol_may_be_silent() -> None:
    status = {"feed": b"sim", "day": 1, "ts_ns": 0, "event_id": 0, "ts_event_ns": 0, "ts_recv_ns": 0}
    bands = {"limit_up": 1.0, "limit_down": 1.0}

    def told(action: bytes) -> Columns[Any]:
        return Columns(
            Status, {**status, **bands, "symbol": np.array([b"DEAD"]), "action": np.array([action])}
        )

    with isolated_registry():
        scene = Scene()
        random = np.random.default_rng(3)
        scene.play(random, {b"DEAD": 5.0, b"FAST": 50.0}, 100)
        scene.watch.observe(told(b"halt"))
        assert scene.play(random, {b"FAST": 50.0}, 300) == []
        scene.watch.observe(told(b"resume"))
        assert scene.play(random, {b"FAST": 50.0}, 1_000) != []


def test_outside_of_sessions_nothing_is_expected() -> None:
    with isolated_registry():
        # A Monday, one minute before the end of the session after hours in New York.
        scene = Scene(US_EQUITIES, datetime(2026, 1, 6, 0, 59, tzinfo=UTC))
        random = np.random.default_rng(4)
        scene.play(random, {b"A": 20.0}, 59)
        was_open = scene.watch.is_open
        alarms = [found for _ in range(4_000) if (found := scene.step([])) != Silence()]
        assert (was_open, scene.watch.is_open) == (True, False)
        assert alarms == []


def test_records_after_a_silence_end_it() -> None:
    with isolated_registry():
        scene = Scene()
        scene.play(np.random.default_rng(5), {b"A": 50.0}, 60)
        assert not scene.watch.came_back()
        scene.clock.advance(30)  # and nobody checked
        scene.watch.observe(trades([b"A"]))
        assert scene.watch.came_back()
        assert not scene.watch.came_back()


@given(st.floats(1e3, 1e12), st.integers(30, 100))
def test_the_bound_has_the_probability_it_claims(mean_ns: float, pauses: int) -> None:
    (bound_ns,) = longest_usual_ns(np.array([mean_ns]), np.array([float(pauses)]))
    assert np.isclose((1 + bound_ns / (pauses * mean_ns)) ** -pauses, 1e-9, rtol=1e-6)
