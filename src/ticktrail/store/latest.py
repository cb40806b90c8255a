"""The last trade and quote of each symbol, as one Arrow table."""

from __future__ import annotations

from typing import Any, NamedTuple

import pyarrow as pa

from ticktrail.store.batches import TS_TYPE, arrow_array
from ticktrail.store.decode import decode_page
from ticktrail.store.pages import PageStream
from ticktrail.store.session import StoreSession
from ticktrail.store.tables import LATEST_QUOTES, LATEST_TRADES, Table

__all__ = ["LATEST_SCHEMA", "read_latest"]


class _Column(NamedTuple):
    source: str
    arrow_type: Any


_TEXT, _NUMBER, _INT = pa.string(), pa.float64(), pa.int64()
_TRADE = {
    "symbol": _Column("symbol", _TEXT),
    "ts": _Column("ts_event_ns", TS_TYPE),
    "price": _Column("price", _NUMBER),
    "size": _Column("size", _NUMBER),
    "venue": _Column("venue", _TEXT),
    "side": _Column("side", _TEXT),
    "conditions": _Column("conditions", _TEXT),
    "flags": _Column("flags", pa.int32()),
    "ts_event_ns": _Column("ts_event_ns", _INT),
    "ts_recv_ns": _Column("ts_recv_ns", _INT),
}
_QUOTE = {
    "symbol": _Column("symbol", _TEXT),
    "quote_ts": _Column("ts_event_ns", TS_TYPE),
    "bid_price": _Column("bid_price", _NUMBER),
    "bid_size": _Column("bid_size", _NUMBER),
    "ask_price": _Column("ask_price", _NUMBER),
    "ask_size": _Column("ask_size", _NUMBER),
    "bid_venue": _Column("bid_venue", _TEXT),
    "ask_venue": _Column("ask_venue", _TEXT),
    "quote_ts_event_ns": _Column("ts_event_ns", _INT),
    "quote_ts_recv_ns": _Column("ts_recv_ns", _INT),
}
LATEST_SCHEMA = pa.schema(
    [
        ("feed", _TEXT),
        *((name, column.arrow_type) for name, column in (_TRADE | _QUOTE).items()),
    ]
)


def read_latest(session: StoreSession, feed: str) -> Any:
    """Read one row per symbol that has a trade or a quote, ordered by symbol, in `LATEST_SCHEMA`.

    Raises
    ------
    TicktrailError
        The store cannot be read.
    """
    trades = _read(session, LATEST_TRADES, _TRADE, feed)
    quotes = _read(session, LATEST_QUOTES, _QUOTE, feed)
    joined = trades.join(quotes, "symbol", join_type="full outer").sort_by("symbol")
    feeds = pa.repeat(pa.scalar(feed), len(joined))
    return joined.append_column("feed", feeds).select(LATEST_SCHEMA.names).cast(LATEST_SCHEMA)


def _read(session: StoreSession, table: Table, columns: dict[str, _Column], feed: str) -> Any:
    prepared = session.prepare(f"SELECT symbol, {table.value} FROM {table.name} WHERE feed = ?")  # noqa: S608
    schema = pa.schema([(name, column.arrow_type) for name, column in columns.items()])
    wanted = {column.source for column in columns.values()}
    batches = []
    for page in PageStream(session, prepared, (feed,)):
        decoded = decode_page(page, table, wanted)
        arrays = [arrow_array(decoded[column.source], column.arrow_type) for column in columns.values()]
        batches.append(pa.RecordBatch.from_arrays(arrays, schema=schema))
    return pa.Table.from_batches(batches, schema=schema)
