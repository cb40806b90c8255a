"""Alerts follow from the log alone, not from its polls or restarts; they are those of plain Python."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import hypothesis.strategies as st
import msgspec
import numpy as np
from alerts_oracle import Told, expected
from fakes.memory_alerts import AlertWorld
from hypothesis import given, settings

from ticktrail.alerts.engine import Evaluator
from ticktrail.alerts.rules import Rule, Scope, parse_rule
from ticktrail.codec import encode_record
from ticktrail.config import AlertsSettings
from ticktrail.model import Alert, Bar, Flag, Heartbeat, Quote, Trade
from ticktrail.telemetry import isolated_registry

S = 1_000_000_000
ALL = int(Flag.UPDATES_LAST | Flag.UPDATES_HIGH_LOW | Flag.UPDATES_VOLUME)
# A Monday, 15:50 in New York: the regular session ends within the log.
START_NS = 1_381_175_400 * S
DAY = 15_985
SYMBOLS = ["A", "BRK.B", "ETH-USD-PERP"]
FLAGS = [ALL] * 8 + [int(Flag.UPDATES_VOLUME), int(Flag.UPDATES_LAST), 0, ALL | int(Flag.SUSPICIOUS)]


class NoVolumes:
    def volume(self, feed: str, symbol: str, interval: str, ts_open_ns: int, days: tuple[int, int]) -> float:
        raise AssertionError


def rule(name: str, kind: str, params: dict[str, Any], **others: Any) -> Rule:
    return parse_rule({"name": name, "kind": kind, "params": params, **others}, AlertsSettings())


def trade_rules(rng: random.Random, begins_ns: int) -> list[Rule]:
    def vary(name: str, kind: str, params: dict[str, Any], hysteresis: float) -> Rule:
        return rule(
            name,
            kind,
            params,
            cooldown_s=rng.choice([0, 0, 2, 30]),
            hysteresis=rng.choice([0.0, hysteresis]),
            symbols=rng.choice([["*"], ["A"], ["A", "BRK.B"]]),
            feed=rng.choice(["*", "f"]),
        )

    way = rng.choice(["up", "down", "either"])
    found = [
        vary("price", "price_crosses", {"price": 10.0, "direction": way}, 0.05),
        vary("price2", "price_crosses", {"price": 10.07}, 0.02),
        vary("vwap", "vwap_cross", {"direction": way}, 0.1),
        vary("move", "percent_move", {"percent": 1.0, "window_s": 60}, 0.5),
        vary("move1", "percent_move", {"percent": 0.8, "window_s": 7, "direction": way}, 0.5),
        vary("sigma", "sigma_move", {"sigmas": 2, "window_s": 2, "direction": way}, 1.0),
        vary("high", "new_high", {}, 0.2),
        vary("low", "new_low", {"by_percent": 0.1}, 0.2),
        vary("lag", "lag", {"at_least_ms": 700}, 100),
        vary("silent", "silent_feed", {"seconds": 4}, 0),
    ]
    # One of them was made while the log was written; windows and days are then known from then on only.
    late = rng.choice(["price", "price2", "high", "lag", "vwap"])
    return [
        msgspec.structs.replace(each, active_from_ns=begins_ns) if each.name == late else each
        for each in found
    ]


def trade_log(rng: random.Random, n: int) -> tuple[list[Any], list[int]]:
    now_ns, price = START_NS, 10.0
    log: list[Any] = []
    append_ns: list[int] = []
    for _ in range(n):
        now_ns += rng.choice([0, 0, 1, 40, 300, 1_000, 1_500, 6_000]) * 1_000_000
        if rng.random() < 0.2:
            log.append(Heartbeat(feed="f", ts_recv_ns=now_ns))
        elif log and rng.random() < 0.1 and isinstance(earlier := rng.choice(log[-9:]), Trade):
            log.append(msgspec.structs.replace(earlier, ts_recv_ns=now_ns))
        else:
            price = max(9.5, min(10.5, price + rng.choice([-6, -2, -1, 0, 1, 2, 6]) / 100))
            age_ns = rng.choice([0, 0, 0, 1, 400, 900, 5_000, -7_200_000]) * 1_000_000
            log.append(
                Trade(
                    feed="f",
                    symbol=rng.choice(SYMBOLS),
                    day=DAY + (now_ns > START_NS + 500 * S),
                    ts_ns=now_ns - age_ns,
                    event_id=rng.randrange(3),
                    ts_event_ns=now_ns - age_ns,
                    ts_recv_ns=now_ns,
                    price=round(price, 2),
                    size=float(rng.randrange(5)),
                    flags=rng.choice(FLAGS) | (int(Flag.NO_RECV_TIME) if rng.random() < 0.1 else 0),
                )
            )
        append_ns.append(now_ns // 1_000_000 * 1_000_000 + rng.choice([0, 1, 300]) * 1_000_000)
    return log, append_ns


def evaluated(
    source: str,
    log: Sequence[Any],
    append_ns: Sequence[int],
    rules: Sequence[Rule],
    rng: random.Random | None,
) -> list[Alert]:
    """Evaluate a log; with `rng` in random polls, with random restarts and rules told late or twice."""
    scopes = [Scope(each, {}) for each in rules]
    values = [encode_record(record) for record in log]
    times_ms = np.array(append_ns, dtype=np.int64) // 1_000_000
    evaluator = Evaluator(source, NoVolumes())
    evaluator.set_rules(scopes)
    alerts: list[Alert] = []
    at = 0
    while at < len(values):
        end = len(values) if rng is None else at + rng.choice([1, 1, 2, 3, 10, 50])
        alerts += evaluator.read(values[at:end], times_ms[at:end])
        at = end
        if rng is not None and rng.random() < 0.2:
            state = evaluator.state()
            evaluator = Evaluator(source, NoVolumes())
            evaluator.restore(state)
            evaluator.set_rules(scopes)
        if rng is not None and rng.random() < 0.1:
            other = rule("other", "price_crosses", {"price": 1.0})
            evaluator.set_rules([*scopes, Scope(other, {})])
            evaluator.set_rules(scopes)
    return alerts


def told(alerts: Sequence[Alert]) -> list[Told]:
    return sorted((a.rule, a.feed, a.symbol, a.ts_ns, a.value) for a in alerts)


@given(seed=st.integers(0, 1 << 32), n=st.integers(1, 250))
@settings(max_examples=60, deadline=None)
def test_trades_give_the_alerts_of_plain_python_however_the_log_is_cut(seed: int, n: int) -> None:
    rng = random.Random(seed)
    log, append_ns = trade_log(rng, n)
    rules = trade_rules(rng, rng.choice(append_ns))
    whole = evaluated("trades", log, append_ns, rules, None)
    assert told(whole) == sorted(expected(log, append_ns, rules))
    assert evaluated("trades", log, append_ns, rules, rng) == whole


@given(seed=st.integers(0, 1 << 32))
@settings(max_examples=30, deadline=None)
def test_spreads(seed: int) -> None:
    rng = random.Random(seed)
    now_ns, log, append_ns = START_NS, [], []
    for number in range(150):
        now_ns += rng.choice([0, 5, 1_000]) * 1_000_000
        bid = rng.choice([0.0, 9.98, 9.99, 10.0])
        log.append(
            Quote(
                feed="f",
                symbol=rng.choice(SYMBOLS),
                day=DAY,
                ts_ns=now_ns - rng.choice([0, 0, 2_000_000_000]),
                event_id=number,
                ts_event_ns=now_ns,
                ts_recv_ns=now_ns,
                bid_price=bid,
                bid_size=1.0,
                ask_price=rng.choice([0.0, 10.0, 10.01, 10.03, 10.06]),
                ask_size=1.0,
            )
        )
        append_ns.append(now_ns)
    rules = [
        rule(
            "bps", "spread", {"at_least": 50}, hysteresis=rng.choice([0, 20.0]), cooldown_s=rng.choice([0, 3])
        ),
        rule("price", "spread", {"at_least": 0.03, "unit": "price"}, cooldown_s=0, symbols=["A"]),
    ]
    whole = evaluated("quotes", log, append_ns, rules, None)
    assert told(whole) == sorted(expected(log, append_ns, rules))
    assert evaluated("quotes", log, append_ns, rules, rng) == whole


@given(seed=st.integers(0, 1 << 32))
@settings(max_examples=30, deadline=None)
def test_windows_of_bars(seed: int) -> None:
    rng = random.Random(seed)
    log: list[Bar] = []
    for minute in range(60):
        for symbol in SYMBOLS:
            if rng.random() < 0.9:
                opened_ns = START_NS + (minute - rng.choice([0, 0, 0, 3])) * 60 * S
                prices = sorted(rng.choice([9.9, 10.0, 10.1, 10.2]) for _ in range(3))
                log.append(
                    Bar(
                        feed="f",
                        symbol=symbol,
                        interval=rng.choice(["1m", "1m", "1m", "5m"]),
                        day=DAY,
                        ts_open_ns=opened_ns,
                        ts_close_ns=opened_ns + 60 * S,
                        open=prices[1],
                        high=prices[2],
                        low=prices[0],
                        close=rng.choice([*prices, float("nan")]),
                        volume=float(rng.randrange(50)),
                        vwap=prices[1],
                        trades=rng.randrange(9),
                        session="regular",
                        revision=rng.choice([0, 0, 1]),
                        is_final=rng.random() < 0.95,
                    )
                )
    append_ns = [START_NS + number * S for number in range(len(log))]
    rules = [
        rule(
            "mean",
            "bar_condition",
            {"field": "close", "aggregate": "mean", "window": 3, "op": ">", "value": 10.05},
            cooldown_s=0,
        ),
        rule(
            "low",
            "bar_condition",
            {"field": "low", "op": "<=", "value": 9.9},
            cooldown_s=rng.choice([0, 300]),
        ),
        rule(
            "busy",
            "bar_condition",
            {"field": "volume", "op": ">", "than_field": "volume", "than_window": 5, "times": 1.5},
            cooldown_s=0,
        ),
        rule(
            "five",
            "bar_condition",
            {"field": "trades", "aggregate": "sum", "window": 2, "op": ">=", "value": 9.0},
            interval="5m",
            cooldown_s=0,
        ),
        rule(
            "range",
            "bar_condition",
            {
                "field": "high",
                "aggregate": "max",
                "window": 2,
                "op": "<",
                "than_field": "low",
                "than_aggregate": "max",
                "than_window": 3,
            },
            cooldown_s=0,
        ),
    ]
    whole = evaluated("bars", log, append_ns, rules, None)
    assert told(whole) == sorted(expected(log, append_ns, rules))
    assert evaluated("bars", log, append_ns, rules, rng) == whole


@given(seed=st.integers(0, 1 << 32))
@settings(max_examples=25, deadline=None)
def test_whatever_dies_every_alert_is_recorded_once_and_published(seed: int) -> None:
    rng = random.Random(seed)
    logs = [trade_log(rng, rng.randrange(1, 120)) for _ in range(2)]
    rules = trade_rules(rng, rng.choice(logs[0][1]))
    whole = [alert for log, times in logs for alert in evaluated("trades", log, times, rules, None)]
    troubles = [each for each in ("killed", "restart", "away", "rebalance") if rng.random() < 0.7]
    world = AlertWorld(logs, [Scope(each, {}) for each in rules], seed, troubles)
    with isolated_registry():
        world.run()
    by_id = {alert.id: alert for alert in whole}
    # Both partitions have the same symbols here, and then may find the same alert.
    assert len(by_id) >= len(whole) / 2
    assert world.alerts.keys() == by_id.keys()
    assert {alert.id for alert in world.topic} == by_id.keys()
    for alert in [*world.alerts.values(), *world.topic]:
        assert alert in whole
