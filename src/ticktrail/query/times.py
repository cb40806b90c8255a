"""Bounds in time as people give them in Python."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ticktrail.errors import UsageError

__all__ = ["Moment", "from_start", "until_end"]

# Text is ISO 8601: a date, or a date and time with an offset or Z.
Moment = datetime | date | str

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TS = pa.timestamp("us", tz="UTC")


def from_start(start: Moment) -> Any:
    """Express the lower bound, which is itself inside: an instant of `ts`, or a trading date of `day`.

    Raises
    ------
    UsageError
        It is no such thing, or a time without a zone.
    """
    bound = _parse("start", start)
    return (
        pc.field("ts") >= _ts(bound) if isinstance(bound, datetime) else pc.field("day") >= pc.scalar(bound)
    )


def until_end(end: Moment) -> Any:
    """Express the upper bound: an instant is outside, a date is the last trading date and inside.

    Raises
    ------
    UsageError
        It is no such thing, or a time without a zone.
    """
    bound = _parse("end", end)
    return pc.field("ts") < _ts(bound) if isinstance(bound, datetime) else pc.field("day") <= pc.scalar(bound)


def _ts(moment: datetime) -> Any:
    # By whole numbers: timestamp() is a float and would round microseconds.
    return pa.scalar((moment - _EPOCH) // timedelta(microseconds=1), pa.int64()).cast(_TS)


def _parse(name: str, moment: Moment) -> datetime | date:
    parsed: Any = moment
    if isinstance(moment, str):
        try:
            parsed = (
                datetime.fromisoformat(moment)
                if len(moment) > len("2014-03-24")
                else date.fromisoformat(moment)
            )
        except ValueError:
            raise UsageError(
                what=f"{name}={moment!r} is no time",
                next_step="Write it like '2014-03-24T09:30:00-04:00' or '2014-03-24'.",
            ) from None
    if not isinstance(parsed, date):
        raise UsageError(
            what=f"{name}={moment!r} is no time",
            why=f"it is of type {type(moment).__name__}",
            next_step="Give a datetime with a zone, a date, or text like '2014-03-24T09:30:00-04:00'.",
        )
    if isinstance(parsed, datetime) and parsed.tzinfo is None:
        raise UsageError(
            what=f"{name}={str(moment)!r} has no time zone",
            why="the same clock time is another instant in New York than in London",
            next_step="Add it, as in datetime(…, tzinfo=ZoneInfo('America/New_York')) or '…-04:00' or '…Z', "
            "or give a date for whole trading days.",
        )
    return parsed
