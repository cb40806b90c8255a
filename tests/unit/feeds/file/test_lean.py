"""LEAN rows become records exactly as their documents say."""

from __future__ import annotations

import zipfile
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from ticktrail.errors import FileFormatError
from ticktrail.feeds import Frame
from ticktrail.model import Columns, Flag, Quote, Trade

ALL = Flag.UPDATES_LAST | Flag.UPDATES_HIGH_LOW | Flag.UPDATES_VOLUME | Flag.NO_RECV_TIME


def only(parsed: Any, record: type) -> Columns[Any]:
    [columns] = [columns for columns in parsed.columns if columns.record is record]
    found: Columns[Any] = columns
    return found


def test_a_trade_row_becomes_a_trade(write_lean: Any, replay: Any) -> None:
    path = write_lean("ibm", "20131007", "trade", ["14430270,1815200,283,P,1,0"])
    feed, _, parsed = replay(path)
    local = datetime(2013, 10, 7, 4, 0, 30, 270_000, tzinfo=ZoneInfo("America/New_York"))
    ts_ns = int(local.timestamp() * 1000) * 1_000_000
    assert feed.name == "lean"
    assert only(parsed, Trade).to_records() == [
        Trade(
            feed="lean",
            symbol="IBM",
            day=(date(2013, 10, 7) - date(1970, 1, 1)).days,
            ts_ns=ts_ns,
            event_id=0,
            ts_event_ns=ts_ns,
            ts_recv_ns=ts_ns,
            price=181.52,
            size=283.0,
            flags=int(ALL),
            venue="ARCX",
            conditions="1",
        )
    ]
    assert parsed.rejected == ()
    assert parsed.unknown == {}


def test_a_quote_row_has_one_side(write_lean: Any, replay: Any) -> None:
    lines = ["14400054,0,0,1836300,100,Q,1,0", "14400241,1800100,300,0,0,P,800,0", "14400242,1,2,3,4,N,1,1"]
    _, _, parsed = replay(write_lean("ibm", "20131007", "quote", lines))
    ask, bid, both = only(parsed, Quote).to_records()
    assert (ask.bid_price, ask.bid_size, ask.bid_venue) == (0.0, 0.0, "")
    assert (ask.ask_price, ask.ask_size, ask.ask_venue) == (183.63, 100.0, "XNAS")
    assert (bid.bid_price, bid.bid_size, bid.bid_venue, bid.ask_venue) == (180.01, 300.0, "ARCX", "")
    assert (both.bid_venue, both.ask_venue) == ("XNYS", "XNYS")
    assert [quote.flags for quote in (ask, bid, both)] == [
        Flag.NO_RECV_TIME,
        Flag.NO_RECV_TIME,
        Flag.NO_RECV_TIME | Flag.SUSPICIOUS,
    ]
    assert bid.conditions == "800"
    assert [quote.event_id for quote in (ask, bid, both)] == [0, 1, 2]


@pytest.mark.parametrize(
    ("conditions", "suspicious", "expected"),
    [
        ("", 0, ALL),
        ("20002000", 0, ALL),
        ("20002020", 0, Flag.UPDATES_VOLUME | Flag.NO_RECV_TIME),
        ("40", 0, Flag.UPDATES_VOLUME | Flag.NO_RECV_TIME),
        ("80", 0, Flag.UPDATES_VOLUME | Flag.NO_RECV_TIME),
        ("200", 0, Flag.UPDATES_VOLUME | Flag.NO_RECV_TIME),
        ("1000000", 0, Flag.UPDATES_VOLUME | Flag.NO_RECV_TIME),
        ("2000000", 0, Flag.UPDATES_VOLUME | Flag.NO_RECV_TIME),
        ("4000000", 0, Flag.UPDATES_VOLUME | Flag.NO_RECV_TIME),
        ("1", 1, Flag.SUSPICIOUS | Flag.NO_RECV_TIME),
        ("20", 1, Flag.SUSPICIOUS | Flag.NO_RECV_TIME),
    ],
)
def test_condition_bits_tell_what_a_trade_updates(
    write_lean: Any, replay: Any, conditions: str, suspicious: int, expected: Flag
) -> None:
    path = write_lean("ibm", "20131007", "trade", [f"1,1000000,1,Q,{conditions},{suspicious}"])
    [trade] = only(replay(path)[2], Trade).to_records()
    assert trade.flags == expected
    assert trade.conditions == conditions


def test_every_line_is_a_record_a_rejected_line_or_a_blank(write_lean: Any, replay: Any) -> None:
    good = "34200000,1815200,100,N,1,0"
    bad = {
        "34200001,1815200,100,N,1": "bad_line",  # a cell too few
        "34200001,1815200,100,N,1,0,7": "bad_line",  # a cell too many
        "34200001,-1815200,100,N,1,0": "bad_line",
        "34200001,1815200.5,100,N,1,0": "bad_line",
        "34200001,1815200,100,N,xyz,0": "bad_line",
        "34200001,1815200,100,N,1,2": "bad_line",
        "34200001,1815200,100,n,1,0": "bad_line",
        '"34200001",1815200,100,N,1,0': "bad_line",
        "99999999,1815200,100,N,1,0": "bad_time",  # more than any day has
        "34200001,0,100,N,1,0": "bad_price",
        "ms,price,size,exchange,conditions,suspicious": "bad_line",
    }
    lines = [good, *bad, "", good + "\r", good]
    _, _, parsed = replay(write_lean("ibm", "20131007", "trade", lines))
    assert [(found.payload.decode(), found.reason) for found in parsed.rejected] == list(bad.items())
    assert "line 2 of" in parsed.rejected[0].detail
    trades = only(parsed, Trade)
    assert len(trades) == 3
    assert trades["event_id"].tolist() == [0, len(lines) - 2, len(lines) - 1]
    assert parsed.unknown == {"line:blank": 1}


def test_decimals_of_newer_files_are_kept(write_lean: Any, replay: Any) -> None:
    lines = ["34200000.123456,1815200,0.5,N,1,0", "34200001,1815200,100,N,1,0"]
    _, _, parsed = replay(write_lean("ibm", "20240105", "trade", lines))
    local = datetime(2024, 1, 5, 9, 30, tzinfo=ZoneInfo("America/New_York"))
    opening_ns = int(local.timestamp()) * 1_000_000_000
    trades = only(parsed, Trade)
    assert trades["ts_event_ns"].tolist() == [opening_ns + 123_456, opening_ns + 1_000_000]
    assert trades["size"].tolist() == [0.5, 100.0]


def test_unknown_exchanges_are_counted_and_kept_without_venue(write_lean: Any, replay: Any) -> None:
    lines = ["1,1,1,QQ,1,0", "2,1,1,N,1,0", "3,1,1,,1,0", "4,1,1,QQ,1,0"]
    _, _, parsed = replay(write_lean("ibm", "20131007", "trade", lines))
    assert only(parsed, Trade)["venue"].tolist() == [b"", b"XNYS", b"", b""]
    assert parsed.unknown == {"exchange:QQ": 2}


def test_a_frame_alone_gives_what_it_gives_in_a_batch(write_lean: Any, replay: Any) -> None:
    lines = [f"{34_200_000 + 10 * i},{1_000_000 + i},{i + 1},N,1,0" for i in range(30_000)]
    feed, frames, parsed = replay(write_lean("ibm", "20131007", "trade", lines))
    assert len(frames) > 1
    parts = [only(feed.parse([frame]), Trade) for frame in frames]
    together = only(parsed, Trade)
    alone = Columns.concat(parts)
    assert all((together[name] == alone[name]).all() for name in together.data)
    assert together["event_id"].tolist() == list(range(30_000))
    assert together["price"].tolist() == [(1_000_000 + i) / 10_000 for i in range(30_000)]


@pytest.mark.parametrize(
    ("name", "entry", "why"),
    [
        ("20131007_trade.zip", "20131007_ibm_minute_trade.csv", "holds bars"),
        ("20131007_trade.zip", "readme.txt", "readme.txt"),
        ("20131008_trade.zip", "20131007_ibm_Trade_Tick.csv", "20131008"),
        ("20131007_trade.zip", "20131007_ibm_Quote_Tick.csv", "Quote"),
        ("x.zip", "20139907_ibm_Trade_Tick.csv", "no date"),
    ],
)
def test_other_zips_are_refused_with_a_reason(
    tmp_path: Path, replay: Any, name: str, entry: str, why: str
) -> None:
    with zipfile.ZipFile(tmp_path / name, "w") as archive:
        archive.writestr(entry, "1,1,1,N,1,0\n")
    with pytest.raises(FileFormatError) as caught:
        replay(tmp_path)
    assert why in caught.value.why
    assert caught.value.next_step
    assert caught.value.path == str(tmp_path / name)


def test_a_file_that_is_no_zip_is_refused(tmp_path: Path, replay: Any) -> None:
    (tmp_path / "20131007_trade.zip").write_bytes(b"not a zip at all")
    with pytest.raises(FileFormatError, match="zip"):
        replay(tmp_path)


def test_a_damaged_zip_stops_where_it_is_damaged(write_lean: Any, replay: Any) -> None:
    path = write_lean(
        "ibm", "20131007", "trade", [f"{i},{i * 7919 % 9973},{i},N,1,0" for i in range(1, 90_000)]
    )
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(FileFormatError) as caught:
        replay(path)
    assert caught.value.line > 0


def test_frames_with_a_wrong_origin_are_rejected_whole(write_lean: Any, replay: Any) -> None:
    feed, [frame], _ = replay(write_lean("ibm", "20131007", "trade", ["1,1,1,N,1,0"]))
    for origin in (
        "",
        "{}",
        "[[]]",
        frame.origin.replace("20131007", "20131399"),
        frame.origin.replace("IBM", ""),
    ):
        parsed = feed.parse([Frame(0, frame.payload, origin)])
        assert [found.reason for found in parsed.rejected] == ["bad_origin"]
        assert parsed.rejected[0].payload == frame.payload
    parsed = feed.parse([Frame(0, frame.payload + b"1", frame.origin)])
    assert [found.reason for found in parsed.rejected] == ["bad_origin"]
