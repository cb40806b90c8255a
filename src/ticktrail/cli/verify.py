"""Compares the store with the simulated exchange's own log, record by record, and the bars with its trades.

What `ticktrail sql` gives is held against the log, and the bars against those that DuckDB computes from the
log by the rules of the tapes, in code that shares nothing with the bars stage.
"""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from ticktrail.config import Settings, wants_color
from ticktrail.feeds.sim import read_log
from ticktrail.model.conditions import sale_condition_flags
from ticktrail.query import Engine
from ticktrail.store import connect

__all__ = ["Verification", "verify_run"]

# What is counted, where the summary of the run counts something else by that name.
_NAMED = {"sent": " trades and quotes", "stored": " trades and quotes of this run", "bars": " of 1s and 1m"}
_PRICE_TOLERANCE = 1e-9
_RELATIVE_TOLERANCE = 1e-12


@dataclass(frozen=True, kw_only=True)
class Verification:
    """What the comparison found.

    Parameters
    ----------
    sent, stored
        Trades and quotes in the exchange's log, and in the store.
    missing, unexpected, different
        Sent and not stored; stored and not sent; stored with other content.
    disordered
        Trades that stand in another order than they were sent in, per symbol.
    bars, bars_wrong
        Stored bars (1s and 1m), and those that differ from the independent computation or are missing.
    """

    sent: int
    stored: int
    missing: int
    unexpected: int
    different: int
    disordered: int
    bars: int
    bars_wrong: int

    @property
    def is_equal(self) -> bool:
        """Whether nothing is wrong."""
        wrong = (self.missing, self.unexpected, self.different, self.disordered, self.bars_wrong)
        return self.sent == self.stored and not any(wrong)

    def to_dict(self) -> dict[str, Any]:
        """Give all figures, for programs."""
        return {**asdict(self), "is_equal": self.is_equal}

    def print(self) -> None:
        """Print all figures, for people."""
        verdict = "stored = sent, record by record" if self.is_equal else "stored and sent DIFFER"
        color = "green" if self.is_equal else "red"
        click.secho(f"{'verified':>13}  {verdict}", fg=color, color=wants_color(sys.stdout))
        for name, value in asdict(self).items():
            click.echo(f"{name.replace('_', ' '):>13}  {value:,}{_NAMED.get(name, '')}")


def verify_run(settings: Settings, log_dir: Path) -> Verification:
    """Compare a run's log with the store.

    Parameters
    ----------
    log_dir
        Where the exchange kept its log of that run.

    Raises
    ------
    TicktrailError
        The store cannot be read.
    """
    log = read_log(log_dir)
    session = connect(settings.store)
    try:
        engine = Engine(session)
        try:
            kinds = ("trades", "quotes", "corrections")
            stored = {kind: _stored(engine, kind, log[kind]) for kind in kinds}
            bars = _stored_bars(engine, log["trades"])
        finally:
            engine.close()
    finally:
        session.close()
    return _compare(log, stored, bars)


def _stored(engine: Engine, kind: str, log: pa.Table) -> pa.Table:
    first_ns, last_ns = _span_ns(log)
    return engine.sql(
        f"SELECT * FROM {kind} WHERE feed = 'sim' AND ts >= to_timestamp({first_ns // 10**9}) "
        f"AND ts <= to_timestamp({last_ns // 10**9 + 1}) "
        f"AND ts_event_ns BETWEEN {first_ns} AND {last_ns}"
    ).arrow()


def _stored_bars(engine: Engine, log: pa.Table) -> pa.Table:
    # Bars that opened before the run may hold trades of an earlier one.
    first_ns, last_ns = _span_ns(log)
    return engine.sql(
        "SELECT * FROM bars WHERE feed = 'sim' AND interval IN ('1s', '1m') "
        f"AND ts >= to_timestamp({first_ns // 10**9 + 1}) AND ts <= to_timestamp({last_ns // 10**9 + 60}) "
    ).arrow()


def _span_ns(log: pa.Table) -> tuple[int, int]:
    bounds = pc.min_max(log["ts_event_ns"])
    return bounds["min"].as_py() or 0, bounds["max"].as_py() or 0


def _compare(log: dict[str, pa.Table], stored: dict[str, pa.Table], bars: pa.Table) -> Verification:
    database = duckdb.connect()
    database.execute("SET TimeZone = 'UTC'")
    for kind in ("trades", "quotes", "corrections"):
        # Copies and reordered messages were sent; those of which nobody was handed one were not.
        database.register(f"sent_{kind}", log[kind].filter(pc.greater(log[kind]["recipients"], 0)))
        database.register(f"stored_{kind}", stored[kind])
    database.register("bars", bars)
    database.register("corrected", log["corrections"])
    flags = _flags_table(log["trades"])
    database.register("flags", flags)

    def number(query: str) -> int:
        row = database.execute(query).fetchone()
        assert row is not None
        return int(row[0] or 0)

    figures = {name: number(query) for name, query in _QUERIES.items()}
    database.execute(_INDEPENDENT_BARS)
    return Verification(
        sent=figures["sent_trades"] + figures["sent_quotes"],
        stored=figures["stored_trades"] + figures["stored_quotes"],
        missing=figures["missing_trades"] + figures["missing_quotes"],
        unexpected=figures["unexpected_trades"] + figures["unexpected_quotes"],
        different=figures["different_trades"],
        disordered=figures["disordered"],
        bars=len(bars),
        bars_wrong=number(_WRONG_BARS),
    )


def _flags_table(trades: pa.Table) -> pa.Table:
    found = trades.group_by(["tape", "conditions"]).aggregate([]).to_pylist()
    rows = [
        (k["tape"], k["conditions"], int(sale_condition_flags(k["tape"], k["conditions"]))) for k in found
    ]
    names = ("tape", "conditions", "flags")
    return pa.table({name: [row[index] for row in rows] for index, name in enumerate(names)})


# The exchange numbers trades per symbol; quotes have no ids, so their content is their identity.
_TRADE_KEY = "s.symbol = t.symbol AND s.id = CAST(t.trade_id AS BIGINT)"
_QUOTE_CONTENT = (
    "symbol, ts_event_ns, bid_price, CAST(bid_size AS DOUBLE) AS bid_size, ask_price, "
    "CAST(ask_size AS DOUBLE) AS ask_size"
)
_QUERIES = {
    "sent_trades": "SELECT count(*) FROM (SELECT DISTINCT symbol, id FROM sent_trades)",
    "sent_quotes": f"SELECT count(*) FROM (SELECT DISTINCT {_QUOTE_CONTENT} FROM sent_quotes)",
    "stored_trades": "SELECT count(*) FROM stored_trades",
    "stored_quotes": "SELECT count(*) FROM stored_quotes",
    "missing_trades": f"SELECT count(*) FROM sent_trades s ANTI JOIN stored_trades t ON {_TRADE_KEY}",
    "unexpected_trades": f"SELECT count(*) FROM stored_trades t ANTI JOIN sent_trades s ON {_TRADE_KEY}",
    "missing_quotes": (
        f"SELECT count(*) FROM (SELECT {_QUOTE_CONTENT} FROM sent_quotes "
        f"EXCEPT SELECT {_QUOTE_CONTENT} FROM stored_quotes)"
    ),
    "unexpected_quotes": (
        f"SELECT count(*) FROM (SELECT {_QUOTE_CONTENT} FROM stored_quotes "
        f"EXCEPT SELECT {_QUOTE_CONTENT} FROM sent_quotes)"
    ),
    "different_trades": (
        f"SELECT count(*) FROM sent_trades s JOIN stored_trades t ON {_TRADE_KEY} WHERE "
        "s.ts_event_ns <> t.ts_event_ns OR s.price <> t.price OR s.size <> t.size "
        "OR s.tape <> t.tape OR s.conditions <> t.conditions"
    ),
    # Within a symbol the exchange's ids rise with time, but for the late prints, whose time is older.
    "disordered": """
        SELECT count(*) FROM (
          SELECT number, late, lag(number) OVER in_time AS before, lag(late) OVER in_time AS late_before
          FROM (SELECT *, CAST(trade_id AS BIGINT) AS number, contains(conditions, 'Z') AS late
                FROM stored_trades)
          WINDOW in_time AS (PARTITION BY symbol ORDER BY ts_event_ns, event_id))
        WHERE number < before AND NOT late AND NOT late_before""",
}
_INDEPENDENT_BARS = """
CREATE TEMP TABLE expected AS
-- The exchange corrects a trade at most once, and leaves its conditions as they are. A correction that was
-- lost on its way in, like a trade that was, is not what bars are to be blamed for.
WITH amended AS (
  SELECT DISTINCT symbol, original_id AS id, action, corrected_price, corrected_size
  FROM sent_corrections s SEMI JOIN stored_corrections t
    ON s.symbol = t.symbol AND s.original_id = CAST(t.trade_id AS BIGINT)
), once AS (
  SELECT DISTINCT s.symbol, s.id, s.ts_event_ns, coalesce(a.corrected_price, s.price) AS price,
         CAST(coalesce(a.corrected_size, s.size) AS DOUBLE) AS size, f.flags, t.event_id
  FROM sent_trades s JOIN flags f USING (tape, conditions) JOIN stored_trades t
    ON s.symbol = t.symbol AND s.id = CAST(t.trade_id AS BIGINT)
  LEFT JOIN amended a ON s.symbol = a.symbol AND s.id = a.id
  WHERE a.id IS NULL OR a.action = 'correct'
), placed AS (
  SELECT *, unnest([1000000000, 60000000000]) AS width FROM once
), windows AS (
  SELECT *, ts_event_ns - ts_event_ns % width AS open_ns FROM placed
)
SELECT symbol, CASE width WHEN 1000000000 THEN '1s' ELSE '1m' END AS interval, open_ns, width,
       arg_min(price, (ts_event_ns, event_id)) FILTER (flags & 1 <> 0) AS open,
       max(price) FILTER (flags & 2 <> 0) AS high,
       min(price) FILTER (flags & 2 <> 0) AS low,
       arg_max(price, (ts_event_ns, event_id)) FILTER (flags & 1 <> 0) AS close,
       sum(size) FILTER (flags & 4 <> 0) AS volume,
       count(*) FILTER (flags & 4 <> 0) AS trades
FROM windows GROUP BY symbol, width, open_ns
"""
_WRONG_BARS = """
SELECT (
  SELECT count(*) FROM bars b LEFT JOIN expected e
    ON b.symbol = e.symbol AND b.interval = e.interval AND epoch_ns(b.ts) = e.open_ns
  -- Of a window whose trades were all cancelled a bar without any remains.
  WHERE (e.symbol IS NULL AND NOT (b.trades = 0 AND b.volume = 0 AND b.open IS NULL AND b.high IS NULL))
    OR b.open IS DISTINCT FROM e.open OR b.high IS DISTINCT FROM e.high OR b.low IS DISTINCT FROM e.low
    OR b.close IS DISTINCT FROM e.close OR b.trades <> coalesce(e.trades, 0)
    OR abs(b.volume - e.volume) > 1e-12 * abs(e.volume)
) + (
  -- Those that must have closed: they opened in the run, and ended two seconds before its last trade.
  SELECT count(*) FROM expected e ANTI JOIN bars b
    ON b.symbol = e.symbol AND b.interval = e.interval AND epoch_ns(b.ts) = e.open_ns
  WHERE e.open_ns > (SELECT min(ts_event_ns) // 1000000000 * 1000000000 FROM sent_trades)
    AND e.open_ns + e.width + 2000000000 < (SELECT max(ts_event_ns) FROM sent_trades)
)
"""
