"""What becomes of the values of one poll."""

from __future__ import annotations

from typing import Any

import numpy as np

from ticktrail.bus import Partition, PartitionBatch
from ticktrail.codec import encode_record
from ticktrail.model import Bar, Flag, Gap, Heartbeat, Quote, Record, Trade
from ticktrail.persist import Span
from ticktrail.persist.batch import Poll, Write
from ticktrail.store import BARS, GAPS, LATEST_QUOTES, LATEST_TRADES, QUOTES, TRADES

FIRST, SECOND = Partition("t.trades.v1", 0), Partition("t.quotes.v1", 3)


def trade(number: int, symbol: str = "A", **fields: Any) -> Trade:
    values = {
        "day": 20_000,
        "ts_ns": number * 1_000,
        "event_id": number,
        "ts_event_ns": number * 1_000 + 999,
        "ts_recv_ns": number,
        "price": 1.0,
        "size": 1.0,
        "flags": int(Flag.UPDATES_LAST),
    }
    return Trade(feed="f", symbol=symbol, **{**values, **fields})


def quote(number: int) -> Quote:
    zeros = dict.fromkeys(("bid_price", "bid_size", "ask_price", "ask_size"), 0.0)
    times = dict.fromkeys(("ts_ns", "ts_event_ns", "ts_recv_ns"), number)
    return Quote(feed="f", symbol="A", day=1, event_id=number, **times, **zeros)  # type: ignore[arg-type]


def batch(
    partition: Partition, first: int, *values: Record | bytes, append_ms: int = 5_000
) -> PartitionBatch:
    count = len(values)
    return PartitionBatch(
        partition,
        np.arange(first, first + count),
        append_ms + np.arange(count),
        [b"key %d" % number for number in range(count)],
        [value if isinstance(value, bytes) else encode_record(value) for value in values],
    )


def by_table(poll: Poll) -> dict[Any, Write]:
    return {write.table.name + write.table.value: write for write in poll.writes()}


def test_the_values_cover_their_offsets() -> None:
    poll = Poll([batch(FIRST, 10, trade(1), trade(2)), batch(SECOND, 7, quote(1))])
    assert poll.count == 3
    assert poll.spans() == [
        Span(partition=FIRST, first=10, end=12, state="5001"),
        Span(partition=SECOND, first=7, end=8, state="5000"),
    ]


def test_rows_are_written_at_the_time_of_the_log() -> None:
    poll = Poll(
        [
            batch(FIRST, 0, trade(1), quote(5), trade(2), append_ms=1_000),
            batch(SECOND, 0, trade(3), append_ms=9_000),
        ]
    )
    write = by_table(poll)[TRADES.name + TRADES.value]
    assert write.columns.to_records() == [trade(1), trade(2), trade(3)]
    assert write.rows.tolist() == [0, 2, 3]
    assert write.write_ts_us.tolist() == [1_000_000, 1_002_000, 9_000_000]
    assert not write.is_copy
    assert by_table(poll)[QUOTES.name + QUOTES.value].write_ts_us.tolist() == [1_001_000]


def test_the_newest_of_each_symbol_is_copied_at_the_time_of_the_event() -> None:
    odd_lot = trade(9, flags=0)
    poll = Poll([batch(FIRST, 0, trade(3), trade(1), trade(5, "B"), odd_lot, quote(7))])
    copy = by_table(poll)[LATEST_TRADES.name + LATEST_TRADES.value]
    assert copy.is_copy
    assert copy.columns.to_records() == [trade(3), trade(5, "B")]
    assert copy.write_ts_us.tolist() == [3, 5]
    assert by_table(poll)[LATEST_QUOTES.name + LATEST_QUOTES.value].columns.to_records() == [quote(7)]


def test_bars_have_no_latest() -> None:
    prices = dict.fromkeys(("open", "high", "low", "close", "volume", "vwap"), 1.0)
    names = {"feed": "f", "symbol": "A", "interval": "1m", "session": "regular"}
    bar = Bar(**names, day=1, ts_open_ns=0, ts_close_ns=1, trades=1, **prices)  # type: ignore[arg-type]
    (write,) = Poll([batch(FIRST, 0, bar)]).writes()
    assert write.table is BARS


def test_what_has_no_table_is_counted() -> None:
    gap = Gap(feed="f", channel="*", day=1, from_ns=0, to_ns=1, ts_recv_ns=1, cause="silence")
    poll = Poll([batch(FIRST, 0, Heartbeat(feed="f", ts_recv_ns=1), gap, Heartbeat(feed="f", ts_recv_ns=2))])
    assert poll.not_stored == 2
    (write,) = poll.writes()
    assert write.table is GAPS
    assert write.columns.to_records() == [gap]


def test_what_cannot_be_decoded_is_kept_with_its_place() -> None:
    poll = Poll([batch(FIRST, 10, trade(1), b"junk"), batch(SECOND, 7, b"", quote(1))])
    junk, nothing = poll.letters()
    assert (junk.topic, junk.partition, junk.offset) == ("t.trades.v1", 0, 11)
    assert (junk.key, junk.value, junk.reason) == (b"key 1", b"junk", "not_protobuf")
    assert (nothing.topic, nothing.partition, nothing.offset) == ("t.quotes.v1", 3, 7)
    assert (nothing.key, nothing.value, nothing.reason) == (b"key 0", b"", "unknown_kind")
    assert "Protobuf" in junk.detail


def test_halves_are_the_whole() -> None:
    (write, _) = Poll([batch(FIRST, 5, *(trade(number) for number in range(7)))]).writes()
    left, right = write.halves()
    assert left.columns.to_records() + right.columns.to_records() == write.columns.to_records()
    assert [*left.rows, *right.rows] == write.rows.tolist()
    assert [*left.write_ts_us, *right.write_ts_us] == write.write_ts_us.tolist()
    assert {len(left.columns), len(right.columns)} == {3, 4}
    assert left.table is right.table is TRADES
