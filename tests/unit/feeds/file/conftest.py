"""Small files of every format, and a way to replay them."""

from __future__ import annotations

import asyncio
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from ticktrail.feeds import Frame, Parsed, Subscription
from ticktrail.feeds.file import FileFeed, make_feed
from ticktrail.testing import FakeClock

Replay = Callable[..., tuple[FileFeed, list[Frame], Parsed]]
WriteLean = Callable[..., Path]


@pytest.fixture
def write_lean(tmp_path: Path) -> WriteLean:
    """Write a LEAN zip of some lines below `tmp_path`, where LEAN keeps it."""

    def write(symbol: str, day: str, kind: str, lines: Sequence[str], end: str = "\n") -> Path:
        path = tmp_path / symbol / f"{day}_{kind}.zip"
        path.parent.mkdir(exist_ok=True)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(f"{day}_{symbol}_{kind.title()}_Tick.csv", end.join(lines))
        return path

    return write


@pytest.fixture
def replay() -> Replay:
    """Read files through the whole feed: its frames, and what they held, parsed together."""

    def run(
        path: Any, symbols: Sequence[str] = ("*",), **settings: Any
    ) -> tuple[FileFeed, list[Frame], Parsed]:
        text = [str(part) for part in path] if isinstance(path, list) else str(path)
        feed = make_feed({"path": text, **settings}, Subscription(symbols=tuple(symbols)), FakeClock())
        frames = asyncio.run(drain(feed))
        return feed, frames, feed.parse(frames)

    return run


async def drain(feed: FileFeed) -> list[Frame]:
    """Receive to the end."""
    await feed.connect()
    try:
        frames = []
        while (frame := await feed.receive()) is not None:
            frames.append(frame)
        return frames
    finally:
        await feed.close()
