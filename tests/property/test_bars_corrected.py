"""Bars end as the final set of trades and corrections has them, whatever happens on the way."""

from __future__ import annotations

import random
from collections import defaultdict
from typing import Any

import msgspec
import numpy as np
from bars_oracle import NEW_YORK, Key, amended, bars_from, difference, keyed, window
from fakes.memory_bars import BarsWorld, Record
from hypothesis import given, settings
from hypothesis import strategies as st

from ticktrail.bars import AHEAD_NS_MAX
from ticktrail.bars.window import is_emptied
from ticktrail.model import Bar, Columns, Correction, Flag, Heartbeat, Trade
from ticktrail.reference.days import trading_days
from ticktrail.telemetry import isolated_registry

MS = 1_000_000
ALL = int(Flag.UPDATES_LAST | Flag.UPDATES_HIGH_LOW | Flag.UPDATES_VOLUME)
FLAGS = [ALL, ALL, ALL, int(Flag.UPDATES_VOLUME), ALL | int(Flag.SNAPSHOT), 0, int(Flag.UPDATES_LAST)]
INTERVALS = ("1s", "1m", "5m", "1h", "1d")
# Five seconds before midnight in New York (04:00 UTC), so that logs cross from one trading day to the next.
BASE_NS = 1_381_204_795 * 1_000_000_000
STEPS_MS = [0, 0, 1, 100, 500, 999, 1_000, 2_500, 9_000, 30_000, 61_000, 400_000, 3_700_000]
AGES_MS = [-3, 0, 0, 0, 0, 40, 999, 1_001, 2_000, 20_000, 61_000, 400_000, 3_600_000, -7_200_000, -90_000_000]
FEEDS, SYMBOLS, VENUES = ["us", "us", "us", "other"], ["A", "BRK.B", "LONGER-THAN-8"], ["XNAS", "XNYS"]


def day_of(ts_ns: int) -> int:
    return int(trading_days(np.array([ts_ns]), NEW_YORK)[0])


def random_trade(rng: random.Random, ts_ns: int, recv_ns: int) -> Trade:
    """Few ids, so that they repeat: at other times, and with other content."""
    event_id = rng.randrange(6)
    return Trade(
        feed=rng.choice(FEEDS),
        symbol=rng.choice(SYMBOLS),
        day=day_of(ts_ns),
        ts_ns=ts_ns,
        event_id=event_id,
        ts_event_ns=ts_ns,
        ts_recv_ns=recv_ns,
        price=10 + rng.randrange(40) / 100,
        size=rng.randrange(6) / 4,
        flags=rng.choice(FLAGS),
        venue=rng.choice(VENUES),
        trade_id=f"T{event_id}",
    )


def random_correction(
    rng: random.Random, trade: Trade, now_ns: int, number: int, past: list[Record]
) -> Correction:
    """Of a trade, mostly; at times of one that was corrected before, under its new id."""
    ts_ns = rng.choice([now_ns, now_ns, trade.ts_ns, trade.ts_ns + rng.randrange(10**10)])
    is_cancel = rng.random() < 0.5
    word = Correction(
        feed=trade.feed,
        symbol=trade.symbol,
        day=day_of(ts_ns),
        ts_ns=ts_ns,
        event_id=number,
        ts_event_ns=ts_ns,
        ts_recv_ns=now_ns,
        original_event_id=trade.event_id,
        original_price=trade.price,
        original_size=trade.size,
        price=float("nan") if is_cancel else 10 + rng.randrange(60) / 100,
        size=float("nan") if is_cancel else rng.randrange(8) / 4,
        flags=0 if is_cancel else rng.choice(FLAGS),
        action=rng.choice(["cancel", "error"]) if is_cancel else "correct",
        venue=trade.venue,
        trade_id=trade.trade_id,
        corrected_trade_id="" if is_cancel else f"C{number}",
    )
    renamed = [each for each in past if isinstance(each, Correction) and each.corrected_trade_id]
    if renamed and rng.random() < 0.3:
        before = rng.choice(renamed)
        word = msgspec.structs.replace(
            word,
            feed=before.feed,
            symbol=before.symbol,
            venue=before.venue,
            trade_id=before.corrected_trade_id,
            original_event_id=10_000 + before.event_id,
        )
    return word


def make_log(seed: int, n: int) -> list[Record]:
    """What capture writes, with everything that can be late, early, twice or wrong."""
    rng = random.Random(seed)
    now_ns = BASE_NS
    log: list[Record] = []
    to_come: list[Trade] = []
    for number in range(n):
        now_ns += rng.choice(STEPS_MS) * MS
        chance = rng.random()
        trades = [each for each in log if isinstance(each, Trade)]
        if to_come and rng.random() < 0.3:
            log.append(msgspec.structs.replace(to_come.pop(), ts_recv_ns=now_ns))
        elif chance < 0.15:
            log.append(Heartbeat(feed=rng.choice(FEEDS), ts_recv_ns=now_ns))
        elif chance < 0.25 and trades:
            again = msgspec.structs.replace(rng.choice(trades), ts_recv_ns=now_ns)
            log.append(msgspec.structs.replace(again, price=rng.choice([again.price, 9.0, 11.0])))
        elif chance < 0.4 and trades:
            log.append(random_correction(rng, rng.choice(trades[-8:]), now_ns, number, log))
        elif chance < 0.45:
            trade = random_trade(rng, now_ns - rng.randrange(100) * MS, now_ns)
            to_come.append(trade)
            log.append(random_correction(rng, trade, now_ns, number, log))
        else:
            log.append(random_trade(rng, now_ns - rng.choice(AGES_MS) * MS, now_ns))
    log += [msgspec.structs.replace(each, ts_recv_ns=now_ns) for each in to_come]
    far_ns = now_ns + 4 * 86_400 * 10**9
    return [*log, *(Heartbeat(feed=feed, ts_recv_ns=far_ns) for feed in sorted(set(FEEDS)))]


def expected_bars(log: list[Record]) -> dict[Key, Any]:
    trades = amended((r for r in log if isinstance(r, Trade)), (r for r in log if isinstance(r, Correction)))
    return {key: sums for interval in INTERVALS for key, sums in bars_from(trades, interval).items()}


def untouched(log: list[Record], bars: list[Bar]) -> list[Bar]:
    """Choose the bars in whose windows nothing was late, ahead or corrected: by the plainest of rules."""
    corrected = {(r.feed, r.symbol) for r in log if isinstance(r, Correction)}
    latest: dict[str, int] = defaultdict(int)
    odd: list[Trade] = []
    for record in log:
        if not isinstance(record, Correction):
            latest[record.feed] = max(latest[record.feed], record.ts_recv_ns)
        if isinstance(record, Trade) and (
            record.ts_ns > record.ts_recv_ns + AHEAD_NS_MAX
            or window(record.ts_ns, "1s")[1] + 1_000 * MS <= latest[record.feed]
        ):
            odd.append(record)
    return [
        bar
        for bar in bars
        if (bar.feed, bar.symbol) not in corrected
        and not any(
            (t.feed, t.symbol) == (bar.feed, bar.symbol) and bar.ts_open_ns <= t.ts_ns < bar.ts_close_ns
            for t in odd
        )
    ]


def check(world: BarsWorld) -> None:
    bars = Columns.from_records(Bar, world.stored_bars())
    emptied = is_emptied(bars)
    assert difference(dict(keyed(bars.take(~emptied))), expected_bars(world.log)) == ""
    assert (bars["revision"][emptied] > 0).all()
    assert bars["is_final"].all()
    assert [bar.revision for bar in untouched(world.log, bars.to_records()) if bar.revision] == []


def test_a_store_that_forgot_bars_is_not_taken_at_its_word() -> None:
    """Once wrong: a day was rolled up from what a restarted store had left, with a revision that won."""

    def trade(at_s: int, recv_s: int) -> Trade:
        made = random_trade(random.Random(at_s), BASE_NS + at_s * 1_000 * MS, BASE_NS + recv_s * 1_000 * MS)
        return msgspec.structs.replace(made, feed="us", symbol="A", flags=ALL)

    def beat(at_s: int) -> Heartbeat:
        return Heartbeat(feed="us", ts_recv_ns=BASE_NS + at_s * 1_000 * MS)

    log: list[Record] = [
        trade(60, 60),
        trade(121, 121),
        beat(300),
        trade(60, 300),
        trade(700, 700),
        beat(400_000),
    ]
    world = BarsWorld(log, 1)
    polls_at: dict[tuple[int, int], int] = defaultdict(int)

    def takes(begin: int) -> int:
        polls_at[world.restarts, begin] += 1
        has_waited = polls_at[world.restarts, begin] > 60
        if begin == len(log):
            world.written = world.persisted = len(log)
        if begin == 3 and not world.restarts:
            return 3 if has_waited else 0  # until the first minutes are on disk
        if begin == 4:
            return 2 if has_waited else 0  # until the repeated trade was looked into
        return min(3, 4 - begin) if begin < 4 else 2

    def restart_once() -> None:
        if not world.restarts:
            assert sum(bar.interval == "1m" for bar in world.stored_bars()) == 3
            world.restart_store()
            assert sum(bar.interval == "1m" for bar in world.stored_bars()) == 2

    world.takes, world.on_read_bars = takes, restart_once
    world.persist_may_go_on = lambda: False
    with isolated_registry():
        world.run()
        assert world.restarts == 1
        check(world)


logs = st.builds(make_log, st.integers(0, 2**32), st.integers(0, 60))
seeds = st.integers(0, 2**32)
troubles = st.sets(st.sampled_from(["killed", "restart", "away", "rebalance"]))


@settings(max_examples=40)
@given(logs, seeds)
def test_bars_end_as_the_trades_and_corrections_have_them(log: list[Record], seed: int) -> None:
    with isolated_registry():
        world = BarsWorld(log, seed)
        world.run()
        check(world)


@settings(max_examples=80)
@given(logs, seeds, troubles)
def test_whatever_dies_on_the_way(log: list[Record], seed: int, troubles: set[str]) -> None:
    with isolated_registry():
        world = BarsWorld(log, seed, troubles)
        world.run()
        world.restart_store()  # what was committed outlives that, too
        check(world)
