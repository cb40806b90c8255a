"""Alerts of the recorded tape, recomputed from the files line by line; nothing in here is ticktrail's.

Only for tapes as these are: no line is earlier than the one before it. Rules are dictionaries in which every
parameter of the kind is given, as what an alert is called follows from all of them.
"""

from __future__ import annotations

import csv
import hashlib
import io
import itertools
import json
import math
import zipfile
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from zoneinfo import ZoneInfo

__all__ = ["Bar", "Fired", "Print", "Quote", "bars_of", "expected", "prints_of", "quotes_of"]

NEW_YORK = ZoneInfo("America/New_York")
S = 1_000_000_000
WIDTHS_S = {"1s": 1, "1m": 60, "5m": 300}
# Trades with any of these set no price.
_NO_PRICE = 0x20 | 0x40 | 0x80 | 0x200 | 0x1000000 | 0x2000000 | 0x4000000

Rule = Mapping[str, Any]
Name = tuple[str, str]


class Print(NamedTuple):
    """A trade of the tape: `number` is that of its line, `is_priced` whether it sets last, high and low."""

    ts_ns: int
    number: int
    day: date
    price: float
    size: float
    is_priced: bool


class Quote(NamedTuple):
    """Both sides, as the last line of each gave them; 0 where there is none."""

    ts_ns: int
    number: int
    bid: float
    ask: float


class Bar(NamedTuple):
    """A bar is known when it closes, at `ts_ns`; `number` is its opening."""

    ts_ns: int
    number: int
    fields: dict[str, float]


Record = TypeVar("Record", Print, Quote)


class Fired(NamedTuple):
    """An alert."""

    id: str
    rule: str
    feed: str
    symbol: str
    ts_ns: int
    value: float


class Leg(NamedTuple):
    """One direction of a rule: `part` is the place of its value, which is compared times `sign`."""

    direction: str
    sign: int
    on: float
    part: int = 0
    is_strict: bool = False


def prints_of(files: Iterable[Path]) -> list[Print]:
    """Read a symbol's trades, from files in the order of their days."""
    found = []
    for file in files:
        day, begin_ns = _day_of(file)
        for number, (ms, price, size, _, conditions, suspicious) in enumerate(_lines(file)):
            if suspicious == "0":
                is_priced = not int(conditions or "0", 16) & _NO_PRICE
                ts_ns = begin_ns + int(ms) * 1_000_000
                found.append(Print(ts_ns, number, day, int(price) / 10_000, float(size), is_priced))
    return _in_order(found)


def quotes_of(files: Iterable[Path]) -> list[Quote]:
    """Read a symbol's quotes. Lines have one side; the other one is that of the line that gave it last."""
    found = []
    for file in files:
        _, begin_ns = _day_of(file)
        bid = ask = 0.0
        for number, (ms, bid_price, _, ask_price, *_) in enumerate(_lines(file)):
            bid, ask = int(bid_price) / 10_000 or bid, int(ask_price) / 10_000 or ask
            found.append(Quote(begin_ns + int(ms) * 1_000_000, number, bid, ask))
    return _in_order(found)


def bars_of(prints: Iterable[Print], interval: str) -> list[Bar]:
    """Sum up trades."""
    width_ns = WIDTHS_S[interval] * S
    windows: dict[int, list[Print]] = defaultdict(list)
    for each in prints:
        windows[each.ts_ns // width_ns * width_ns].append(each)
    return [Bar(ts_ns + width_ns, ts_ns, _sums(windows[ts_ns])) for ts_ns in sorted(windows)]


def expected(
    rules: Iterable[Rule],
    prints: Mapping[Name, Sequence[Print]],
    quotes: Mapping[Name, Sequence[Quote]],
    bars: Mapping[Name, Mapping[str, Sequence[Bar]]],
) -> dict[str, Fired]:
    """Find the alerts by their ids.

    Parameters
    ----------
    prints, quotes
        Feed and symbol → its records.
    bars
        Feed and symbol → interval → bars.
    """
    found: list[Fired] = []
    for rule in rules:
        streams: Mapping[Name, Sequence[Any]] = prints
        if rule["kind"] == "spread":
            streams = quotes
        elif rule["kind"] in ("bar_condition", "volume_spike"):
            streams = {name: each[rule["interval"]] for name, each in bars.items()}
        for (feed, symbol), records in streams.items():
            if rule["feed"] in ("*", feed) and ("*" in rule["symbols"] or symbol in rule["symbols"]):
                found += _fired(rule, feed, symbol, records)
    assert len({each.id for each in found}) == len(found)
    return {each.id: each for each in found}


def _fired(rule: Rule, feed: str, symbol: str, records: Sequence[Any]) -> Iterator[Fired]:
    gauge = _GAUGES[rule["kind"]](rule["params"])
    legs = _legs(rule["kind"], rule["params"])
    is_crossing = rule["kind"] in ("price_crosses", "vwap_cross")
    states: list[bool | None] = [None if is_crossing else False for _ in legs]
    lasts_ns = [-(1 << 62) for _ in legs]
    for record in records:
        values = gauge(record)
        for place, leg in enumerate(legs):
            value = values[leg.part]
            if math.isnan(value):
                continue
            signed = leg.sign * value
            is_beyond = signed > leg.on if leg.is_strict else signed >= leg.on
            if states[place] is None:
                states[place] = is_beyond
            elif not states[place] and is_beyond:
                states[place] = True
                if record.ts_ns >= lasts_ns[place] + int(rule["cooldown_s"] * S):
                    lasts_ns[place] = record.ts_ns
                    id_ = _id(rule, feed, symbol, leg.direction, record)
                    yield Fired(id_, rule["name"], feed, symbol, record.ts_ns, value)
            elif states[place]:
                is_back = signed <= leg.on - rule["hysteresis"] if rule["hysteresis"] else not is_beyond
                states[place] = not is_back


def _id(rule: Rule, feed: str, symbol: str, direction: str, record: Any) -> str:
    decisive = [
        *(rule["name"], rule["kind"], rule["feed"], sorted(rule["symbols"]), rule["params"]),
        *(rule["interval"], rule["cooldown_s"], rule["hysteresis"]),
    ]
    text = json.dumps(decisive, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    identity = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
    subject = f"{identity}\0{feed}\0{symbol}\0{direction}:{record.ts_ns}:{record.number}"
    return f"{record.ts_ns:016x}-{hashlib.blake2b(subject.encode(), digest_size=10).hexdigest()}"


def _legs(kind: str, params: Mapping[str, Any]) -> list[Leg]:  # noqa: PLR0911 (one for each kind)
    direction = params.get("direction", "either")
    ways = [way for way in (("up", 1), ("down", -1)) if direction in (way[0], "either")]
    match kind:
        case "price_crosses":
            return [Leg(name, sign, sign * params["price"]) for name, sign in ways]
        case "vwap_cross":
            return [Leg(name, sign, 0.0, is_strict=True) for name, sign in ways]
        case "percent_move":
            return [Leg(name, 1, params["percent"], sign < 0) for name, sign in ways]
        case "sigma_move":
            return [Leg(name, sign, params["sigmas"]) for name, sign in ways]
        case "new_high" | "new_low":
            return [Leg("up", 1, params["by_percent"], is_strict=not params["by_percent"])]
        case "bar_condition":
            name, sign = ("up", 1) if params["op"] in (">", ">=") else ("down", -1)
            return [Leg(name, sign, sign * (params["value"] or 0.0), is_strict=len(params["op"]) == 1)]
    return [Leg("up", 1, params[{"lag": "at_least_ms", "spread": "at_least", "volume_spike": "times"}[kind]])]


Gauge = Callable[[Any], Sequence[float]]


def _price(_params: Rule) -> Gauge:
    return lambda trade: (trade.price if trade.is_priced else math.nan,)


def _vwap(_params: Rule) -> Gauge:
    day, turnover, volume = None, 0.0, 0.0

    def value(trade: Print) -> Sequence[float]:
        nonlocal day, turnover, volume
        if trade.day != day:
            day, turnover, volume = trade.day, 0.0, 0.0
        is_known = volume > 0 and trade.is_priced
        turnover += trade.price * trade.size
        volume += trade.size
        return (100.0 * (trade.price - turnover / volume) / (turnover / volume) if is_known else math.nan,)

    return value


def _extreme(sign: int) -> Callable[[Rule], Gauge]:
    def gauge(_params: Rule) -> Gauge:
        day, extreme = None, math.nan

        def value(trade: Print) -> Sequence[float]:
            nonlocal day, extreme
            if trade.day != day:
                day, extreme = trade.day, math.nan
            if not trade.is_priced:
                return (math.nan,)
            beyond = 100.0 * sign * (trade.price - extreme) / extreme
            if math.isnan(extreme) or beyond > 0:
                extreme = trade.price
            return (beyond,)

        return value

    return gauge


def _move(params: Rule) -> Gauge:
    """Look at the present sixtieth of the window and the 59 before it."""
    width_ns = params["window_s"] * S // 60
    slices: deque[tuple[int, float, float]] = deque()  # number, lowest, highest

    def value(trade: Print) -> Sequence[float]:
        if not trade.is_priced:
            return (math.nan, math.nan)
        now, price = trade.ts_ns // width_ns, trade.price
        if slices and slices[-1][0] == now:
            _, low, high = slices.pop()
            slices.append((now, min(low, price), max(high, price)))
        else:
            slices.append((now, price, price))
        while slices[0][0] <= now - 60:
            slices.popleft()
        low, high = min(each[1] for each in slices), max(each[2] for each in slices)
        return (100.0 * (price - low) / low, 100.0 * (high - price) / high)

    return value


def _sigma(params: Rule) -> Gauge:
    now, close, deviation = -1, math.nan, math.nan
    closes: list[float] = []

    def value(trade: Print) -> Sequence[float]:
        nonlocal now, close, deviation
        if not trade.is_priced:
            return (math.nan,)
        if (window := trade.ts_ns // (params["window_s"] * S)) != now:
            if not math.isnan(close):
                closes.append(close)
                del closes[:-61]
                deviation = _deviation(closes)
            now = window
        close = trade.price
        return (100.0 * (close - closes[-1]) / closes[-1] / deviation if closes else math.nan,)

    return value


def _deviation(closes: Sequence[float]) -> float:
    moves = [100.0 * (b - a) / a for a, b in itertools.pairwise(closes)]
    if len(moves) < 20:
        return math.nan
    mean = sum(moves) / len(moves)
    return math.sqrt(sum((move - mean) ** 2 for move in moves) / (len(moves) - 1)) or math.nan


def _spread(params: Rule) -> Gauge:
    def value(quote: Quote) -> Sequence[float]:
        if not (quote.bid > 0 and quote.ask > 0):
            return (math.nan,)
        spread = quote.ask - quote.bid
        return (spread if params["unit"] == "price" else 10_000.0 * spread / ((quote.ask + quote.bid) / 2.0),)

    return value


def _bars(params: Rule) -> Gauge:
    before: list[Bar] = []
    window, than = params["window"], params["than_window"] if params["than_field"] else 0

    def value(bar: Bar) -> Sequence[float]:
        before.append(bar)
        if len(before) < window + than:
            return (math.nan,)
        left = _aggregated(before[-window:], params["field"], params["aggregate"])
        if not than:
            return (left,)
        earlier = before[-window - than : -window]
        return (
            left - params["times"] * _aggregated(earlier, params["than_field"], params["than_aggregate"]),
        )

    return value


def _aggregated(bars: Sequence[Bar], field: str, aggregate: str) -> float:
    line = [bar.fields[field] for bar in bars]
    if aggregate in ("last", "first"):
        return line[-1 if aggregate == "last" else 0]
    if any(math.isnan(each) for each in line):
        return math.nan
    return {"min": min(line), "max": max(line), "sum": sum(line), "mean": sum(line) / len(line)}[aggregate]


def _spike(params: Rule) -> Gauge:
    volumes: dict[date, dict[int, float]] = defaultdict(dict)  # by day, then by second of the local day

    def value(bar: Bar) -> Sequence[float]:
        opened = datetime.fromtimestamp(bar.number // S, UTC).astimezone(NEW_YORK)
        second = opened.hour * 3_600 + opened.minute * 60 + opened.second
        days = sorted(day for day in volumes if day < opened.date())[-params["days"] :]
        volumes[opened.date()][second] = volume = bar.fields["volume"]
        if volume < params["volume_min"]:
            return (0.0,)
        total = sum(volumes[day].get(second, 0.0) for day in days)
        return (volume / (total / len(days)) if total and len(days) >= params["days_min"] else math.nan,)

    return value


_GAUGES: dict[str, Callable[[Rule], Gauge]] = {
    "price_crosses": _price,
    "lag": lambda _: lambda _: (math.nan,),  # files know no receive times
    "vwap_cross": _vwap,
    "new_high": _extreme(1),
    "new_low": _extreme(-1),
    "percent_move": _move,
    "sigma_move": _sigma,
    "spread": _spread,
    "bar_condition": _bars,
    "volume_spike": _spike,
}


def _sums(prints: Sequence[Print]) -> dict[str, float]:
    prices = [each.price for each in prints if each.is_priced]
    low, high = min(prices, default=math.nan), max(prices, default=math.nan)
    first, last = (prices[0], prices[-1]) if prices else (math.nan, math.nan)
    volume = math.fsum(each.size for each in prints)
    turnover = math.fsum(each.price * each.size for each in prints)
    return {
        "open": first,
        "high": high,
        "low": low,
        "close": last,
        "volume": volume,
        "vwap": turnover / volume if volume else math.nan,
        "trades": float(len(prints)),
        "range": high - low,
        "change_pct": 100.0 * (last - first) / first,
    }


def _day_of(file: Path) -> tuple[date, int]:
    day = datetime.strptime(file.name[:8], "%Y%m%d").replace(tzinfo=NEW_YORK)
    return day.date(), int(day.timestamp()) * S


def _lines(file: Path) -> list[list[str]]:
    with zipfile.ZipFile(file) as archive:
        return list(csv.reader(io.StringIO(archive.read(archive.namelist()[0]).decode())))


def _in_order(records: list[Record]) -> list[Record]:
    times = [each.ts_ns for each in records]
    assert times == sorted(times)
    return records
