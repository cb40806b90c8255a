"""Files of every format; written once, read by every check."""

from __future__ import annotations

import asyncio
import atexit
import shutil
import tempfile
import zipfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pa_parquet

from ticktrail.feeds import Feed, Frame, Subscription, registry
from ticktrail.feeds.file import encode_capture
from ticktrail.model import Flag, Quote, Record, Trade
from ticktrail.testing import FakeClock, FeedCase

# Midnight of 2013-10-07 in New York, which was four hours behind UTC.
MIDNIGHT_NS = 1_381_118_400 * 10**9
DAY = (date(2013, 10, 7) - date(1970, 1, 1)).days

# CRC-32 of the CSV's first two lines, less its lower 10 bits: part of stored identities, so fixed here.
CSV_TAG = 4_117_231

FOLDER = Path(tempfile.mkdtemp(prefix="ticktrail-contract-"))
atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)

LEAN_TRADES = "34200000,1815200,283,P,1,0\n34200000,1815300,50,N,20,0\n34200007,1815400,100,D,1,1"
LEAN_QUOTES = "34199999,1815100,300,0,0,N,1,0\n34200003,0,0,1815300,200,K,8,0\n"
ROWS: dict[str, list[Any]] = {
    "symbol": ["IBM", "BRK.B"],
    "ts_event_ns": [MIDNIGHT_NS + 5, MIDNIGHT_NS + 7],
    "price": [181.52, 412.0],
    "size": [100.0, 2.5],
    "venue": ["XNYS", ""],
}


def _write() -> None:
    for kind, lines in (("Trade", LEAN_TRADES), ("Quote", LEAN_QUOTES)):
        path = FOLDER / "lean" / "ibm" / f"20131007_{kind.lower()}.zip"
        path.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(f"20131007_ibm_{kind}_Tick.csv", lines)
    rows = [",".join(ROWS), *(",".join(map(str, row)) for row in zip(*ROWS.values(), strict=True))]
    (FOLDER / "trades.csv").write_text("\n".join(rows))
    pa_parquet.write_table(pa.table(ROWS), FOLDER / "trades.parquet", compression="none")
    (FOLDER / "frames.ndjson").write_bytes(b"".join(encode_capture("alpaca", f) for f in CAPTURED))


def _lean_records() -> tuple[Record, ...]:
    def at(ms: int, row: int) -> dict[str, Any]:
        ts_ns = MIDNIGHT_NS + ms * 10**6
        times = {"ts_ns": ts_ns, "ts_event_ns": ts_ns, "ts_recv_ns": ts_ns}
        return {"feed": "lean", "symbol": "IBM", "day": DAY, "event_id": row, **times}

    flags = Flag.NO_RECV_TIME
    volume = flags | Flag.UPDATES_VOLUME
    every = volume | Flag.UPDATES_LAST | Flag.UPDATES_HIGH_LOW
    bid: dict[str, Any] = {
        "bid_price": 181.51,
        "bid_size": 300.0,
        "ask_price": 0.0,
        "ask_size": 0.0,
        "bid_venue": "XNYS",
    }
    ask: dict[str, Any] = {
        "bid_price": 0.0,
        "bid_size": 0.0,
        "ask_price": 181.53,
        "ask_size": 200.0,
        "ask_venue": "EDGX",
    }
    trade = partial(Trade, side="N")
    return (
        trade(**at(34_200_000, 0), price=181.52, size=283.0, venue="ARCX", conditions="1", flags=int(every)),
        trade(**at(34_200_000, 1), price=181.53, size=50.0, venue="XNYS", conditions="20", flags=int(volume)),
        trade(
            **at(34_200_007, 2),
            price=181.54,
            size=100.0,
            venue="FINR",
            conditions="1",
            flags=int(flags | Flag.SUSPICIOUS),
        ),
        Quote(**at(34_199_999, 0), **bid, conditions="1", flags=int(flags)),
        Quote(**at(34_200_003, 1), **ask, conditions="8", flags=int(flags)),
    )


def _table_records(tag: int) -> tuple[Record, ...]:
    flags = Flag.NO_RECV_TIME | Flag.UPDATES_LAST | Flag.UPDATES_HIGH_LOW | Flag.UPDATES_VOLUME
    return tuple(
        Trade(
            feed="file",
            symbol=symbol,
            day=DAY,
            ts_ns=ts_ns,
            event_id=tag << 40 | row,
            ts_event_ns=ts_ns,
            ts_recv_ns=ts_ns,
            price=price,
            size=size,
            venue=venue,
            flags=int(flags),
        )
        for row, (symbol, ts_ns, price, size, venue) in enumerate(zip(*ROWS.values(), strict=True))
    )


CAPTURED = (
    Frame(
        MIDNIGHT_NS + 9,
        b'[{"T":"q","S":"IBM","bx":"N","bp":1.5,"bs":100,"ax":"N","ap":1.75,"as":200,"c":["R"],"z":"A",'
        b'"t":"2013-10-07T13:30:00Z"}]',
    ),
    Frame(MIDNIGHT_NS + 10, b"[]"),
)


def _make(path: str) -> Feed:
    subscription = Subscription(symbols=("*",))
    return registry.get("file").load()({"path": str(FOLDER / path)}, subscription, FakeClock())


@asynccontextmanager
async def _serve(path: str, _frames: Sequence[Frame]) -> AsyncIterator[Callable[[], Feed]]:
    yield partial(_make, path)


def _frames(path: str) -> tuple[Frame, ...]:
    async def read() -> list[Frame]:
        feed = _make(path)
        await feed.connect()
        frames = []
        while (frame := await feed.receive()) is not None:
            frames.append(frame)
        await feed.close()
        return frames

    return tuple(asyncio.run(read()))


def _case(name: str, path: str, records: tuple[Record, ...], broken: tuple[Frame, ...] = ()) -> FeedCase:
    return FeedCase(
        name=f"file-{name}",
        make=partial(_make, path),
        frames=_frames(path),
        records=records,
        broken=broken,
        serve=partial(_serve, path),
        ends=True,
    )


def _lean_line(line: bytes) -> Frame:
    section = ["lean", "trades", 0, len(line), "ibm/20131007_trade.zip", "IBM", 20131007]
    return Frame(0, line, msgspec.json.encode([section]).decode())


def _csv_line(line: bytes) -> Frame:
    payload = b"symbol,ts_event_ns,price,size\n" + line
    return Frame(0, payload, msgspec.json.encode([["csv", "trades", 0, len(payload), "t.csv"]]).decode())


def _tag_of(path: str) -> int:
    trades = _make(path).parse(_frames(path)).columns[0]
    return int(trades["event_id"][0]) >> 40


_write()
CASES = [
    _case(
        "lean",
        "lean",
        _lean_records(),
        (Frame(0, b"1,1,1,N,1,0"), *map(_lean_line, (b"\xff\n", b"1,1,1,N\n", b"1,0,1,N,1,0\n", b"\n"))),
    ),
    _case(
        "csv",
        "trades.csv",
        _table_records(CSV_TAG),
        tuple(map(_csv_line, (b"IBM,5,x,1", b"IBM,x,1,1", b"\xff,5,1,1", b"IBM,5,1", b'"', b" \n"))),
    ),
    _case("parquet", "trades.parquet", _table_records(_tag_of("trades.parquet"))),
    FeedCase(
        name="file-capture",
        make=partial(_make, "frames.ndjson"),
        frames=CAPTURED,
        records=tuple(
            record
            for columns in registry.get("alpaca")
            .load()(registry.get("alpaca").parse_settings, Subscription(symbols=("IBM",)), FakeClock())
            .parse(CAPTURED)
            .columns
            for record in columns.to_records()
        ),
        serve=partial(_serve, "frames.ndjson"),
        ends=True,
    ),
]
