"""Records for tests of the store, and a keyspace of their own."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any

import msgspec
import numpy as np

from ticktrail.config import StoreSettings
from ticktrail.model import Bar, Columns, Record, Trade, column_dtypes
from ticktrail.store import StoreSession, Table, Writer, connect

DAY = (date(2026, 3, 17) - date(1970, 1, 1)).days
NOON_NS = (DAY * 86_400 + 12 * 3_600) * 10**9
TEXTS = ["", "A", "Ünï", "価格🐟", "x" * 127]
NUMBERS = [0.0, -0.0, 1.1, -2.5e300, float("inf"), float("nan")]


@contextmanager
def empty_keyspace(settings: StoreSettings) -> Iterator[StoreSession]:
    """Give a session on a keyspace that does not exist yet; it is dropped afterwards."""
    name = f"t{uuid.uuid4().hex[:10]}"
    session = connect(msgspec.structs.replace(settings, keyspace=name))
    yield session
    session.execute(f"DROP KEYSPACE IF EXISTS {name}")
    session.close()


def some(record: type[Record], count: int, **fields: Callable[[int], Any]) -> list[Any]:
    """Make records with every kind of value in every field."""
    made = []
    for index in range(count):
        values: dict[str, Any] = {}
        for place, (name, dtype) in enumerate(column_dtypes(record).items()):
            turn = index + place
            if dtype.kind == "S":
                values[name] = TEXTS[turn % len(TEXTS)]
            elif dtype.kind == "f":
                values[name] = NUMBERS[turn % len(NUMBERS)]
            elif dtype.kind == "b":
                values[name] = bool(turn % 2)
            else:
                bits = 8 * dtype.itemsize - 1
                values[name] = [0, -1, 2**bits - 1, -(2**bits)][turn % 4]
        values |= {"feed": "feed", "symbol": f"S{index % 3}", "day": DAY - index}
        values |= {"interval": ["1s", "1m", "5m", "1h", "1d"][index % 5]} if record is Bar else {}
        values |= {name: make(index) for name, make in fields.items()}
        made.append(record(**values))
    return made


def trades(count: int, **fields: Callable[[int], Any]) -> list[Trade]:
    """Make plain trades of one symbol and moment, told apart by their ids."""
    return [
        Trade(
            **{
                "feed": "feed",
                "symbol": "AAPL",
                "day": DAY,
                "ts_ns": NOON_NS,
                "event_id": index,
                "ts_event_ns": NOON_NS,
                "ts_recv_ns": NOON_NS,
                "price": 1.0 + index,
                "size": 1.0,
                **{name: make(index) for name, make in fields.items()},
            }
        )
        for index in range(count)
    ]


def put(writer: Writer, table: Table, records: list[Any], write_ts_us: int = 1_000_000) -> None:
    columns = Columns.from_records(table.record, records)
    writer.write(table, columns, np.full(len(records), write_ts_us))
