"""Bars the slow, plain way: one trade after the other, no NumPy. What the tests of bars compare with."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec

from ticktrail.model import Bar, Columns, Correction, Flag, Trade

NEW_YORK = "America/New_York"
LENGTHS_S = {"1s": 1, "1m": 60, "5m": 300, "1h": 3600}

Key = tuple[str, str, str, int]
"""Feed, symbol, interval, opening."""


@dataclass(frozen=True)
class Sums:
    """What a bar says of its trades."""

    ts_close_ns: int
    day: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    vwap: float
    trades: int
    flags: int


def bars_from(trades: Iterable[Trade], interval: str, zone: str = NEW_YORK) -> dict[Key, Sums]:
    """Build the bars of a set of trades; of several with one identity the last stands."""
    by_identity = {(t.feed, t.symbol, t.ts_ns, t.event_id): t for t in trades}
    windows: dict[Key, list[Trade]] = {}
    for _, trade in sorted(by_identity.items()):
        open_ns, _ = window(trade.ts_ns, interval, zone)
        windows.setdefault((trade.feed, trade.symbol, interval, open_ns), []).append(trade)
    return {key: sums for key, inside in windows.items() if (sums := _sums(inside, interval, zone))}


def amended(trades: Iterable[Trade], corrections: Iterable[Correction]) -> list[Trade]:
    """Say of each trade what its venue last said of it; those that were cancelled are left out.

    Corrections are gone through in the order of their own times. One finds the trades of its day that bear
    the name it gives, or were given that name by a correction before it.
    """
    by_identity = {(t.feed, t.symbol, t.ts_ns, t.event_id): t for t in trades}
    names = {key: [(t.event_id, t.venue, t.trade_id)] for key, t in by_identity.items()}
    words: dict[tuple[str, str, int, int], Correction] = {}
    for word in sorted(set(corrections), key=lambda word: (word.ts_ns, word.event_id)):
        for key, trade in by_identity.items():
            if (trade.feed, trade.symbol, trade.day) != (word.feed, word.symbol, word.day):
                continue
            original, *later = names[key]
            named = (word.venue, word.trade_id)
            if (word.original_event_id, *named) == original or named in [name[1:] for name in later]:
                words[key] = word
                if word.action == "correct":
                    names[key].append((-1, word.venue, word.corrected_trade_id))
    return [
        _corrected(trade, words[key]) if key in words else trade
        for key, trade in by_identity.items()
        if key not in words or words[key].action == "correct"
    ]


def _corrected(trade: Trade, word: Correction) -> Trade:
    return msgspec.structs.replace(trade, price=word.price, size=word.size, flags=word.flags)


def window(ts_ns: int, interval: str, zone: str = NEW_YORK) -> tuple[int, int]:
    """Find the start and end of the window that holds an instant."""
    if interval != "1d":
        length_ns = LENGTHS_S[interval] * 10**9
        start = ts_ns // length_ns * length_ns
        return start, start + length_ns
    today = _local_date(ts_ns, zone)
    ends = (
        datetime(d.year, d.month, d.day, tzinfo=ZoneInfo(zone)) for d in (today, today + timedelta(days=1))
    )
    start_ns, end_ns = (int(end.timestamp()) * 10**9 for end in ends)
    return start_ns, end_ns


def keyed(bars: Columns[Bar]) -> Iterator[tuple[Key, Sums]]:
    """Read bars in the form of `bars_from`."""
    for bar in bars.to_records():
        yield (
            (bar.feed, bar.symbol, bar.interval, bar.ts_open_ns),
            Sums(
                ts_close_ns=bar.ts_close_ns,
                day=bar.day,
                open=bar.open,
                high=bar.high,
                low=bar.low,
                close=bar.close,
                volume=bar.volume,
                vwap=bar.vwap,
                trades=bar.trades,
                flags=bar.flags,
            ),
        )


def difference(ours: dict[Key, Sums], theirs: dict[Key, Sums]) -> str:
    """Say how two sets of bars differ; empty if only volume and vwap do, and by 1e-12 at most."""
    if missing := theirs.keys() - ours.keys():
        return f"missing: {sorted(missing)[:5]}"
    if added := ours.keys() - theirs.keys():
        return f"not expected: {sorted(added)[:5]}"
    for key, mine in ours.items():
        other = theirs[key]
        for name in Sums.__dataclass_fields__:
            left, right = getattr(mine, name), getattr(other, name)
            tolerance = 1e-12 if name in {"volume", "vwap"} else 0.0
            both_nan = math.isnan(left) and math.isnan(right)
            if not both_nan and not math.isclose(left, right, rel_tol=tolerance):
                return f"{key}: {name} is {left}, expected {right}"
    return ""


def _sums(trades: list[Trade], interval: str, zone: str) -> Sums | None:
    last = [t.price for t in trades if t.flags & Flag.UPDATES_LAST]
    extreme = [t.price for t in trades if t.flags & Flag.UPDATES_HIGH_LOW]
    counted = [t for t in trades if t.flags & Flag.UPDATES_VOLUME]
    if not (last or extreme or counted):
        return None
    volume = math.fsum(t.size for t in counted)
    start_ns, end_ns = window(trades[0].ts_ns, interval, zone)
    updating = Flag.UPDATES_LAST | Flag.UPDATES_HIGH_LOW | Flag.UPDATES_VOLUME
    return Sums(
        ts_close_ns=end_ns,
        day=(_local_date(start_ns, zone) - date(1970, 1, 1)).days,
        open=last[0] if last else math.nan,
        high=max(extreme, default=math.nan),
        low=min(extreme, default=math.nan),
        close=last[-1] if last else math.nan,
        volume=volume,
        vwap=math.fsum(t.price * t.size for t in counted) / volume if volume else math.nan,
        trades=len(counted),
        flags=Flag.SNAPSHOT if any(t.flags & Flag.SNAPSHOT for t in trades if t.flags & updating) else 0,
    )


def _local_date(ts_ns: int, zone: str) -> date:
    instant = datetime.fromtimestamp(ts_ns // 10**9, tz=UTC)
    return instant.astimezone(ZoneInfo(zone)).date()
