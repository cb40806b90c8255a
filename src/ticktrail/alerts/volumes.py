"""The usual volume at a time of the day, from stored bars."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping

import numpy as np

from ticktrail.bars.engine import us_equities
from ticktrail.reference import Market, local_midnight_ns, trading_days, utc_offsets_ns
from ticktrail.reference.days import date_of_day
from ticktrail.store import BARS, DayRef, PartitionRef, Reader, dataset_of
from ticktrail.store.tables import bucket_days

__all__ = ["StoredVolumes"]

# Symbols and days that are kept; the one used longest ago goes first. Some 100 kB each at one-second bars.
_KEPT_MAX = 2_000
_CALENDAR_DAYS = 1.6  # a week has five of seven trading days, and there are holidays
_DAY_NS = 86_400_000_000_000


class StoredVolumes:
    """A `ticktrail.alerts.bar_values.Usual` over the store: reads a symbol's days once a day.

    Asking may block, and raise a `Transient` error; the evaluation must then be restored anew.
    """

    def __init__(self, reader: Reader, market_of: Callable[[str], Market] = us_equities) -> None:
        self._reader = reader
        self._market_of = market_of
        self._kept: OrderedDict[tuple[str, str, str, int, int], Mapping[int, float]] = OrderedDict()

    def volume(self, feed: str, symbol: str, interval: str, ts_open_ns: int, days: tuple[int, int]) -> float:
        zone = self._market_of(feed).zone
        (day,) = trading_days(np.array([ts_open_ns]), zone).tolist()
        key = (feed, symbol, interval, day, days[0])
        found = self._kept.get(key)
        if found is None:
            found = self._kept[key] = self._read(feed, symbol, interval, day, days[0])
            while len(self._kept) > _KEPT_MAX:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        count = int(found.get(-1, 0))
        if count < days[1]:
            return float("nan")
        return found.get(_time_of_day(np.array([ts_open_ns]), zone).tolist()[0], 0.0) / count

    def _read(self, feed: str, symbol: str, interval: str, day: int, days: int) -> Mapping[int, float]:
        """Sum the volumes by local time of the day; under -1 on how many days there was any."""
        zone = self._market_of(feed).zone
        first = day - int(days * _CALENDAR_DAYS) - 7
        span_ns = (local_midnight_ns(date_of_day(first), zone), local_midnight_ns(date_of_day(day), zone))
        buckets = np.unique(bucket_days(interval, np.arange(first, day, dtype=np.int32))).tolist()
        refs = [
            PartitionRef(DayRef(dataset_of(BARS, interval), feed, bucket), symbol, 0) for bucket in buckets
        ]
        times, volumes = [np.empty(0, np.int64)], [np.empty(0, np.float64)]
        names = ("ts", "volume", "is_final")
        for _, columns in self._reader.arrays([(ref, span_ns) for ref in refs], names):
            inside = (columns["ts"] >= span_ns[0]) & (columns["ts"] < span_ns[1]) & columns["is_final"]
            times.append(columns["ts"][inside])
            volumes.append(columns["volume"][inside])
        ts_ns, volume = np.concatenate(times), np.concatenate(volumes)
        dates = trading_days(ts_ns, zone)
        used = np.unique(dates)[-days:]
        chosen = np.isin(dates, used)
        moments, inverse = np.unique(_time_of_day(ts_ns[chosen], zone), return_inverse=True)
        sums = np.bincount(inverse, volume[chosen], len(moments))
        return {-1: float(len(used)), **dict(zip(moments.tolist(), sums.tolist(), strict=True))}


def _time_of_day(ts_ns: np.ndarray, zone: str) -> np.ndarray:
    return (ts_ns + utc_offsets_ns(ts_ns, zone)) % _DAY_NS
