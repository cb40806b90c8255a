"""Rows per second into Cassandra: ours beside the stock driver's ways, into the same table of one server.

``ticktrail``
    `ticktrail.store.Writer`: columns to acknowledged rows.
``driver_concurrent``
    ``execute_concurrent_with_args``, one bound row a request, 200 in flight.
``driver_batch``
    ``BatchStatement`` of 100 bound rows of one partition, 64 in flight.
``ceiling``
    Our own frames, built beforehand and only sent: what building them costs is the distance to it.

Every round writes new rows, and every way the same kind: trades of 500 symbols with a realistic mix of texts.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from cassandra.concurrent import execute_concurrent, execute_concurrent_with_args
from cassandra.query import BatchStatement, BatchType

from benchmarks.harness import Contender, compare, report, servers, timed
from benchmarks.trades import BEGIN_NS, SYMBOLS, Trades
from ticktrail.model import Columns, Trade
from ticktrail.reference import date_of_day
from ticktrail.store import TRADES, StoreSession, Writer, connect, migrate

__all__ = ["main"]

ROUNDS = 3
# Each way writes for a few seconds per round.
ROWS = {"ticktrail": 400_000, "ceiling": 400_000, "driver_batch": 60_000, "driver_concurrent": 12_000}
POLL_ROWS = 20_000
BATCH_ROWS = 100
CONCURRENT_ROWS = 200
CONCURRENT_BATCHES = 64
IN_FLIGHT = 64
_WRITE_TS_US = BEGIN_NS // 1_000


class TradeValue(NamedTuple):
    """The frozen type `trade`, as the driver binds it."""

    ts_event_ns: int
    ts_recv_ns: int
    price: float
    size: float
    sequence: int
    flags: int
    venue: str
    tape: str
    side: str
    conditions: str
    trade_id: str


def main() -> str:
    """Run; give the JSON object."""
    with servers() as settings:
        session = connect(settings.store)
        migrate(session)
        session.driver.cluster.register_user_type(settings.store.keyspace, "trade", TradeValue)
        contenders = _contenders(session)
        for contender in contenders.values():
            contender()  # the server compiles its code under load
        rates = compare(contenders, ROUNDS)
        session.close()
    parameters = {"symbols": SYMBOLS, "rows_per_round": ROWS, "rounds": ROUNDS, "in_flight": IN_FLIGHT}
    return report("sink", parameters, rates, ours="ticktrail")


def _contenders(session: StoreSession) -> dict[str, Contender]:
    rows = Trades()
    writer = Writer(session, IN_FLIGHT)
    insert = session.prepare(TRADES.insert)

    def ticktrail() -> tuple[int, float]:
        polls = [rows.take(POLL_ROWS) for _ in range(ROWS["ticktrail"] // POLL_ROWS)]
        return timed(lambda: _send(writer, polls))

    def ceiling() -> tuple[int, float]:
        polls = [rows.take(POLL_ROWS) for _ in range(ROWS["ceiling"] // POLL_ROWS)]
        built = [writer.build(TRADES, poll, np.full(len(poll), _WRITE_TS_US)) for poll in polls]
        return timed(lambda: _send_built(writer, built))

    def driver_batch() -> tuple[int, float]:
        bound = _bound_rows(rows.take(ROWS["driver_batch"]))
        return timed(lambda: _send_batches(session, insert, bound))

    def driver_concurrent() -> tuple[int, float]:
        bound = _bound_rows(rows.take(ROWS["driver_concurrent"]))
        return timed(lambda: _send_rows(session, insert, bound))

    return {
        "ticktrail": ticktrail,
        "ceiling": ceiling,
        "driver_batch": driver_batch,
        "driver_concurrent": driver_concurrent,
    }


def _send(writer: Writer, polls: list[Columns[Trade]]) -> int:
    done = _Done(len(polls))
    for poll in polls:
        writer.submit(TRADES, poll, np.full(len(poll), _WRITE_TS_US), done)
    done.wait()
    return sum(map(len, polls))


def _send_built(writer: Writer, built: list[list[bytes]]) -> int:
    done = _Done(len(built))
    for frames in built:
        writer.send(frames, done)
    done.wait()
    return ROWS["ceiling"]


def _send_batches(session: StoreSession, insert: Any, bound: list[tuple[Any, ...]]) -> int:
    def batches() -> Iterator[tuple[BatchStatement, None]]:
        partitions: dict[tuple[Any, ...], list[tuple[Any, ...]]] = {}
        for row in bound:
            partitions.setdefault(row[:4], []).append(row)
        for group in partitions.values():
            for start in range(0, len(group), BATCH_ROWS):
                batch = BatchStatement(BatchType.UNLOGGED)
                for row in group[start : start + BATCH_ROWS]:
                    batch.add(insert, row)
                yield batch, None

    execute_concurrent(session.driver, batches(), concurrency=CONCURRENT_BATCHES)
    return len(bound)


def _send_rows(session: StoreSession, insert: Any, bound: list[tuple[Any, ...]]) -> int:
    execute_concurrent_with_args(session.driver, insert, bound, concurrency=CONCURRENT_ROWS)
    return len(bound)


def _bound_rows(trades: Columns[Trade]) -> list[tuple[Any, ...]]:
    keys = TRADES.keys(trades, 15)
    slots = keys["slot"].tolist()
    return [
        (
            *(trade.feed, trade.symbol, date_of_day(trade.day), slot, trade.ts_ns, trade.event_id),
            TradeValue(*(getattr(trade, name) for name in TradeValue._fields)),
            _WRITE_TS_US,
        )
        for trade, slot in zip(trades.to_records(), slots, strict=True)
    ]


class _Done:
    """Waits for a number of answers; any error ends the benchmark."""

    def __init__(self, expected: int) -> None:
        self._answers = threading.Semaphore(0)
        self._expected = expected
        self._errors: list[Exception] = []

    def __call__(self, error: Exception | None) -> None:
        if error is not None:
            self._errors.append(error)
        self._answers.release()

    def wait(self) -> None:
        for _ in range(self._expected):
            self._answers.acquire()
        if self._errors:
            raise self._errors[0]


if __name__ == "__main__":
    sys.stdout.write(main() + "\n")
