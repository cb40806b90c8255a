"""CSV and Parquet become records by their columns' names."""

from __future__ import annotations

import gzip
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pa_parquet
import pytest

from ticktrail.errors import ConfigError, FileFormatError
from ticktrail.model import Columns, Flag, Quote, Trade

HEADER = "symbol,ts_event_ns,price,size"
# 2024-01-05 14:30 UTC
OPENING_NS = 1_704_465_000_000_000_000


def only(parsed: Any) -> Columns[Any]:
    [columns] = parsed.columns
    found: Columns[Any] = columns
    return found


def write(path: Path, *lines: str, end: str = "\n") -> Path:
    path.write_bytes(end.join(lines).encode())
    return path


def test_a_csv_row_becomes_a_trade(tmp_path: Path, replay: Any) -> None:
    header = HEADER + ",venue,tape,conditions,side,trade_id,sequence,colour"
    path = write(tmp_path / "t.csv", header, f'"BRK.B",{OPENING_NS},412.05,3,XNYS,A,"@,I",S,x7,9,red')
    feed, _, parsed = replay(path)
    [trade] = only(parsed).to_records()
    assert feed.name == "file"
    assert trade == Trade(
        feed="file",
        symbol="BRK.B",
        day=(date(2024, 1, 5) - date(1970, 1, 1)).days,
        ts_ns=OPENING_NS,
        event_id=trade.event_id,
        ts_event_ns=OPENING_NS,
        ts_recv_ns=OPENING_NS,
        price=412.05,
        size=3.0,
        sequence=9,
        flags=int(Flag.UPDATES_VOLUME | Flag.NO_RECV_TIME),  # an odd lot
        venue="XNYS",
        tape="A",
        side="S",
        conditions="@,I",
        trade_id="x7",
    )
    assert parsed.unknown == {"field:colour": 1}


def test_a_csv_row_becomes_a_quote(tmp_path: Path, replay: Any) -> None:
    lines = ["symbol,ts_event_ns,bid_price,bid_size,ask_price,ask_size", f"IBM,{OPENING_NS},1.5,100,0,0"]
    _, _, parsed = replay(write(tmp_path / "q.csv", *lines), feed_name="mine")
    [quote] = only(parsed).to_records()
    assert isinstance(quote, Quote)
    assert (quote.feed, quote.bid_price, quote.bid_size, quote.ask_price) == ("mine", 1.5, 100.0, 0.0)
    assert quote.flags == Flag.NO_RECV_TIME


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        ("2024-01-05T14:30:00Z", {}),
        ("2024-01-05 09:30:00.000000000-05:00", {}),
        ("1704465000000000000", {"time_unit": "ns"}),
        ("1704465000000000", {"time_unit": "us"}),
        ("1704465000000", {"time_unit": "ms"}),
        ("1704465000", {"time_unit": "s"}),
    ],
)
def test_times_are_read_in_every_notation(tmp_path: Path, replay: Any, text: str, settings: Any) -> None:
    path = write(tmp_path / "t.csv", "ticker,when,price,qty", f"IBM,{text},1,1")
    columns = {"symbol": "ticker", "ts_event_ns": "when", "size": "qty"}
    _, _, parsed = replay(path, columns=columns, **settings)
    assert only(parsed)["ts_event_ns"].tolist() == [OPENING_NS]


def test_a_columns_name_tells_the_unit(tmp_path: Path, replay: Any) -> None:
    path = write(tmp_path / "t.csv", "symbol,time_ms,price,size", "IBM,1704465000000,1,1")
    _, _, parsed = replay(path, columns={"ts_event_ns": "time_ms"})
    assert only(parsed)["ts_event_ns"].tolist() == [OPENING_NS]


@pytest.mark.parametrize(
    ("header", "row", "what", "why", "next_step"),
    [
        ("ticker,time,price,volume", "", "symbol, ts_event_ns, size", "ticker, time", 'size = "volume"'),
        ("symbol,ts_event_ns,prise,size", "", "lacks the column price", "prise", 'price = "prise"'),
        ("symbol,t,price,size", "IBM,2024-01-05T09:30:00,1,1", "times", "no time zone", "offset"),
        ("symbol,t,price,size", "IBM,1704465000000,1,1", "times", "unknown unit", "time_unit"),
        ("symbol,t,price,size", "IBM,yesterday,1,1", "times", "yesterday", "ISO 8601"),
        ("symbol,price,price,size", "", "header", "one name", ""),
        ("", "", "no header", "", ""),
    ],
)
def test_a_csv_that_cannot_be_read_says_why(  # noqa: PLR0917
    tmp_path: Path, replay: Any, header: str, row: str, what: str, why: str, next_step: str
) -> None:
    path = write(tmp_path / "t.csv", header, row)
    settings = {"columns": {"ts_event_ns": "t"}} if ",t," in header else {}
    with pytest.raises(FileFormatError) as caught:
        replay(path, **settings)
    assert what in caught.value.what
    assert why in caught.value.why
    assert next_step in caught.value.next_step
    assert caught.value.path == str(path)


def test_bad_lines_are_rejected_and_the_others_kept(tmp_path: Path, replay: Any) -> None:
    good = f"IBM,{OPENING_NS},1.5,100"
    bad = {
        f"IBM,{OPENING_NS},1.5": "bad_line",
        f"IBM,{OPENING_NS},1.5,1,1": "bad_line",
        f"IBM,{OPENING_NS},abc,1": "bad_price",
        f"IBM,{OPENING_NS},nan,1": "bad_price",
        f"IBM,{OPENING_NS},0,1": "bad_price",
        f"IBM,{OPENING_NS},1e300,1": "bad_price",
        f"IBM,{OPENING_NS},1,-1": "bad_size",
        f"IBM,{OPENING_NS},1,": "bad_size",
        "IBM,yesterday,1,1": "bad_time",
        "IBM,-5,1,1": "bad_time",
        "IBM,99999999999999999999,1,1": "bad_time",
        f",{OPENING_NS},1,1": "bad_symbol",
        f"{'X' * 200},{OPENING_NS},1,1": "bad_symbol",
        f'"IBM,{OPENING_NS},1,1': "bad_line",
    }
    path = write(tmp_path / "t.csv", HEADER, good, *bad, "", good, end="\r\n")
    with path.open("ab") as file:
        file.write(b"\r\n\xff\xfe," + good.encode() + b"\n" + good.encode())
    _, _, parsed = replay(path)
    reasons = {found.payload.decode("latin1").rstrip("\r"): found.reason for found in parsed.rejected}
    assert reasons == bad | {"\xff\xfe," + good: "bad_line"}
    assert "row 2 of t.csv" in next(found.detail for found in parsed.rejected if found.reason == "bad_line")
    rows = [event_id & ((1 << 40) - 1) for event_id in only(parsed)["event_id"].tolist()]
    assert rows == [0, len(bad) + 2, len(bad) + 4]
    assert parsed.unknown == {"line:blank": 1}


def test_only_the_symbols_asked_for_come_and_the_rest_is_counted(tmp_path: Path, replay: Any) -> None:
    rows = [f"{symbol},{OPENING_NS},1,1" for symbol in ("IBM", "BAC", "IBM", "SPY")]
    _, _, parsed = replay(write(tmp_path / "t.csv", HEADER, *rows), symbols=("IBM",))
    assert only(parsed)["symbol"].tolist() == [b"IBM", b"IBM"]
    assert parsed.unknown == {"filtered:symbol": 2}


def test_more_digits_than_float64_keeps_are_flagged(tmp_path: Path, replay: Any) -> None:
    prices = ["0.1", "0.123456789012345", "0.1234567890123456", "1.000000000000000000", "123456789.1234567"]
    path = write(tmp_path / "t.csv", HEADER, *(f"IBM,{OPENING_NS},{price},1" for price in prices))
    _, _, parsed = replay(path)
    flags = only(parsed)["flags"]
    assert [bool(flag & Flag.ROUNDED) for flag in flags.tolist()] == [False, False, True, False, True]
    assert only(parsed)["price"].tolist() == [float(price) for price in prices]


def test_a_receive_time_of_the_file_is_kept(tmp_path: Path, replay: Any) -> None:
    path = write(tmp_path / "t.csv", HEADER + ",ts_recv_ns", f"IBM,{OPENING_NS},1,1,{OPENING_NS + 5}")
    [trade] = only(replay(path)[2]).to_records()
    assert trade.ts_recv_ns == OPENING_NS + 5
    assert not trade.flags & Flag.NO_RECV_TIME


def test_rows_of_different_files_never_share_an_identity(tmp_path: Path, replay: Any) -> None:
    for name, price in (("a", 1), ("b", 2)):
        write(tmp_path / f"{name}.csv", HEADER, f"IBM,{OPENING_NS},{price},1")
    both = only(replay(tmp_path)[2])["event_id"].tolist()
    assert len(set(both)) == 2
    # A file keeps its identities when it is renamed, and when it is read alone.
    (tmp_path / "b.csv").unlink()
    (tmp_path / "a.csv").rename(tmp_path / "z.csv")
    assert only(replay(tmp_path)[2])["event_id"].tolist()[0] in both


def test_unpacked_and_gzipped_files_give_the_same(tmp_path: Path, replay: Any) -> None:
    text = "\n".join([HEADER, *(f"IBM,{OPENING_NS + i},{i + 1},1" for i in range(5_000))])
    (tmp_path / "t.csv").write_text(text)
    with gzip.open(tmp_path / "u.csv.gz", "wt") as file:
        file.write(text)
    plain, packed = (only(replay(tmp_path / name)[2]) for name in ("t.csv", "u.csv.gz"))
    assert plain["price"].tolist() == [i + 1 for i in range(5_000)]
    assert all((plain[name] == packed[name]).all() for name in plain.data)


def parquet(path: Path, **columns: Any) -> Path:
    pa_parquet.write_table(pa.table(columns), path)
    return path


def test_parquet_rows_become_trades_by_their_types(tmp_path: Path, replay: Any) -> None:
    instant = datetime(2024, 1, 5, 14, 30, tzinfo=UTC)
    path = parquet(
        tmp_path / "t.parquet",
        symbol=pa.array(["IBM", "IBM", "BAC"]).dictionary_encode(),
        ts=pa.array([instant] * 3, pa.timestamp("us", "America/New_York")),
        price=pa.array([Decimal("181.52"), Decimal("0.10"), Decimal("7.00")], pa.decimal128(10, 2)),
        size=pa.array([1, 2, 3], pa.int32()),
        conditions=pa.array([None, "@", "@"]),
    )
    _, _, parsed = replay(path, columns={"ts_event_ns": "ts"})
    trades = only(parsed)
    assert trades["price"].tolist() == [181.52, 0.1, 7.0]
    assert trades["size"].tolist() == [1.0, 2.0, 3.0]
    assert trades["ts_event_ns"].tolist() == [OPENING_NS] * 3
    assert trades["conditions"].tolist() == [b"", b"@", b"@"]
    assert (trades["event_id"] - trades["event_id"][0]).tolist() == [0, 1, 2]


def test_bad_parquet_rows_are_rejected_as_json(tmp_path: Path, replay: Any) -> None:
    path = parquet(
        tmp_path / "t.parquet",
        symbol=["IBM", None, "IBM"],
        ts_event_ns=[OPENING_NS] * 3,
        price=[1.5, 1.5, None],
        size=[1.0] * 3,
    )
    _, _, parsed = replay(path)
    assert len(only(parsed)) == 1
    assert [found.reason for found in parsed.rejected] == ["bad_symbol", "bad_price"]
    assert parsed.rejected[0].payload == (
        b'{"symbol":null,"ts_event_ns":%d,"price":1.5,"size":1.0}' % OPENING_NS
    )


@pytest.mark.parametrize(
    ("times", "why"),
    [
        (pa.array([datetime(2024, 1, 5)], pa.timestamp("ns")), "no time zone"),  # noqa: DTZ001
        (pa.array([1_704_465_000_000]), "unknown unit"),
        (pa.array([1.5]), "type double"),
    ],
)
def test_parquet_times_without_meaning_are_refused(tmp_path: Path, replay: Any, times: Any, why: str) -> None:
    path = parquet(tmp_path / "t.parquet", symbol=["IBM"], when=times, price=[1.0], size=[1.0])
    with pytest.raises(FileFormatError) as caught:
        replay(path, columns={"ts_event_ns": "when"})
    assert why in caught.value.why


def test_what_is_no_parquet_is_refused(tmp_path: Path, replay: Any) -> None:
    (tmp_path / "t.parquet").write_bytes(b"PAR1 but not really")
    with pytest.raises(FileFormatError):
        replay(tmp_path)


@pytest.mark.parametrize(
    "settings",
    [
        {"speed": "fast"},
        {"speed": "0x"},
        {"format": "xml"},
        {"columns": {"prize": "p"}},
        {"zone": "America/Nowhere"},
        {"time_unit": "min"},
        {"feed_name": "no good"},
        {"paht": "x"},
    ],
)
def test_wrong_settings_are_refused(replay: Any, settings: Any) -> None:
    with pytest.raises(ConfigError):
        replay("anywhere", **settings)
