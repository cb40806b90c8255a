"""What the page asks of the store: bars, trades, quotes, gaps, and the day so far.

Everything here waits for the store, and so runs in threads: a slow store delays history, never what is live.
"""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ticktrail.clock import NS_PER_SECOND
from ticktrail.dashboard.answers import BAR_COLUMNS, GapRow
from ticktrail.dashboard.minutes import Candle
from ticktrail.model import INTERVALS_NS
from ticktrail.query import Engine
from ticktrail.reference import US_EQUITIES, Market, session_codes
from ticktrail.reference.sessions import SESSION_NAMES

__all__ = [
    "bars_before",
    "bars_within",
    "day_so_far",
    "function_names",
    "gaps_since",
    "ledger_state",
    "previous_closes",
    "session_spans",
    "ticks",
]

# A market is open for a third of the time at most, and quiet symbols have bars now and then only.
_FIRST_SPAN = 4
_GROWTH = 8
_FIRST_TICKS_NS = 60 * NS_PER_SECOND
_SPAN_NS_MAX = 40 * 366 * 86_400 * NS_PER_SECOND
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def bars_before(engine: Engine, feed: str, symbol: str, interval: str, end_ns: int, count: int) -> Any:
    """Read the newest bars of a symbol that open before an instant.

    Parameters
    ----------
    count
        At most so many.

    Returns
    -------
    An Arrow table of `ticktrail.dashboard.answers.BAR_COLUMNS`, rising in time.

    Raises
    ------
    TicktrailError
        The store cannot be read.
    """
    span_ns = min(count * INTERVALS_NS[interval] * _FIRST_SPAN, _SPAN_NS_MAX, end_ns)
    begin_ns = end_ns - span_ns
    found = bars_within(engine, feed, symbol, interval, (begin_ns, end_ns))
    while len(found) < count and span_ns < min(_SPAN_NS_MAX, end_ns):
        span_ns = min(span_ns * _GROWTH, _SPAN_NS_MAX, end_ns)
        older = bars_within(engine, feed, symbol, interval, (end_ns - span_ns, begin_ns))
        found, begin_ns = pa.concat_tables([older, found]), end_ns - span_ns
    return found.slice(max(len(found) - count, 0))


def bars_within(engine: Engine, feed: str, symbol: str, interval: str, span_ns: tuple[int, int]) -> Any:
    """Read a symbol's bars that open within a time; as `bars_before`."""
    stored = ["ts", "ts_close", *BAR_COLUMNS[2:]]
    found = engine.read(
        "bars",
        symbols=symbol,
        feed=feed,
        interval=interval,
        start=_instant(span_ns[0]),
        end=_instant(span_ns[1]),
        columns=stored,
    )
    for index, name in enumerate(BAR_COLUMNS[:2]):
        # Bars begin and end at whole microseconds.
        ns = pc.multiply(pc.cast(found[stored[index]], pa.int64()), 1_000)
        found = found.set_column(index, name, ns)
    return found


def ticks(engine: Engine, table: str, key: tuple[str, str], span_ns: tuple[int, int], count: int) -> Any:
    """Read the newest trades or quotes of a symbol within a time: an Arrow table, rising in time."""
    feed, symbol = key
    start_ns, end_ns = span_ns
    length_ns = _FIRST_TICKS_NS
    while True:
        # All that a time holds may be far more than what is asked for; so from its end backwards.
        from_ns = max(end_ns - length_ns, start_ns)
        found = engine.read(table, symbols=symbol, feed=feed, start=_instant(from_ns), end=_instant(end_ns))
        if len(found) >= count or from_ns <= start_ns:
            return found.slice(max(len(found) - count, 0))
        length_ns *= _GROWTH


def gaps_since(engine: Engine, feed: str | None, since_ns: int) -> list[GapRow]:
    """Read the ledger's rows that end after an instant."""
    found = engine.sql("SELECT * FROM gaps").arrow()
    chosen = pc.greater_equal(found["to_ns"], since_ns)
    if feed is not None:
        chosen = pc.and_(chosen, pc.equal(found["feed"], feed))
    names = ("feed", "channel", "from_ns", "to_ns", "cause", "state", "missing", "detail")
    rows: list[GapRow] = found.filter(chosen).select(names).sort_by("from_ns").to_pylist()
    return rows


def function_names(engine: Engine) -> list[str]:
    """Name the functions of SQL that are written with letters."""
    found = engine.sql(
        "SELECT DISTINCT function_name FROM duckdb_functions()"
        " WHERE function_type IN ('scalar', 'aggregate', 'macro')"
        " AND regexp_full_match(function_name, '[a-z][a-z0-9_]*') ORDER BY ALL"
    )
    names: list[str] = found.arrow()["function_name"].to_pylist()
    return names


def ledger_state(engine: Engine) -> tuple[int, str]:
    """Count the gaps that may still be filled, and sum up the ledger: another text for another ledger."""
    found = engine.sql(
        "SELECT count(*) FILTER (WHERE state = 'open') AS open,"
        " coalesce(bit_xor(hash(feed, channel, from_ns, to_ns, cause, state)), 0)::VARCHAR AS ledger"
        " FROM gaps"
    ).arrow()
    return int(found["open"][0].as_py()), str(found["ledger"][0].as_py())


def day_so_far(engine: Engine, feed: str, day_ns: tuple[int, int]) -> dict[str, npt.NDArray[np.void]]:
    """Sum up the stored minutes of all symbols of a feed within a time: symbol → one row of `Candle`."""
    minutes = engine.read(
        "bars",
        feed=feed,
        interval="1m",
        start=_instant(day_ns[0]),
        end=_instant(day_ns[1]),
        columns=[
            "symbol",
            "open",
            "high",
            "low",
            "close",
            "volume",
            "vwap",
            "trades",
            "revision",
        ],
    )
    found: dict[str, npt.NDArray[np.void]] = {}
    columns = {name: minutes[name].to_numpy() for name in minutes.column_names if name != "symbol"}
    symbols = minutes["symbol"].to_pylist()
    starts = [0, *(i for i in range(1, len(symbols)) if symbols[i] != symbols[i - 1]), len(symbols)]
    for start, end in itertools.pairwise(starts):
        if start < end:
            found[symbols[start]] = _summed({name: values[start:end] for name, values in columns.items()})
    return found


def previous_closes(engine: Engine, feed: str, before_ns: int) -> dict[str, float]:
    """Read each symbol's last daily close before an instant."""
    days = engine.read(
        "bars",
        feed=feed,
        interval="1d",
        start=_instant(before_ns - 10 * 86_400 * NS_PER_SECOND),
        end=_instant(before_ns),
        columns=["symbol", "close"],
    )
    return {
        symbol: close
        for symbol, close in zip(days["symbol"].to_pylist(), days["close"].to_pylist(), strict=True)
        if close is not None and close == close  # noqa: PLR0124 (NaN)
    }


def session_spans(from_ns: int, to_ns: int, market: Market = US_EQUITIES) -> list[dict[str, Any]]:
    """Name the sessions within a time, but for the closed ones; to the minute, at most 60 days."""
    step_ns = INTERVALS_NS["1m"]
    if not market.calendar or to_ns - from_ns > 60 * 86_400 * NS_PER_SECOND:
        return []
    instants = np.arange(from_ns // step_ns * step_ns, to_ns + step_ns, step_ns, dtype=np.int64)
    codes = session_codes(instants, market)
    edges = [0, *(np.flatnonzero(np.diff(codes)) + 1).tolist(), len(codes)]
    return [
        {
            "kind": SESSION_NAMES[codes[start]],
            "from_ns": int(instants[start]),
            "to_ns": int(instants[end - 1] + step_ns),
        }
        for start, end in itertools.pairwise(edges)
        if codes[start]
    ]


def _summed(columns: dict[str, npt.NDArray[Any]]) -> npt.NDArray[np.void]:
    row = np.zeros(1, dtype=Candle)
    is_set = ~np.isnan(columns["close"])
    row["open"] = columns["open"][is_set][0] if is_set.any() else np.nan
    row["close"] = columns["close"][is_set][-1] if is_set.any() else np.nan
    row["high"] = np.fmax.reduce(columns["high"])
    row["low"] = np.fmin.reduce(columns["low"])
    for name in ("volume", "trades", "revision"):
        row[name] = columns[name].sum()
    row["amount"] = np.nansum(columns["vwap"] * columns["volume"])
    return row


def _instant(ts_ns: int) -> datetime:
    return _EPOCH + timedelta(microseconds=max(ts_ns, 0) // 1_000)
