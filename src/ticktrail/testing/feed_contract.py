"""What every feed must do, as checks that its author runs.

Describe the feed by `FeedCase`, then run every check on it, for example with pytest::

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    def test_my_feed_keeps_the_contract(check):
        check(CASE)

A check raises AssertionError and says what was expected. None needs a network beyond loopback.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np

from ticktrail.clock import NS_PER_SECOND
from ticktrail.errors import FeedDisconnected, TicktrailError
from ticktrail.feeds import Feed, Frame, Parsed
from ticktrail.model import TEXT_BYTES_MAX, Columns, Record, column_dtypes

__all__ = ["CHECKS", "FeedCase", "assert_sound", "records_of"]

_DAY_NS = 86_400 * NS_PER_SECOND
_REASON = re.compile(r"[a-z][a-z0-9_]*")
_SERVER_TIMEOUT_S = 20.0
# Enough cuts and flips to meet every field of a frame of some hundred bytes.
_MUTATIONS_PER_FRAME = 150


@dataclass(frozen=True, kw_only=True)
class FeedCase:
    """One feed, and what it is to make of some frames.

    Parameters
    ----------
    name
        For the test's id.
    make
        Builds the feed; touches no network and remembers nothing from one call to the next.
    frames
        As the venue sends them, all sound.
    records
        What they hold, in the order of the frames; the order between record types does not matter.
    unknown
        What `Parsed.unknown` must be for `frames`.
    broken
        Frames with something wrong in each; none holds a sound record.
    serve
        Serves frames to one connection after another as the venue would, then closes it. Entered, it
        gives a function that builds a feed which dials it. None leaves out the checks of the connection.
    ends
        Whether the source ends by itself: `receive` then gives None instead of raising.
    """

    name: str
    make: Callable[[], Feed]
    frames: tuple[Frame, ...]
    records: tuple[Record, ...]
    unknown: dict[str, int] = field(default_factory=dict)
    broken: tuple[Frame, ...] = ()
    serve: Callable[[Sequence[Frame]], AbstractAsyncContextManager[Callable[[], Feed]]] | None = None
    ends: bool = False


def check_records(case: FeedCase) -> None:
    """Assert that the frames give exactly the expected records, and nothing is rejected."""
    parsed = case.make().parse(case.frames)
    assert not parsed.rejected, f"sound frames were rejected: {parsed.rejected}"
    assert dict(parsed.unknown) == case.unknown, f"unknown is {dict(parsed.unknown)}, not {case.unknown}"
    expected = _by_type(case.records)
    assert records_of(parsed) == expected, f"got {records_of(parsed)}, expected {expected}"


def check_columns(case: FeedCase) -> None:
    """Assert well-formed columns: types, widths, times, identities, and the feed's own name."""
    feed = case.make()
    parsed = feed.parse(case.frames)
    assert_sound(parsed)
    for columns in parsed.columns:
        assert set(columns["feed"].tolist()) == {feed.name.encode()}, f"feed is not {feed.name}"


def check_batches(case: FeedCase) -> None:
    """Assert that batching does not matter: one by one, frames give what all together give."""
    together = case.make().parse(case.frames)
    feed = case.make()
    single = [feed.parse([frame]) for frame in case.frames]
    joined: dict[type, list[Any]] = {}
    for parsed in single:
        for record, rows in records_of(parsed).items():
            joined.setdefault(record, []).extend(rows)
    assert joined == records_of(together), "parsing frame by frame gives other records"


def check_replay(case: FeedCase) -> None:
    """Assert that a replay gives the same records, whose receive time alone follows the clock."""
    first = records_of(case.make().parse(case.frames))
    assert records_of(case.make().parse(case.frames)) == first, "a second parse gives other records"
    later = [
        Frame(frame.ts_recv_ns + NS_PER_SECOND if frame.ts_recv_ns else 0, frame.payload, frame.origin)
        for frame in case.frames
    ]
    moved = records_of(case.make().parse(later))
    assert {kind: [_timeless(row) for row in rows] for kind, rows in moved.items()} == {
        kind: [_timeless(row) for row in rows] for kind, rows in first.items()
    }, "the identity or content of records depends on when they were received"


def check_nothing(case: FeedCase) -> None:
    """Assert that no frames give no records."""
    parsed = case.make().parse([])
    assert not any(map(len, parsed.columns)), "records were made of nothing"
    assert not parsed.rejected
    assert not parsed.unknown


def check_broken(case: FeedCase) -> None:
    """Assert that a broken frame is accounted for and costs the sound ones around it nothing."""
    for frame in case.broken:
        alone = case.make().parse([frame])
        assert not any(map(len, alone.columns)), f"records were made of {frame.payload!r}"
        assert alone.rejected or alone.unknown, f"{frame.payload!r} was dropped without a trace"
        assert_sound(alone)
        among = case.make().parse([frame, *case.frames, frame])
        assert records_of(among) == _by_type(case.records), f"{frame.payload!r} harmed its neighbours"
        assert len(among.rejected) == 2 * len(alone.rejected)


def check_any_bytes(case: FeedCase) -> None:
    """Assert that no bytes make the parser raise or give columns that are not well formed."""
    rng = random.Random(20_260_105)  # noqa: S311
    payloads = [b"", b"\0", b"[", b"{}", b"null", b"\xff\xfe", b"[" * 50_000, rng.randbytes(1_000)]
    for frame in case.frames:
        payload = frame.payload
        for _ in range(_MUTATIONS_PER_FRAME):
            cut = payload[: rng.randrange(len(payload) + 1)]
            flipped = bytearray(payload)
            if flipped:
                flipped[rng.randrange(len(flipped))] = rng.randrange(256)
            payloads += [cut, bytes(flipped)]
    origins = {frame.origin for frame in case.frames} or {""}
    feed = case.make()
    for origin in sorted(origins):
        for payload in payloads:
            assert_sound(feed.parse([Frame(1, payload, origin)]))


def check_close(case: FeedCase) -> None:
    """Assert that closing is safe before connecting, and twice."""

    async def close_twice() -> None:
        feed = case.make()
        await feed.close()
        await feed.close()

    asyncio.run(close_twice())


def check_connection(case: FeedCase) -> None:
    """Assert that frames arrive once, in order, stamped, also after cancelled waits and a reconnect."""
    if case.serve is None:
        return
    serve = case.serve

    async def connect_twice() -> None:
        async with asyncio.timeout(_SERVER_TIMEOUT_S), serve(case.frames) as make:
            feed = make()
            try:
                for _ in range(2):
                    await feed.connect()
                    frames = await _receive_all(feed, ends=case.ends)
                    payloads = [frame.payload for frame in frames]
                    assert payloads == [frame.payload for frame in case.frames], "frames differ"
                    stamps = [frame.ts_recv_ns for frame in frames]
                    assert case.ends or min(stamps) > 0, "a frame has no receive time"
                    assert stamps == sorted(stamps), "receive times step back"
            finally:
                await feed.close()

    asyncio.run(connect_twice())


CHECKS: tuple[Callable[[FeedCase], None], ...] = (
    check_records,
    check_columns,
    check_batches,
    check_replay,
    check_nothing,
    check_broken,
    check_any_bytes,
    check_close,
    check_connection,
)


def assert_sound(parsed: Parsed) -> None:
    """Assert what holds for the result of any parse, whatever the frames were."""
    types = [columns.record for columns in parsed.columns]
    assert len(types) == len(set(types)), "several columns of one record type"
    for columns in parsed.columns:
        _assert_sound_columns(columns)
    for rejected in parsed.rejected:
        assert isinstance(rejected.payload, bytes)
        assert _REASON.fullmatch(rejected.reason), f"{rejected.reason!r} is no bounded label"
    assert all(count > 0 for count in parsed.unknown.values())
    assert len(parsed.unknown) < 1_000, "the labels of unknown things are not bounded"
    assert all(isinstance(notice, TicktrailError) for notice in parsed.notices)


def records_of(parsed: Parsed) -> dict[type, list[Any]]:
    """Give the records by type, with NaN replaced by None so that they compare equal."""
    return {
        columns.record: [_comparable(row) for row in columns.to_records()]
        for columns in parsed.columns
        if len(columns)
    }


def _by_type(records: Sequence[Record]) -> dict[type, list[Any]]:
    result: dict[type, list[Any]] = {}
    for record in records:
        result.setdefault(type(record), []).append(_comparable(record))
    return result


def _comparable(record: Any) -> Any:
    absent = {
        name: None
        for name in record.__struct_fields__
        if isinstance(getattr(record, name), float) and np.isnan(getattr(record, name))
    }
    return msgspec.structs.replace(record, **absent)


def _timeless(record: Any) -> Any:
    return msgspec.structs.replace(record, ts_recv_ns=0) if hasattr(record, "ts_recv_ns") else record


def _assert_sound_columns(columns: Columns[Any]) -> None:
    name = columns.record.__name__
    record: type[Record] = columns.record
    for field_name, dtype in column_dtypes(record).items():
        column = columns[field_name]
        assert column.shape == (len(columns),), f"{name}.{field_name} has the shape {column.shape}"
        if dtype.kind == "S":
            assert column.dtype.kind == "S", f"{name}.{field_name} is no text"
            assert column.dtype.itemsize <= TEXT_BYTES_MAX, f"{name}.{field_name} is too wide"
        else:
            assert column.dtype == dtype, f"{name}.{field_name} is {column.dtype}, not {dtype}"
    columns.to_records()  # every text is UTF-8
    if not len(columns):
        return
    assert all(columns["symbol"].tolist()), f"a {name} has no symbol"
    time_name = "ts_event_ns" if "ts_event_ns" in columns.data else "ts_open_ns"
    ts_event_ns = columns[time_name]
    assert ts_event_ns.min() >= 0, f"a {name} is from before 1970"
    assert np.abs(columns["day"] - ts_event_ns // _DAY_NS).max() <= 1, f"a {name} has another day"
    if "event_id" in columns.data:
        assert columns["event_id"].min() >= 0, f"a {name} has a negative event id"
        assert (columns["ts_ns"] <= ts_event_ns).all(), f"ts_ns of a {name} is after ts_event_ns"


async def _receive_all(feed: Feed, *, ends: bool) -> list[Frame]:
    frames: list[Frame] = []
    while True:
        waiting = asyncio.ensure_future(feed.receive())
        await asyncio.sleep(0)
        waiting.cancel()  # whoever waits may be stopped at any time; what it would have got must not be lost
        try:
            frame = await waiting
        except asyncio.CancelledError:
            try:
                frame = await feed.receive()
            except FeedDisconnected:
                assert not ends
                return frames
        except FeedDisconnected:
            assert not ends
            return frames
        if frame is None:
            assert ends, "receive gave None, but the connection does not end by itself"
            return frames
        frames.append(frame)
