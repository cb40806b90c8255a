"""Whatever bytes a file holds: nothing raises, every line is accounted for, frames do not mix."""

from __future__ import annotations

import csv
import io
import tempfile
import zipfile
import zlib
from fractions import Fraction
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ticktrail.feeds import Frame, Subscription
from ticktrail.feeds.file import FileSettings, encode_capture
from ticktrail.feeds.file.captures import read_captures
from ticktrail.feeds.file.lean_file import identify_lean, open_lean
from ticktrail.feeds.file.merge import merge
from ticktrail.feeds.file.parse import parse_rows
from ticktrail.testing.feed_contract import assert_sound

EVERYTHING = Subscription(symbols=("*",))
SETTINGS = FileSettings(path="-", feed_name="lean")
# Midnight of 2013-10-07 in New York.
MIDNIGHT_NS = 1_381_118_400 * 10**9
OHLC_BITS = 3
NO_OHLC = 0x20 | 0x40 | 0x80 | 0x200 | 0x1000000 | 0x2000000 | 0x4000000

trade_rows = st.tuples(
    st.integers(0, 90_000_000),
    st.integers(1, 10**15 - 1),
    st.integers(0, 10**15 - 1),
    st.sampled_from(["N", "Q", "P", "D", "", "FOO"]),
    st.integers(0, 2**32 - 1).map(lambda bits: f"{bits:X}") | st.just(""),
    st.integers(0, 1),
)
good_lines = trade_rows.map(lambda row: ",".join(map(str, row)).encode())
odd_lines = st.binary(max_size=40).map(lambda line: line.replace(b"\n", b"")) | st.text(
    "0123456789,.-NQ ", max_size=40
).map(str.encode)
mangled_lines = st.tuples(good_lines, st.integers(0, 30), st.binary(max_size=3)).map(
    lambda parts: (parts[0][: parts[1]] + parts[2] + parts[0][parts[1] + 1 :]).replace(b"\n", b"")
)


def frame_of(payload: bytes, form: str = "lean", kind: str = "trades", first_row: int = 0) -> Frame:
    section = [form, kind, first_row, len(payload), "a.b", "IBM", 20131007, 1, zlib.crc32(payload)]
    return Frame(0, payload, msgspec.json.encode([section]).decode())


def parse(*frames: Frame, **changes: Any) -> Any:
    return parse_rows(frames, msgspec.structs.replace(SETTINGS, **changes), EVERYTHING)


def n_records(parsed: Any) -> int:
    return sum(map(len, parsed.columns))


@given(st.lists(trade_rows, min_size=1, max_size=30))
def test_lean_trades_mean_what_plain_python_reads(rows: list[Any]) -> None:
    rows.sort(key=lambda row: row[0])
    text = "\n".join(",".join(map(str, row)) for row in rows)
    [trades] = parse(frame_of(text.encode())).columns
    for at, (cells, trade) in enumerate(zip(csv.reader(io.StringIO(text)), trades.to_records(), strict=True)):
        assert trade.ts_event_ns == MIDNIGHT_NS + int(cells[0]) * 1_000_000
        assert trade.price == float(Fraction(int(cells[1]), 10_000))
        assert trade.size == float(cells[2])
        assert trade.conditions == cells[4]
        assert bool(trade.flags & OHLC_BITS) == (cells[5] == "0" and not int(cells[4] or "0", 16) & NO_OHLC)
        assert bool(trade.flags & 4) == (cells[5] == "0")
        assert trade.event_id == at


@given(st.lists(good_lines | odd_lines | mangled_lines, max_size=30), st.sampled_from(["trades", "quotes"]))
def test_every_lean_line_is_accounted_for(lines: list[bytes], kind: str) -> None:
    payload = b"".join(line + b"\n" for line in lines)
    parsed = parse(frame_of(payload, kind=kind))
    assert_sound(parsed)
    blanks = parsed.unknown.get("line:blank", 0)
    assert n_records(parsed) + len(parsed.rejected) + blanks == len(lines)
    assert sorted(found.payload for found in parsed.rejected) == sorted(
        found.payload for line in lines for found in parse(frame_of(line + b"\n", kind=kind)).rejected
    )


@given(st.lists(good_lines | mangled_lines, max_size=12))
def test_neighbours_do_not_change_what_a_lean_line_means(lines: list[bytes]) -> None:
    lines.sort(key=lambda line: line.split(b",")[0].zfill(9))
    together = parse(frame_of(b"".join(line + b"\n" for line in lines)))
    alone = [parse(frame_of(line, first_row=row)) for row, line in enumerate(lines)]
    records = [record for part in alone for columns in part.columns for record in columns.to_records()]
    found = [record for columns in together.columns for record in columns.to_records()]
    assert sorted(found, key=lambda record: record.event_id) == records


@given(
    st.binary(max_size=200),
    st.sampled_from(["lean", "csv", "parquet"]),
    st.sampled_from(["trades", "quotes"]),
)
def test_no_bytes_make_a_parser_raise(payload: bytes, form: str, kind: str) -> None:
    parsed = parse(frame_of(payload, form, kind))
    assert_sound(parsed)
    assert parse(frame_of(payload, form, kind), frame_of(payload, form, kind)).unknown == {
        label: 2 * count for label, count in parsed.unknown.items()
    }


@given(st.binary(max_size=100), st.text(max_size=100))
def test_no_origin_makes_the_parser_raise(payload: bytes, origin: str) -> None:
    parsed = parse(Frame(0, payload, origin))
    assert_sound(parsed)
    assert len(parsed.rejected) == (0 if origin == "[]" and not payload else 1)


cells = st.one_of(
    st.sampled_from(["IBM", "1.5", "0", "-1", "", "nan", "1e400", "5", "17044650000", '"', "a\x00b", "é"]),
    st.text(st.characters(exclude_characters="\n"), max_size=8),
    st.integers(-(2**70), 2**70).map(str),
    st.floats().map(repr),
)


@given(st.lists(st.lists(cells, min_size=3, max_size=5), max_size=12), st.sampled_from(["", "ms"]))
def test_every_csv_line_is_accounted_for(rows: list[list[str]], unit: str) -> None:
    header = b"symbol,ts_event_ns,price,size\n"
    lines = [",".join(row).encode(errors="surrogatepass") for row in rows]
    parsed = parse(frame_of(header + b"".join(line + b"\n" for line in lines), "csv"), time_unit=unit)
    assert_sound(parsed)
    blanks = parsed.unknown.get("line:blank", 0)
    assert n_records(parsed) + len(parsed.rejected) + blanks == len(lines)


@given(
    st.lists(
        st.tuples(
            st.from_regex(r"[A-Z]{1,5}(\.[AB])?", fullmatch=True),
            st.integers(0, 7_258_118_399_999),
            st.floats(1e-6, 1e9),
            st.floats(0, 1e9),
        ),
        min_size=1,
        max_size=20,
    )
)
def test_csv_values_mean_what_plain_python_reads(rows: list[Any]) -> None:
    rows.sort(key=lambda row: row[1])
    text = "\n".join(["symbol,ts_event_ns,price,size", *(",".join(map(str, row)) for row in rows)])
    [trades] = parse(frame_of(text.encode(), "csv"), time_unit="ms").columns
    assert [
        (trade.symbol, trade.ts_event_ns // 10**6, trade.price, trade.size) for trade in trades.to_records()
    ] == rows


@settings(max_examples=40)
@given(
    st.lists(st.lists(st.integers(0, 500), min_size=1, max_size=60), min_size=1, max_size=5),
    st.integers(0, 9),
)
def test_merging_keeps_every_row_and_the_order_of_time(files: list[list[int]], width_ms: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        sources = []
        for index, times in enumerate(files):
            path = Path(folder) / f"{index}.zip"
            with zipfile.ZipFile(path, "w") as archive:
                # Long lines, so that a few of them fill what is read at once.
                lines = "".join(f"{ms},1,1,N,1,0{' ' * 2_000}\n" for ms in sorted(times))
                archive.writestr(f"20131007_s{index}_Trade_Tick.csv", lines)
            sources.append(open_lean(identify_lean(path)))
        frames = [frame for _, frame in merge(sources, width_ms * 10**6)]
    seen: dict[str, list[int]] = {}
    latest = -1
    for frame in frames:
        at = 0
        times_here = []
        for section in msgspec.json.decode(frame.origin):
            lines_here = frame.payload[at : at + section[3]].split(b"\n")[:-1]
            at += section[3]
            times_of = [int(line.split(b",")[0]) for line in lines_here]
            mine = seen.setdefault(section[5], [])
            assert section[2] == len(mine)
            mine += times_of
            times_here += times_of
        assert min(times_here) >= latest
        latest = max(times_here)
        if width_ms:
            assert latest - min(times_here) <= width_ms
    assert [seen[f"S{index}"] for index in range(len(files))] == [sorted(times) for times in files]


@given(
    st.lists(st.tuples(st.integers(0, 2**62), st.binary(max_size=50) | st.text().map(str.encode)), min_size=1)
)
def test_a_capture_reads_back_as_it_was_written(rows: list[tuple[int, bytes]]) -> None:
    frames = [Frame(ts_recv_ns, payload) for ts_recv_ns, payload in sorted(rows, key=lambda row: row[0])]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.ndjson"
        path.write_bytes(b"".join(encode_capture("nimbus", frame) for frame in frames))
        assert [frame for _, frame in read_captures([path], "nimbus")] == frames


@pytest.mark.parametrize("cut", [0, 1, 100])
def test_a_damaged_part_of_parquet_is_rejected_whole(cut: int) -> None:
    frame = frame_of(b"x" * 200, "parquet")
    damaged = Frame(0, frame.payload[:cut] + b"y" + frame.payload[cut + 1 :], frame.origin)
    assert [found.reason for found in parse(damaged).rejected] == ["bad_checksum"]
