"""Many files are one feed: in the order of time, at a pace, and safe to interrupt."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ticktrail.clock import NS_PER_SECOND
from ticktrail.errors import FeedDisconnected, FileFormatError
from ticktrail.feeds import Frame, Parsed, Subscription
from ticktrail.feeds.file import FileFeed, FileSettings, encode_capture, make_feed
from ticktrail.model import Columns, Quote, Trade
from ticktrail.testing import FakeClock


def lean_lines(seed: int, n: int, kind: str) -> list[str]:
    """Rows in the order of time, many of them at one time."""
    times = np.sort(np.random.default_rng(seed).integers(34_200_000, 57_600_000, n)) // 100 * 100
    cells = "{},1000000,{},N,1,0" if kind == "trade" else "{},1000000,{},0,0,N,1,0"
    return [cells.format(time, row + 1) for row, time in enumerate(times.tolist())]


def test_files_are_merged_in_the_order_of_time(write_lean: Any, replay: Any, tmp_path: Path) -> None:
    sizes = {("ibm", "trade"): 40_000, ("bac", "trade"): 700, ("aig", "trade"): 1, ("bac", "quote"): 20_000}
    for seed, ((symbol, kind), n) in enumerate(sizes.items()):
        write_lean(symbol, "20131007", kind, lean_lines(seed, n, kind))
    write_lean("ibm", "20131008", "trade", lean_lines(9, 500, "trade"))
    feed, frames, _ = replay(tmp_path)
    assert len(frames) > 3
    latest_ns = 0
    columns: list[Columns[Any]] = []
    for frame in frames:
        held = feed.parse([frame]).columns
        columns += held
        ends = [int(found["ts_event_ns"][-1]) for found in held]
        for found in held:
            assert (np.diff(found["ts_event_ns"]) >= 0).all()
            # No row is earlier than any of the frames before it, of either kind.
            assert found["ts_event_ns"][0] >= latest_ns
        latest_ns = max(latest_ns, *ends)
    trades = Columns.concat([found for found in columns if found.record is Trade])
    quotes = Columns.concat([found for found in columns if found.record is Quote])
    for name, n in ((b"IBM", 40_500), (b"BAC", 700), (b"AIG", 1)):
        mine = trades.take(trades["symbol"] == name)
        assert len(mine) == n
        per_day = [mine["event_id"][mine["day"] == day].tolist() for day in np.unique(mine["day"])]
        assert all(rows == list(range(len(rows))) for rows in per_day)
    assert quotes["event_id"].tolist() == list(range(20_000))


def test_a_file_out_of_order_still_comes_whole(write_lean: Any, replay: Any) -> None:
    lines = lean_lines(1, 30_000, "trade")
    path = write_lean("ibm", "20131007", "trade", lines[::-1])
    other = write_lean("bac", "20131007", "trade", lines[:100])
    _, _, parsed = replay([path, other])
    [trades] = parsed.columns
    assert sorted(trades["event_id"][trades["symbol"] == b"IBM"].tolist()) == list(range(30_000))
    assert len(trades) == 30_100


def test_only_symbols_and_kinds_asked_for_are_opened(write_lean: Any, replay: Any, tmp_path: Path) -> None:
    write_lean("ibm", "20131007", "trade", ["1,1,1,N,1,0"])
    write_lean("bac", "20131007", "trade", ["1,1,1,N,1,0"])
    _, _, parsed = replay(tmp_path, symbols=("BAC",))
    assert parsed.columns[0]["symbol"].tolist() == [b"BAC"]
    with pytest.raises(FileFormatError) as caught:
        replay(tmp_path, symbols=("AAPL",))
    assert "trades of BAC, trades of IBM" in caught.value.why


def test_nothing_to_read_is_an_error(tmp_path: Path, replay: Any) -> None:
    (tmp_path / "readme.txt").write_text("nothing")
    (tmp_path / ".hidden.csv").write_text("nothing")
    for path in (tmp_path, tmp_path / "absent"):
        with pytest.raises(FileFormatError) as caught:
            replay(path)
        assert caught.value.next_step


def test_several_formats_are_refused_unless_one_is_chosen(
    write_lean: Any, replay: Any, tmp_path: Path
) -> None:
    write_lean("ibm", "20131007", "trade", ["1,1,1,N,1,0"])
    (tmp_path / "t.csv").write_text("symbol,ts_event_ns,price,size\nIBM,5,1,1\n")
    with pytest.raises(FileFormatError, match="csv, lean"):
        replay(tmp_path)
    feed, _, parsed = replay(tmp_path, format="csv")
    assert feed.name == "file"
    assert len(parsed.columns[0]) == 1


def test_frames_are_paced_by_event_time(write_lean: Any) -> None:
    path = write_lean("ibm", "20131007", "trade", [f"{34_200_000 + 250 * i},1,1,N,1,0" for i in range(41)])
    clock = FakeClock()

    async def play() -> list[tuple[int, int]]:
        feed = make_feed({"path": str(path), "speed": "2x"}, Subscription(symbols=("*",)), clock)
        await feed.connect()
        started_ns = clock.monotonic_ns()
        seen = []
        while (frame := await feed.receive()) is not None:
            last_ns = int(feed.parse([frame]).columns[0]["ts_event_ns"][-1])
            seen.append((clock.monotonic_ns() - started_ns, last_ns))
        await feed.close()
        return seen

    seen = asyncio.run(play())
    assert len(seen) > 20
    # Ten seconds of the market in five, and no frame before its last row is due.
    assert seen[-1][0] == pytest.approx(5 * NS_PER_SECOND, rel=0.05)
    assert all(waited >= (last - seen[0][1]) / 2 - 1 for waited, last in seen)


def test_a_cancelled_receive_loses_no_frame(write_lean: Any) -> None:
    path = write_lean("ibm", "20131007", "trade", lean_lines(1, 40_000, "trade"))

    async def play() -> int:
        feed = make_feed({"path": str(path)}, Subscription(symbols=("*",)), FakeClock())
        await feed.connect()
        rows = 0
        while True:
            hasty = asyncio.ensure_future(feed.receive())
            await asyncio.sleep(0)
            hasty.cancel()
            frame = (await asyncio.gather(hasty, return_exceptions=True))[0]
            if isinstance(frame, asyncio.CancelledError):
                frame = await feed.receive()
            if frame is None:
                break
            assert isinstance(frame, Frame)
            rows += len(feed.parse([frame]).columns[0])
        await feed.close()
        return rows

    assert asyncio.run(play()) == 40_000


def test_the_end_stays_the_end_and_connecting_again_begins_anew(write_lean: Any) -> None:
    path = write_lean("ibm", "20131007", "trade", ["1,1,1,N,1,0"])

    async def play() -> None:
        feed = make_feed({"path": str(path)}, Subscription(symbols=("*",)), FakeClock())
        await feed.close()
        with pytest.raises(FeedDisconnected):
            await feed.receive()
        for _ in range(2):
            await feed.connect()
            assert await feed.receive() is not None
            assert await feed.receive() is None
            assert await feed.receive() is None
        await feed.close()
        await feed.close()

    asyncio.run(play())


def echo_parser(seen: list[Frame]) -> Any:
    def parse(frames: Any) -> Parsed:
        seen.extend(frames)
        return Parsed()

    return lambda feed: parse if feed == "nimbus" else pytest.fail(feed)


def test_a_capture_gives_the_frames_as_they_were_received(tmp_path: Path) -> None:
    frames = [Frame(10, b'[{"T":"t"}]'), Frame(20, b"\xff\x00", "here"), Frame(40, "ü".encode())]
    late = Frame(30, b"from the other file")
    (tmp_path / "a.ndjson").write_bytes(b"".join(encode_capture("nimbus", frame) for frame in frames))
    broken = [
        b'{"feed":"other","ts_recv_ns":1,"payload":""}',
        b"{nonsense",
        b'{"feed":"nimbus","ts_recv_ns":-1}',
    ]
    lines = [encode_capture("nimbus", late), *(line + b"\n" for line in broken)]
    (tmp_path / "b.ndjson").write_bytes(b"".join(lines))
    seen: list[Frame] = []
    feed = FileFeed(
        FileSettings(path=str(tmp_path)), Subscription(symbols=("*",)), FakeClock(), echo_parser(seen)
    )

    async def play() -> list[Frame]:
        await feed.connect()
        found = []
        while (frame := await feed.receive()) is not None:
            found.append(frame)
        await feed.close()
        return found

    parsed = feed.parse(asyncio.run(play()))
    assert feed.name == "nimbus"
    assert seen == [frames[0], frames[1], late, frames[2]]
    assert sorted((found.payload, found.reason) for found in parsed.rejected) == sorted(
        (line, "bad_line") for line in broken
    )
    assert "line 2 of b.ndjson" in parsed.rejected[0].detail


def test_a_capture_line_is_plain_json() -> None:
    line = encode_capture("alpaca", Frame(5, b'[{"T":"t"}]'))
    assert json.loads(line) == {"feed": "alpaca", "ts_recv_ns": 5, "payload": '[{"T":"t"}]'}


def test_what_is_no_capture_is_refused(tmp_path: Path, replay: Any) -> None:
    (tmp_path / "a.ndjson").write_text('{"some":"json"}\n')
    with pytest.raises(FileFormatError, match="no capture"):
        replay(tmp_path)
