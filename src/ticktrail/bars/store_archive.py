"""A `ticktrail.bars.archive.Archive` over the store."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from ticktrail.bars.archive import Span, StoredTrades
from ticktrail.bars.candles import Times
from ticktrail.bars.rows import join, packed_trades
from ticktrail.model import Array, Bar, Columns, Correction
from ticktrail.store import BARS, CORRECTIONS, TRADES, DayRef, PartitionRef, Read, Reader, dataset_of
from ticktrail.store.tables import bucket_days, slots_of

__all__ = ["StoreArchive"]

_MINUTE_NS = 60_000_000_000
_DAY_NS = 1_440 * _MINUTE_NS
_TRADE_COLUMNS = ("ts", "event_id", "price", "size", "flags", "venue", "trade_id")
# A span of more slots than these is looked up in the catalogue first; it is cheaper to ask for fewer blindly.
_BLIND_SLOTS_MAX = 8
# Most corrections follow their trade within moments; an hour of a busy symbol takes a second to look through.
_FIND_WITHIN_NS = (_MINUTE_NS, 15 * _MINUTE_NS)


class StoreArchive:
    """Reads with a `ticktrail.store.Reader`."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def trades(self, feed: str, symbol: str, day: int, spans: Sequence[Span]) -> StoredTrades:
        spans_of: dict[PartitionRef, list[Span]] = {}
        for span in spans:
            for ref in self._partitions(feed, symbol, day, span):
                spans_of.setdefault(ref, []).append(span)
        # One read for all that is wanted of a partition; it gives a little more, which is left out again.
        merged: list[Read] = [
            (ref, (min(first for first, _ in of), max(end for _, end in of))) for ref, of in spans_of.items()
        ]
        parts = []
        for ref, columns in self._reader.arrays(merged, _TRADE_COLUMNS):
            wanted = _inside(columns["ts"], spans_of[ref])
            if wanted.any():
                parts.append({name: column[wanted] for name, column in columns.items()})
        if not parts:
            return StoredTrades(packed_trades(symbol, {}), np.empty(0, "S1"), np.empty(0, "S1"))
        return StoredTrades(
            join([packed_trades(symbol, {**part, "ts_ns": part["ts"]}) for part in parts]),
            np.concatenate([part["venue"] for part in parts]),
            np.concatenate([part["trade_id"] for part in parts]),
        )

    def find(self, feed: str, symbol: str, day: int, event_ids: Times, near_ns: Times) -> Times:
        missing, found = np.unique(event_ids), []
        first_ns, last_ns = int(near_ns.min()), int(near_ns.max())
        spans = [(first_ns - within_ns, last_ns + within_ns + 1) for within_ns in _FIND_WITHIN_NS]
        for span in [*spans, ((day - 1) * _DAY_NS, (day + 2) * _DAY_NS)]:
            reads = [(ref, span) for ref in self._partitions(feed, symbol, day, span)]
            for _, columns in self._reader.arrays(reads, ("ts", "event_id")):
                at = np.isin(columns["event_id"], event_ids)
                found.append(columns["ts"][at])
                missing = np.setdiff1d(missing, columns["event_id"][at])
            if len(missing) == 0:
                break
        return np.concatenate(found) if found else np.empty(0, dtype=np.int64)

    def corrections(self, feed: str, symbol: str, day: int) -> Columns[Correction]:
        ref = PartitionRef(DayRef(dataset_of(CORRECTIONS), feed, day), symbol, 0)
        width = self._reader.slot_minutes(CORRECTIONS)
        refs = [ref._replace(slot=slot) for slot in _slots(day * _DAY_NS, (day + 1) * _DAY_NS, width)]
        names = (*CORRECTIONS.clustering, *CORRECTIONS.fields)
        parts = [
            Columns(
                Correction,
                {**_renamed(columns, "ts_ns"), "feed": feed, "symbol": symbol, "day": day},
            )
            for _, columns in self._reader.arrays([(each, None) for each in refs], names)
        ]
        return Columns.concat(parts) if parts else Columns.from_records(Correction, [])

    def corrected_symbols(self, feed: str, day: int) -> Sequence[str]:
        refs = self._reader.partitions([DayRef(dataset_of(CORRECTIONS), feed, day)])
        return sorted({ref.symbol for ref in refs})

    def bars(self, feed: str, symbol: str, date: int, spans: Mapping[str, Span]) -> Columns[Bar]:
        reads: list[Read] = []
        for interval, span in spans.items():
            (bucket,) = bucket_days(interval, np.array([date], dtype=np.int32)).tolist()
            reads.append((PartitionRef(DayRef(dataset_of(BARS, interval), feed, bucket), symbol, 0), span))
        parts = []
        for ref, columns in self._reader.arrays(reads, (*BARS.clustering, *BARS.fields)):
            wanted = _inside(columns["ts"], [spans[ref.day.interval]]) & (columns["day"] == date)
            rows = {name: column[wanted] for name, column in _renamed(columns, "ts_open_ns").items()}
            parts.append(Columns(Bar, {**rows, "feed": feed, "symbol": symbol, "interval": ref.day.interval}))
        return Columns.concat(parts) if parts else Columns.from_records(Bar, [])

    def _partitions(self, feed: str, symbol: str, day: int, span: Span) -> list[PartitionRef]:
        """Name the partitions of trades that may have something of a span."""
        # A trading date is the date of an instant somewhere on earth.
        if span[1] <= (day - 1) * _DAY_NS or span[0] >= (day + 2) * _DAY_NS:
            return []
        slots = _slots(*span, self._reader.slot_minutes(TRADES))
        ref = DayRef(dataset_of(TRADES), feed, day)
        if len(slots) <= _BLIND_SLOTS_MAX:
            return [PartitionRef(ref, symbol, slot) for slot in sorted(slots)]
        return [each for each in self._reader.partitions([ref], [symbol]) if each.slot in slots]


def _slots(first_ns: int, end_ns: int, width_minutes: int) -> Collection[int]:
    """Name the slots that a span touches."""
    if end_ns - first_ns >= _DAY_NS:
        first_ns, end_ns = 0, _DAY_NS
    minutes_ns = np.arange(first_ns // _MINUTE_NS, -(-end_ns // _MINUTE_NS), dtype=np.int64) * _MINUTE_NS
    return set(slots_of(minutes_ns, width_minutes).tolist())


def _inside(ts_ns: Times, spans: Sequence[Span]) -> Array:
    firsts, ends = (np.array(bounds) for bounds in zip(*sorted(spans), strict=True))
    at = np.searchsorted(firsts, ts_ns, side="right") - 1
    inside: Array = (at >= 0) & (ts_ns < ends[at])
    return inside


def _renamed(columns: Mapping[str, Array], time: str) -> dict[str, Array]:
    return {time if name == "ts" else name: column for name, column in columns.items()}
