"""Bars do not depend on how their trades came: order, polls, repetitions, restarts."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import hypothesis.strategies as st
import msgspec
import numpy as np
from bars_oracle import LENGTHS_S, Key, Sums, bars_from, difference, keyed, window
from hypothesis import given

from ticktrail.bars import AHEAD_NS_MAX, BarBuilder, Step, bars_of
from ticktrail.config.settings import BarsSettings
from ticktrail.model import Bar, Columns, Flag, Heartbeat, Trade
from ticktrail.reference import ROUND_THE_CLOCK, US_EQUITIES, Market

MS = 1_000_000
ALL = int(Flag.UPDATES_LAST | Flag.UPDATES_HIGH_LOW | Flag.UPDATES_VOLUME)
SETTINGS = BarsSettings(lateness_ms=1_000)
INTERVALS = ("1s", "1m", "5m", "1h", "1d")
# Five seconds before midnight in New York (04:00 UTC), so that logs cross from one trading day to the next.
BASE_NS = 1_381_204_795 * 1_000_000_000
MARKETS = {"us": US_EQUITIES, "coin": ROUND_THE_CLOCK}

Record = Trade | Heartbeat


def market_of(feed: str) -> Market:
    return MARKETS[feed]


# Mostly small steps, at times one that closes seconds, minutes, hours.
STEPS_MS = [0, 0, 1, 7, 100, 100, 500, 999, 1_000, 2_500, 9_000, 30_000, 61_000, 400_000, 3_700_000]
BACK_MS = [0, 0, 0, 0, 0, 2_000, 3_000, 5_000, 90_000, 86_400_000]
AGES_MS = [-3, 0, 0, 0, 1, 40, 500, 999, 1_000, 1_001, 2_000, 20_000, 59_000, 61_000, 3_600_000, -7_200_000]
FLAGS = [ALL, ALL, int(Flag.UPDATES_VOLUME), ALL | int(Flag.SNAPSHOT), 0, int(Flag.UPDATES_LAST)]
SYMBOLS = ["A", "BRK.B", "ETH-USD-PERP"]


def trade(feed: str, symbol: str, ts_ns: int, event_id: int, **others: Any) -> Trade:
    values: dict[str, Any] = {"ts_recv_ns": ts_ns, "price": 1.0, "size": 1.0, "flags": ALL, **others}
    return Trade(feed=feed, symbol=symbol, day=0, ts_ns=ts_ns, event_id=event_id, ts_event_ns=ts_ns, **values)


def random_trade(rng: random.Random, feed: str, ts_ns: int, recv_ns: int, offset: int) -> Trade:
    """Few identities, so that they repeat with other content; the offset as trade id, to tell them apart."""
    return trade(
        feed,
        rng.choice(SYMBOLS),
        ts_ns,
        rng.randrange(3),
        ts_recv_ns=recv_ns,
        price=10 + rng.randrange(40) / 100,
        size=rng.randrange(6) / 4,
        flags=rng.choice(FLAGS),
        trade_id=str(offset),
    )


def live_log(rng: random.Random, n: int) -> list[Record]:
    """What capture writes: receive times rise, event times mostly lie before them."""
    now_ns = BASE_NS
    log: list[Record] = []
    for offset in range(n):
        now_ns += rng.choice(STEPS_MS) * MS
        feed = rng.choice(["us", "us", "us", "coin"])
        if rng.random() < 0.15:
            log.append(Heartbeat(feed=feed, ts_recv_ns=now_ns))
        else:
            log.append(random_trade(rng, feed, now_ns - rng.choice(AGES_MS) * MS, now_ns, offset))
        earlier = rng.choice(log)
        if rng.random() < 0.1 and isinstance(earlier, Trade):
            price = rng.choice([earlier.price, 9.0, 11.0])
            log[-1] = msgspec.structs.replace(earlier, ts_recv_ns=now_ns, price=price, trade_id=str(offset))
    return log


def file_log(rng: random.Random, n: int) -> list[Record]:
    """What imports write: receive times are event times, and days may come in any order."""
    now_ns = BASE_NS
    log: list[Record] = []
    for offset in range(n):
        now_ns += (rng.choice(STEPS_MS) - rng.choice(BACK_MS)) * MS
        if rng.random() < 0.05:
            log.append(Heartbeat(feed="us", ts_recv_ns=now_ns))
        else:
            log.append(random_trade(rng, "us", now_ns, now_ns, offset))
    return log


def _log(write: Callable[[random.Random, int], list[Record]], seed: int, n: int) -> list[Record]:
    return write(random.Random(seed), n)


sizes = st.integers(0, 80)
seeds = st.integers(0, 2**32)
live_logs = st.builds(_log, st.just(live_log), seeds, sizes)
file_logs = st.builds(_log, st.just(file_log), seeds, sizes)
logs = st.one_of(live_logs, file_logs)


def ended(log: list[Record]) -> list[Record]:
    """Add heartbeats so late that every window closes."""
    far_ns = max([BASE_NS, *(r.ts_recv_ns for r in log)]) + 3 * 86_400 * 10**9
    return [*log, *(Heartbeat(feed=feed, ts_recv_ns=far_ns) for feed in MARKETS)]


def read(builder: BarBuilder, log: Sequence[Record], start: int, end: int) -> Step:
    records = list(enumerate(log))[start:end]
    trades = [(offset, r) for offset, r in records if isinstance(r, Trade)]
    beats = [(offset, r) for offset, r in records if isinstance(r, Heartbeat)]
    return builder.read(
        Columns.from_records(Trade, [r for _, r in trades]),
        np.array([offset for offset, _ in trades], dtype=np.int64),
        heartbeats=Columns.from_records(Heartbeat, [r for _, r in beats]),
        heartbeat_offsets=np.array([offset for offset, _ in beats], dtype=np.int64),
        next_offset=end,
    )


@dataclass
class Verdict:
    """What becomes of the trades of a log by the rules as written, one record after the other."""

    in_second: list[Trade] = field(default_factory=list)
    in_minute: list[Trade] = field(default_factory=list)
    late: set[str] = field(default_factory=set)
    ahead: set[str] = field(default_factory=set)

    @staticmethod
    def of(log: Sequence[Record]) -> Verdict:
        verdict = Verdict()
        times: dict[tuple[str, int], int] = {}
        for record in log:
            day_ns = BASE_NS + 10**18  # a heartbeat moves all days
            if isinstance(record, Trade):
                if record.ts_ns > record.ts_recv_ns + AHEAD_NS_MAX:
                    verdict.ahead.add(record.trade_id)
                    continue
                day_ns, _ = window(record.ts_ns, "1d", MARKETS[record.feed].zone)
                times.setdefault((record.feed, day_ns), -(1 << 62))
            for feed, other_ns in list(times):
                if feed == record.feed and other_ns <= day_ns:
                    times[feed, other_ns] = max(times[feed, other_ns], record.ts_recv_ns)
            if isinstance(record, Trade):
                closed_ns = times[record.feed, day_ns] - SETTINGS.lateness_ms * MS
                verdict._judge(record, closed_ns)
        return verdict

    def _judge(self, record: Trade, closed_ns: int) -> None:
        if window(record.ts_ns, "1s")[1] > closed_ns:
            self.in_second.append(record)
        else:
            self.late.add(record.trade_id)
        if window(record.ts_ns, "1m")[1] > closed_ns:
            self.in_minute.append(record)

    def bars(self) -> dict[Key, Sums]:
        expected: dict[Key, Sums] = {}
        for feed, market in MARKETS.items():
            for interval in INTERVALS:
                inside = self.in_second if interval == "1s" else self.in_minute
                expected |= bars_from((t for t in inside if t.feed == feed), interval, market.zone)
        return expected


@dataclass
class Store:
    """The table of bars, as far as a restarted builder reads it."""

    rows: dict[Key, Bar] = field(default_factory=dict)
    late: set[str] = field(default_factory=set)
    ahead: set[str] = field(default_factory=set)

    def write(self, step: Step) -> None:
        for bar in step.bars.to_records():
            key = (bar.feed, bar.symbol, bar.interval, bar.ts_open_ns)
            # A bar that is given out again must be the same one, to the last bit.
            assert repr(self.rows.setdefault(key, bar)) == repr(bar)
        self.late.update(t.trade_id for t in step.late.to_records())
        self.ahead.update(t.trade_id for t in step.ahead.to_records())

    def symbols(self, feed: str, day: int) -> Collection[str]:
        return {bar.symbol for bar in self.rows.values() if (bar.feed, bar.day) == (feed, day)}

    def minutes(self, keys: Sequence[tuple[str, str, int]]) -> Columns[Bar]:
        return Columns.from_records(
            Bar, [bar for bar in self.rows.values() if (bar.feed, bar.symbol, bar.day) in keys]
        )

    def bars(self) -> Columns[Bar]:
        return Columns.from_records(Bar, self.rows.values())


def run(log: Sequence[Record], cuts: Collection[int]) -> Store:
    store, builder, start = Store(), BarBuilder(SETTINGS, market_of), 0
    for end in sorted({*(cut for cut in cuts if cut < len(log)), len(log)}):
        store.write(read(builder, log, start, end))
        start = end
    return store


def as_text(store: Store) -> dict[Key, str]:
    """Make bars comparable: NaN equals NaN, and each float shows its last bit."""
    return {key: repr(bar) for key, bar in store.rows.items()}


cuts_drawn = st.sets(st.integers(1, 65), max_size=20)


@given(logs, cuts_drawn)
def test_bars_and_late_trades_are_those_of_the_rules_whatever_the_polls(
    log: list[Record], cuts: set[int]
) -> None:
    log = ended(log)
    verdict = Verdict.of(log)
    store = run(log, cuts)
    assert difference(dict(keyed(store.bars())), verdict.bars()) == ""
    assert store.late == verdict.late
    assert store.ahead == verdict.ahead


@given(seeds, sizes, cuts_drawn)
def test_order_and_repetition_within_the_allowance_do_not_matter(seed: int, n: int, cuts: set[int]) -> None:
    rng = random.Random(seed)
    # One identity, one content: which of several stands does depend on the order, and is tested above.
    trades = {
        (t.feed, t.symbol, t.ts_ns, t.event_id): t
        for at_ms in rng.choices(range(0, AHEAD_NS_MAX // MS, 50), k=n)
        for t in [random_trade(rng, rng.choice(list(MARKETS)), BASE_NS + at_ms * MS, BASE_NS, 0)]
    }
    once = list(trades.values())
    again = [*once, *rng.sample(once, len(once) // 2)]
    rng.shuffle(again)
    straight, mixed = run(ended(list(once)), ()), run(ended(list(again)), cuts)
    assert as_text(straight) == as_text(mixed)
    for feed, market in MARKETS.items():
        rows = Columns.from_records(Trade, [t for t in again if t.feed == feed])
        for interval in INTERVALS:
            at_once = [repr(bar) for bar in bars_of(rows, interval, market).to_records()]
            live = [repr(b) for b in mixed.rows.values() if (b.feed, b.interval) == (feed, interval)]
            assert sorted(at_once) == sorted(live)


@given(logs, seeds)
def test_a_restart_anywhere_changes_nothing(log: list[Record], seed: int) -> None:
    log, rng = ended(log), random.Random(seed)
    store, builder, position = Store(), BarBuilder(SETTINGS, market_of), 0
    committed: tuple[int, str] = (0, "")
    for _ in range(20):
        end = min(position + rng.randrange(1, 20), len(log))
        store.write(read(builder, log, position, end))
        position = end
        event = rng.choice(["commit", "commit", "crash", "go on"])
        if event == "commit" and (offset := builder.commit_offset()) is not None:
            assert committed[0] <= offset <= position
            committed = (offset, builder.state())
            assert len(committed[1]) <= 4096
        elif event == "crash":
            position = committed[0]
            builder = BarBuilder(SETTINGS, market_of, history=store)
            if committed[1]:
                builder.restore(committed[1])
    store.write(read(builder, log, position, len(log)))
    whole = run(log, ())
    assert as_text(store) == as_text(whole)
    assert store.late == whole.late
    assert store.ahead == whole.ahead


@given(logs, st.sampled_from(INTERVALS))
def test_bars_of_a_set_are_those_of_the_plain_way(log: list[Record], interval: str) -> None:
    for feed, market in MARKETS.items():
        trades = [r for r in log if isinstance(r, Trade) and r.feed == feed]
        bars = bars_of(Columns.from_records(Trade, trades), interval, market)
        assert difference(dict(keyed(bars)), bars_from(trades, interval, market.zone)) == ""
        length = LENGTHS_S.get(interval)
        if length:
            assert (bars["ts_close_ns"] - bars["ts_open_ns"] == length * 10**9).all()
