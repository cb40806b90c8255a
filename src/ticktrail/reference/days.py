"""The venue's trading date of an instant, for whole columns at once."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

__all__ = ["date_of_day", "day_of_date", "local_midnight_ns", "trading_days", "utc_offsets_ns"]

_HOUR_NS = 3_600_000_000_000
_DAY_NS = 24 * _HOUR_NS
_EPOCH = date(1970, 1, 1)


def trading_days(ts_ns: npt.NDArray[np.int64], zone: str) -> npt.NDArray[np.int32]:
    """Date every instant in the venue's time zone.

    Parameters
    ----------
    ts_ns
        Shape ``(n,)``; nanoseconds since 1970 in UTC.
    zone
        IANA name: ``"America/New_York"``; ``"UTC"`` for venues that never close.

    Returns
    -------
    Shape ``(n,)``: days since 1970-01-01.
    """
    days = (ts_ns + utc_offsets_ns(ts_ns, zone)) // _DAY_NS
    result: npt.NDArray[np.int32] = days.astype(np.int32)
    return result


def utc_offsets_ns(ts_ns: npt.NDArray[np.int64], zone: str) -> npt.NDArray[np.int64]:
    """Tell how far local time is ahead of UTC at every instant. Shapes ``(n,)``, nanoseconds.

    Zones change their offset at full quarters of an hour of UTC, so one look-up per quarter suffices.
    """
    if len(ts_ns) == 0:
        return np.empty(0, np.int64)
    quarter_of = ts_ns // (_HOUR_NS // 4)
    first = quarter_of[0]
    if (quarter_of == first).all():  # the usual live batch; spares the sort below
        return np.full(len(ts_ns), _utc_offset_ns(int(first), zone), dtype=np.int64)
    quarters, inverse = np.unique(quarter_of, return_inverse=True)
    offsets = np.array([_utc_offset_ns(int(quarter), zone) for quarter in quarters], dtype=np.int64)
    result: npt.NDArray[np.int64] = offsets[inverse]
    return result


def local_midnight_ns(day: date, zone: str) -> int:
    """Give the instant at which a date begins in a zone: nanoseconds since 1970 in UTC."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone))
    return int(midnight.timestamp()) * 1_000_000_000


def day_of_date(day: date) -> int:
    """Count the days from 1970-01-01 to a date."""
    return (day - _EPOCH).days


def date_of_day(day: int) -> date:
    """Undo `day_of_date`."""
    return _EPOCH + timedelta(days=day)


@lru_cache(maxsize=16_384)
def _utc_offset_ns(quarter: int, zone: str) -> int:
    try:
        instant = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(minutes=15 * quarter)
        offset = instant.astimezone(ZoneInfo(zone)).utcoffset()
    except OverflowError:
        # Absurd times from broken sources (before year 1, after 9999) still need some date.
        return 0
    return 0 if offset is None else round(offset.total_seconds()) * 1_000_000_000
