"""Where a rule would have fired, by what is stored."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from ticktrail.alerts.bar_values import Usual
from ticktrail.alerts.engine import Evaluator
from ticktrail.alerts.rules import Scope
from ticktrail.bars.engine import us_equities
from ticktrail.codec import Decoded
from ticktrail.codec.columnar import DecodedKind
from ticktrail.errors import UsageError
from ticktrail.model import INTERVALS_NS, Alert, Array, Columns, Heartbeat, Record, Trade
from ticktrail.reference import date_of_day, local_midnight_ns, trading_days
from ticktrail.store import BARS, QUOTES, STATUS, TRADES, PartitionRef, Reader, Table, day_span_ns
from ticktrail.store.decode import columns_of
from ticktrail.store.tables import dataset_of

__all__ = ["Tested", "would_fire"]

_TABLES: dict[str, Table] = {"trades": TRADES, "quotes": QUOTES, "status": STATUS, "bars": BARS}
_BEAT_NS = 1_000_000_000
# A list for people, and for one chart.
_ALERTS_MAX = 10_000
_POINTS_MAX = 2_000
# Windows of bars are that long at most, twice over; and there are weekends.
_LEAD_BARS = 400
_LEAD_NS = 5 * 86_400_000_000_000


class Tested(NamedTuple):
    """What a test found.

    Parameters
    ----------
    alerts
        In the order of time, at most 10,000.
    lines
        Symbol → times (nanoseconds) and prices or closes to draw it by, at most 2,000 of each.
    records
        How many were read.
    """

    alerts: list[Alert]
    lines: dict[str, tuple[Array, Array]]
    records: int


def would_fire(
    scope: Scope,
    reader: Reader,
    usual: Usual,
    span_ns: tuple[int, int],
    check: Callable[[], None] = lambda: None,
) -> Tested:
    """Evaluate a rule over what is stored of a span of time.

    The log's times are not stored: a lag is told from the receive times, and for silence a heartbeat of each
    second is assumed. It is read from the beginning of the first trading day on (bars: some
    days before), so that VWAP, highs and windows are what they were; what fired before is left out.

    Parameters
    ----------
    span_ns
        From the first to before the second, nanoseconds since 1970.
    check
        Called before each symbol and day; what it raises ends the test.

    Raises
    ------
    UsageError
        The span is empty, or the kind's records are not stored by symbol.
    TicktrailError
        The store cannot be read.
    """
    start_ns, end_ns = span_ns
    if end_ns <= start_ns:
        raise UsageError(what="The span to test is empty", next_step="Let --to be later than --from.")
    source = scope.kind.source
    if source not in _TABLES:
        raise UsageError(
            what=f"Rules of the kind {scope.rule.kind} cannot be tested",
            why="what they look at is asked for directly",
            next_step='See it with `ticktrail sql "SELECT * FROM gaps"`.',
        )
    alerts: list[Alert] = []
    lines: dict[str, tuple[Array, Array]] = {}
    records = 0
    stored = _stored(scope, reader, source, (_lead_ns(scope, start_ns), end_ns), check)
    for (feed, symbol), columns in stored:
        records += len(columns)
        evaluator = Evaluator(source, usual)
        evaluator.set_rules([scope])
        alerts += _evaluated(evaluator, columns, scope)
        lines[f"{feed}|{symbol}"] = _line(columns, start_ns)
    alerts = [alert for alert in alerts if alert.ts_ns >= start_ns]
    alerts.sort(key=lambda alert: (alert.ts_ns, alert.id))
    return Tested(alerts[:_ALERTS_MAX], lines, records)


def _stored(
    scope: Scope, reader: Reader, source: str, span_ns: tuple[int, int], check: Callable[[], None]
) -> Iterator[tuple[tuple[str, str], Columns[Any]]]:
    """Read the records of one symbol after the other, each symbol's in the order of time."""
    table = _TABLES[source]
    dataset = dataset_of(table, scope.rule.interval if source == "bars" else "")
    days = []
    for day in reader.days(dataset):
        first_ns, last_ns = day_span_ns(day)
        if scope.rule.feed in ("*", day.feed) and first_ns < span_ns[1] and span_ns[0] < last_ns:
            days.append(day)
    by_symbol: dict[tuple[str, str], list[PartitionRef]] = {}
    for ref in reader.partitions(days):
        if scope.concerns(ref.day.feed, ref.symbol):
            by_symbol.setdefault((ref.day.feed, ref.symbol), []).append(ref)
    names = (*table.clustering, *table.fields)
    for (feed, symbol), refs in sorted(by_symbol.items()):
        parts = []
        for ref, columns in reader.arrays([(ref, span_ns) for ref in refs], names):
            check()
            parts.append(_columns(table, dict(columns), ref))
        if parts:
            whole = Columns.concat(parts)
            times_ns = whole["ts_open_ns" if source == "bars" else "ts_ns"]
            inside = (times_ns >= span_ns[0]) & (times_ns < span_ns[1])
            order = np.argsort(times_ns[inside], kind="stable")
            yield (feed, symbol), whole.take(np.flatnonzero(inside)[order])


def _columns(table: Table, columns: dict[str, Any], ref: PartitionRef) -> Columns[Any]:
    ts_ns = columns.pop("ts")
    common = {"feed": ref.day.feed, "symbol": ref.symbol}
    if table is BARS:
        return columns_of(table.record, columns, ts_open_ns=ts_ns, interval=ref.day.interval, **common)
    return columns_of(table.record, columns, ts_ns=ts_ns, day=ref.day.day, **common)


def _evaluated(evaluator: Evaluator, columns: Columns[Any], scope: Scope) -> list[Alert]:
    count = len(columns)
    if not count:
        return []
    key = "ts_recv_ns" if "ts_recv_ns" in columns.data else "ts_close_ns"
    times_ns = columns[key]
    if scope.rule.kind == "silent_feed" and columns.record is Trade:
        return _with_beats(evaluator, columns, times_ns)
    found: list[Alert] = []
    # In parts, as the evaluation's tables grow with the busiest symbol's records.
    for first in range(0, count, 4_096):
        part = columns.take(slice(first, first + 4_096))
        kinds = {columns.record: DecodedKind(part, np.arange(len(part)))}
        found += evaluator.read_decoded(Decoded(kinds, [], 0), times_ns[first : first + 4_096])
    return found


def _with_beats(evaluator: Evaluator, trades: Columns[Any], times_ns: Array) -> list[Alert]:
    """Put a heartbeat into every second between the first trade and the last."""
    first, last = int(times_ns.min()), int(times_ns.max())
    beats_ns = np.arange(first, last + _BEAT_NS, _BEAT_NS)
    order = np.argsort(np.concatenate((times_ns, beats_ns)), kind="stable")
    places = np.empty(len(order), dtype=np.int64)
    places[order] = np.arange(len(order))
    beats = Columns(Heartbeat, {"feed": np.full(len(beats_ns), trades["feed"][0]), "ts_recv_ns": beats_ns})
    by_time = np.argsort(times_ns, kind="stable")
    kinds: dict[type[Record], DecodedKind] = {
        Trade: DecodedKind(trades.take(by_time), places[: len(times_ns)][by_time]),
        Heartbeat: DecodedKind(beats, places[len(times_ns) :]),
    }
    return evaluator.read_decoded(Decoded(kinds, [], 0), np.concatenate((times_ns, beats_ns))[order])


def _lead_ns(scope: Scope, start_ns: int) -> int:
    """Find from when on to read: what is known at the start comes from there."""
    if scope.kind.source == "bars":
        return start_ns - _LEAD_BARS * INTERVALS_NS[scope.rule.interval] - _LEAD_NS
    zone = us_equities(scope.rule.feed).zone
    (day,) = trading_days(np.array([start_ns]), zone).tolist()
    return local_midnight_ns(date_of_day(day), zone)


def _line(columns: Columns[Any], start_ns: int) -> tuple[Array, Array]:
    data = columns.data
    if "price" in data:
        times, values = data["ts_ns"], data["price"]
    elif "close" in data:
        times, values = data["ts_close_ns"], data["close"]
    elif "bid_price" in data:
        times, values = data["ts_ns"], data["ask_price"] - data["bid_price"]
    else:
        times, values = data["ts_ns"], np.zeros(len(columns))
    times, values = times[times >= start_ns], values[times >= start_ns]
    step = max(1, -(-len(times) // _POINTS_MAX))
    return times[::step], values[::step]
