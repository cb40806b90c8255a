"""Which trading session an instant falls in, for whole columns at once.

========= ==============================================================================
pre       from 04:00 local time to the opening
regular   from the opening to the close, early closes included
post      the four hours after the close: to 20:00, after an early close (13:00) to 17:00
closed    at all other times, on weekends and on holidays
========= ==============================================================================

Source: Nasdaq "Trading Schedule" and NYSE "Holidays & Trading Hours", section extended hours; openings,
closes and holidays come from ``exchange_calendars``.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from ticktrail.reference.days import utc_offsets_ns

__all__ = ["ROUND_THE_CLOCK", "SESSION_NAMES", "US_EQUITIES", "Market", "session_codes", "sessions"]

SESSION_NAMES = ("closed", "pre", "regular", "post")

_CLOSED, _PRE, _REGULAR, _POST = range(4)
_NAMES = np.array([name.encode() for name in SESSION_NAMES], dtype="S7")

_HOUR_NS = 3_600_000_000_000
_DAY_NS = 24 * _HOUR_NS
# No product of ours has older data, and a calendar's construction takes time by its length.
_CALENDAR_FIRST, _CALENDAR_LAST = "1970-01-01", "2100-12-31"


@dataclass(frozen=True, kw_only=True)
class Market:
    """What bars must know of the place where a feed's instruments trade.

    Parameters
    ----------
    zone
        IANA name of the zone whose calendar date is the trading date.
    calendar
        Name of its ``exchange_calendars`` calendar; empty for venues that never close, whose every
        instant is ``"regular"``.
    pre_from_ns
        When the pre-market session begins, as local time of day.
    post_ns
        How long the post-market session lasts from the close.
    """

    zone: str
    calendar: str = ""
    pre_from_ns: int = 4 * _HOUR_NS
    post_ns: int = 4 * _HOUR_NS


US_EQUITIES = Market(zone="America/New_York", calendar="XNYS")
ROUND_THE_CLOCK = Market(zone="UTC")


def sessions(ts_ns: npt.NDArray[np.int64], market: Market) -> npt.NDArray[np.bytes_]:
    """Name the session of every instant: shapes ``(n,)``, one of `SESSION_NAMES` as bytes."""
    names: npt.NDArray[np.bytes_] = _NAMES[session_codes(ts_ns, market)]
    return names


def session_codes(ts_ns: npt.NDArray[np.int64], market: Market) -> npt.NDArray[np.uint8]:
    """Find the session of every instant.

    Parameters
    ----------
    ts_ns
        Shape ``(n,)``; nanoseconds since 1970 in UTC. Outside 1970 to 2100 an exchange counts as closed.

    Returns
    -------
    Shape ``(n,)``: indices into `SESSION_NAMES`.
    """
    if not market.calendar:
        return np.full(len(ts_ns), _REGULAR, dtype=np.uint8)
    local_ns = ts_ns + utc_offsets_ns(ts_ns, market.zone)
    days = local_ns // _DAY_NS
    calendar = _calendar(market.calendar)
    index = np.minimum(np.searchsorted(calendar.days, days), len(calendar.days) - 1)
    opens_ns, closes_ns = calendar.opens_ns[index], calendar.closes_ns[index]
    codes = np.full(len(ts_ns), _CLOSED, dtype=np.uint8)
    codes[local_ns % _DAY_NS >= market.pre_from_ns] = _PRE
    codes[ts_ns >= opens_ns] = _REGULAR
    codes[ts_ns >= closes_ns] = _POST
    codes[(ts_ns >= closes_ns + market.post_ns) | (calendar.days[index] != days)] = _CLOSED
    return codes


@dataclass(frozen=True, kw_only=True)
class _Calendar:
    """Trading days in rising order, each with its opening and close, all of shape ``(n_days,)``."""

    days: npt.NDArray[np.int64]
    opens_ns: npt.NDArray[np.int64]
    closes_ns: npt.NDArray[np.int64]


@lru_cache(maxsize=16)
def _calendar(name: str) -> _Calendar:
    with warnings.catch_warnings():
        # exchange_calendars 4.13 still asks pandas 3.1 in a way that pandas 4 will not answer.
        warnings.simplefilter("ignore", DeprecationWarning)
        # Here and not above, as it brings pandas along: half a second that most commands need not wait.
        import exchange_calendars  # noqa: PLC0415

        calendar = exchange_calendars.get_calendar(name, start=_CALENDAR_FIRST, end=_CALENDAR_LAST)
    schedule = calendar.schedule
    opens = schedule["open"].dt.tz_convert(None).to_numpy().astype("datetime64[ns]")
    closes = schedule["close"].dt.tz_convert(None).to_numpy().astype("datetime64[ns]")
    days = schedule.index.to_numpy().astype("datetime64[D]")
    return _Calendar(
        days=days.astype(np.int64), opens_ns=opens.astype(np.int64), closes_ns=closes.astype(np.int64)
    )
