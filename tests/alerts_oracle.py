"""Alerts of a log in plain Python, record by record: what `ticktrail.alerts` must find."""

from __future__ import annotations

import itertools
import math
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from ticktrail.alerts.rules import Rule
from ticktrail.model import Bar, Flag, Heartbeat, Quote, Trade
from ticktrail.reference import US_EQUITIES, session_codes

__all__ = ["Told", "expected"]

S = 1_000_000_000
# Rule, feed, symbol, time, value.
Told = tuple[str, str, str, int, float]


class Machine:
    """One direction of a rule for one symbol."""

    def __init__(self, rule: Rule, on: float, *, is_crossing: bool, is_strict: bool) -> None:
        self.on, self.is_strict = on, is_strict
        self.rule = rule
        self.state: bool | None = None if is_crossing else False
        self.last_ns: int | None = None

    def is_beyond(self, value: float) -> bool:
        return value > self.on if self.is_strict else value >= self.on

    def is_released(self, value: float) -> bool:
        if self.rule.hysteresis:
            return value <= self.on - self.rule.hysteresis
        return not self.is_beyond(value)

    def feed(self, value: float, ts_ns: int) -> bool:
        if math.isnan(value):
            return False
        if self.state is None:
            self.state = self.is_beyond(value)
        elif not self.state and self.is_beyond(value):
            self.state = True
            if self.last_ns is None or ts_ns >= self.last_ns + int(self.rule.cooldown_s * S):
                self.last_ns = ts_ns
                return True
        elif self.state and self.is_released(value):
            self.state = False
        return False


class Symbol:
    """What is known of one symbol's trades, all of them."""

    def __init__(self) -> None:
        self.last_ns = -(1 << 62)
        self.seen: set[tuple[int, int]] = set()
        self.trades: list[Trade] = []
        self.bars: list[Bar] = []
        self.recv_ns = 0

    def takes(self, record: Trade | Quote) -> bool:
        key = (record.ts_ns, record.event_id)
        if record.ts_ns > record.ts_recv_ns + 3600 * S or record.ts_ns < self.last_ns or key in self.seen:
            return False
        self.last_ns = record.ts_ns
        self.seen.add(key)
        return True


def expected(records: Sequence[Any], append_ns: Sequence[int], rules: Sequence[Rule]) -> list[Told]:
    """Find the alerts of rules on trades, quotes, heartbeats and bars, each on records of its own."""
    told: list[Told] = []
    for rule in sorted(rules, key=lambda each: each.name):
        told += _of_rule(records, append_ns, rule)
    return told


def _of_rule(  # noqa: C901, PLR0912 (all that happens to a record, in one place)
    records: Sequence[Any], append_ns: Sequence[int], rule: Rule
) -> Iterable[Told]:
    symbols: dict[tuple[str, str], Symbol] = defaultdict(Symbol)
    machines: dict[tuple[str, str], list[tuple[Machine, Callable[..., float]]]] = {}
    since_ns: dict[str, int] = {}
    is_active = False
    for record, log_ns in zip(records, append_ns, strict=True):
        # From the first such record on: a broker's clock may step back.
        is_active = is_active or log_ns >= rule.active_from_ns
        if isinstance(record, Heartbeat):
            if rule.kind == "silent_feed" and is_active:
                yield from _beat(record, rule, symbols, machines, since_ns)
            continue
        name = (record.feed, record.symbol)
        symbol = symbols[name]
        if isinstance(record, Bar):
            if record.interval != rule.interval or not record.is_final:
                continue
            if symbol.bars and record.ts_open_ns <= symbol.bars[-1].ts_open_ns:
                continue
            symbol.bars.append(record)
            ts_ns = record.ts_close_ns
        else:
            if rule.kind == "silent_feed":
                if is_active:
                    symbol.recv_ns = max(symbol.recv_ns, record.ts_recv_ns)
                continue
            if isinstance(record, Trade) and not (record.price > 0 and not record.flags & Flag.SUSPICIOUS):
                continue
            if not symbol.takes(record):
                continue
            ts_ns = record.ts_ns
            if isinstance(record, Trade):
                symbol.trades.append(record)
        if not is_active or not _concerns(rule, name):
            continue
        for machine, value_of in machines.setdefault(name, _machines(rule)):
            value = value_of(symbol, record, log_ns)
            sign = value_of.__dict__.get("sign", 1)
            if machine.feed(sign * value, ts_ns):
                yield rule.name, *name, ts_ns, value


def _beat(
    beat: Heartbeat,
    rule: Rule,
    symbols: dict[Any, Symbol],
    machines: dict[Any, Any],
    since_ns: dict[str, int],
) -> Iterable[Told]:
    if session_codes(np.array([beat.ts_recv_ns]), US_EQUITIES)[0] != 2:
        since_ns.pop(beat.feed, None)
        return
    since = since_ns.setdefault(beat.feed, beat.ts_recv_ns)
    for name, symbol in symbols.items():
        if name[0] == beat.feed and symbol.recv_ns and _concerns(rule, name):
            silent_s = (beat.ts_recv_ns - max(symbol.recv_ns, since)) / S
            machine = machines.setdefault(
                name, Machine(rule, rule.params["seconds"], is_crossing=False, is_strict=False)
            )
            if machine.feed(silent_s, beat.ts_recv_ns):
                yield rule.name, *name, beat.ts_recv_ns, silent_s


def _concerns(rule: Rule, name: tuple[str, str]) -> bool:
    return rule.feed in ("*", name[0]) and ("*" in rule.symbols or name[1] in rule.symbols)


def _machines(rule: Rule) -> list[tuple[Machine, Callable[..., float]]]:  # noqa: PLR0911 (one for each kind)
    params = rule.params
    ways = {"up": [1], "down": [-1]}.get(params.get("direction", "either"), [1, -1])

    def made(
        on: float,
        value_of: Callable[..., float],
        sign: int = 1,
        *,
        crossing: bool = False,
        strict: bool = False,
    ) -> Any:
        def signed(*arguments: Any) -> float:
            return value_of(*arguments)

        signed.__dict__["sign"] = sign
        return Machine(rule, on, is_crossing=crossing, is_strict=strict), signed

    match rule.kind:
        case "price_crosses":
            return [made(way * params["price"], _price, way, crossing=True) for way in ways]
        case "vwap_cross":
            return [made(0.0, _vwap, way, crossing=True, strict=True) for way in ways]
        case "percent_move":
            found = {1: _move_up(params["window_s"], rule), -1: _move_down(params["window_s"], rule)}
            return [made(params["percent"], found[way]) for way in ways]
        case "sigma_move":
            return [made(params["sigmas"], _sigma(params["window_s"], rule), way) for way in ways]
        case "new_high" | "new_low":
            least = params.get("by_percent", 0.0)
            value_of = _high if rule.kind == "new_high" else _low
            return [made(least, value_of, strict=not least)]
        case "lag":
            return [made(params["at_least_ms"], _lag)]
        case "spread":
            return [made(params["at_least"], _spread(params.get("unit", "bps")))]
        case "bar_condition":
            way = 1 if params["op"] in (">", ">=") else -1
            strict = len(params["op"]) == 1
            return [made(way * (params.get("value") or 0.0), _bars(params), way, strict=strict)]
    raise AssertionError(rule.kind)


def _price(_symbol: Symbol, trade: Trade, _log_ns: int) -> float:
    return trade.price if trade.flags & Flag.UPDATES_LAST else math.nan


def _lag(_symbol: Symbol, trade: Trade, log_ns: int) -> float:
    return math.nan if trade.flags & Flag.NO_RECV_TIME else (log_ns - trade.ts_event_ns) / 1_000_000


def _of_day(symbol: Symbol, trade: Trade) -> list[Trade]:
    return [each for each in symbol.trades if each.day == trade.day]


def _vwap(symbol: Symbol, trade: Trade, _log_ns: int) -> float:
    turnover = volume = before = 0.0
    for each in _of_day(symbol, trade):
        before = volume
        if each.flags & Flag.UPDATES_VOLUME and each.size > 0:
            turnover += each.price * each.size
            volume += each.size
    if not before or not trade.flags & Flag.UPDATES_LAST:
        return math.nan
    vwap = turnover / volume
    return 100.0 * (trade.price - vwap) / vwap


def _high(symbol: Symbol, trade: Trade, _log_ns: int) -> float:
    before = [t.price for t in _of_day(symbol, trade)[:-1] if t.flags & Flag.UPDATES_HIGH_LOW]
    if not before or not trade.flags & Flag.UPDATES_HIGH_LOW:
        return math.nan
    return 100.0 * (trade.price - max(before)) / max(before)


def _low(symbol: Symbol, trade: Trade, _log_ns: int) -> float:
    before = [t.price for t in _of_day(symbol, trade)[:-1] if t.flags & Flag.UPDATES_HIGH_LOW]
    if not before or not trade.flags & Flag.UPDATES_HIGH_LOW:
        return math.nan
    return 100.0 * (min(before) - trade.price) / min(before)


def _window(symbol: Symbol, trade: Trade, window_s: int) -> list[float]:
    width_ns = window_s * S // 60
    now = trade.ts_ns // width_ns
    return [
        each.price
        for each in symbol.trades
        if each.flags & Flag.UPDATES_LAST and now - 60 < each.ts_ns // width_ns <= now
    ]


def _move_up(window_s: int, _rule: Rule) -> Callable[..., float]:
    def value(symbol: Symbol, trade: Trade, _log_ns: int) -> float:
        if not trade.flags & Flag.UPDATES_LAST:
            return math.nan
        low = min(_window(symbol, trade, window_s))
        return 100.0 * (trade.price - low) / low

    return value


def _move_down(window_s: int, _rule: Rule) -> Callable[..., float]:
    def value(symbol: Symbol, trade: Trade, _log_ns: int) -> float:
        if not trade.flags & Flag.UPDATES_LAST:
            return math.nan
        high = max(_window(symbol, trade, window_s))
        return 100.0 * (high - trade.price) / high

    return value


def _sigma(window_s: int, _rule: Rule) -> Callable[..., float]:
    def value(symbol: Symbol, trade: Trade, _log_ns: int) -> float:
        if not trade.flags & Flag.UPDATES_LAST:
            return math.nan
        closes: dict[int, float] = {}
        for each in symbol.trades:
            if each.flags & Flag.UPDATES_LAST:
                closes[each.ts_ns // (window_s * S)] = each.price
        now = trade.ts_ns // (window_s * S)
        line = [close for window, close in closes.items() if window < now][-61:]
        moves = [100.0 * (b - a) / a for a, b in itertools.pairwise(line)]
        if len(moves) < 20:
            return math.nan
        mean = sum(moves) / len(moves)
        deviation = math.sqrt(sum((move - mean) ** 2 for move in moves) / (len(moves) - 1))
        assert math.isclose(deviation, statistics.stdev(moves), rel_tol=1e-9, abs_tol=1e-12)
        return 100.0 * (trade.price - line[-1]) / line[-1] / deviation if deviation else math.nan

    return value


def _spread(unit: str) -> Callable[..., float]:
    def value(_symbol: Symbol, quote: Quote, _log_ns: int) -> float:
        if not (quote.bid_price > 0 and quote.ask_price > 0):
            return math.nan
        spread = quote.ask_price - quote.bid_price
        return spread if unit == "price" else 10_000.0 * spread / ((quote.ask_price + quote.bid_price) / 2.0)

    return value


def _bars(params: dict[str, Any]) -> Callable[..., float]:
    def aggregated(bars: list[Bar], field: str, aggregate: str) -> float:
        line = [float(getattr(bar, field)) for bar in bars]
        if aggregate in ("last", "first"):
            return line[-1 if aggregate == "last" else 0]
        if any(math.isnan(value) for value in line):
            return math.nan
        functions: dict[str, Callable[[list[float]], float]] = {
            "min": min,
            "max": max,
            "sum": sum,
            "mean": lambda each: sum(each) / len(each),
        }
        return functions[aggregate](line)

    def value(symbol: Symbol, _bar: Bar, _log_ns: int) -> float:
        window = params.get("window", 1)
        than = params.get("than_window", 20) if "than_field" in params else 0
        if len(symbol.bars) < window:
            return math.nan
        left = aggregated(symbol.bars[-window:], params["field"], params.get("aggregate", "last"))
        if not than:
            return left
        before = symbol.bars[: len(symbol.bars) - window][-than:]
        if len(before) < than:
            return math.nan
        right = aggregated(before, params["than_field"], params.get("than_aggregate", "mean"))
        return left - float(params.get("times", 1.0)) * right

    return value
