"""Facts about markets that no feed sends: trading dates, sessions, symbols."""

from ticktrail.reference.days import date_of_day, day_of_date, local_midnight_ns, trading_days, utc_offsets_ns
from ticktrail.reference.sessions import (
    ROUND_THE_CLOCK,
    SESSION_NAMES,
    US_EQUITIES,
    Market,
    session_codes,
    sessions,
)

__all__ = [
    "ROUND_THE_CLOCK",
    "SESSION_NAMES",
    "US_EQUITIES",
    "Market",
    "date_of_day",
    "day_of_date",
    "local_midnight_ns",
    "session_codes",
    "sessions",
    "trading_days",
    "utc_offsets_ns",
]
