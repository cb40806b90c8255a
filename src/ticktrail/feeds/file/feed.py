"""Recorded files as a feed.

Guarantee: every row of every file comes once per `connect`, in the order of time over all files (see
`ticktrail.feeds.file.merge`). Identities depend on the rows alone, so reading files again, or some of them
in another company, changes nothing in the store.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec

from ticktrail.clock import NS_PER_MS, NS_PER_SECOND, Clock
from ticktrail.config import convert_section
from ticktrail.errors import FeedDisconnected, FileFormatError
from ticktrail.feeds.base import ALL_SYMBOLS, Frame, Parsed, Subscription
from ticktrail.feeds.file.captures import captured_feed, read_captures
from ticktrail.feeds.file.config import FEED_NAME, LEAN_FEED_NAME, FileSettings, Format, speed_factor
from ticktrail.feeds.file.delimited import open_csv
from ticktrail.feeds.file.lean_file import identify_lean, open_lean
from ticktrail.feeds.file.merge import merge
from ticktrail.feeds.file.parquet import open_parquet
from ticktrail.feeds.file.parse import Parser, parse_captured, parse_rows
from ticktrail.feeds.file.scan import find_files
from ticktrail.feeds.file.source import Source

__all__ = ["FileFeed", "make_feed"]

# At a given speed a frame comes when its last row is due, so that this is how late a row is at most.
_PACED_WIDTH_NS = 100 * NS_PER_MS


class FileFeed:
    """One or many files, replayed.

    `connect` looks at every file before the first row is read; `receive` ends with None; `connect`
    after `close` begins anew.

    Parameters
    ----------
    settings
        Checked.
    subscription
        Symbols and kinds that are wanted; the rest is passed over, counted where it is within a file.
    clock
        Paces the frames, unless the speed is ``"max"``.
    parser_of
        Gives the parser of another feed by its name, for captures.

    Attributes
    ----------
    name
        The `feed` of the records.
    """

    is_live = False

    def __init__(
        self,
        settings: FileSettings,
        subscription: Subscription,
        clock: Clock,
        parser_of: Callable[[str], Parser],
    ) -> None:
        self._subscription = subscription
        self._clock = clock
        self._speed = speed_factor(settings.speed)
        self._width_ns = max(int(_PACED_WIDTH_NS * self._speed), 1) if self._speed else 0
        self._parser_of = parser_of
        self._is_capture, self.name = _identify(settings)
        self._settings = msgspec.structs.replace(settings, feed_name=self.name)
        self._parser: Parser | None = None
        self._reader: ThreadPoolExecutor | None = None
        self._frames: Iterator[tuple[int, Frame]] = iter(())
        self._next: asyncio.Future[tuple[int, Frame] | None] | None = None
        self._first: tuple[int, int] | None = None  # event time and monotonic time of the beginning

    async def connect(self) -> None:
        """Find the files and check each one's header.

        Raises
        ------
        FileFormatError
            There is nothing to read, or a file is not what its name promises.
        """
        await self.close()
        self._frames = await asyncio.to_thread(self._open)
        self._reader = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ticktrail-file")
        self._first = None
        self._next = self._read_ahead()

    async def receive(self) -> Frame | None:
        """Give the next frame when it is due; None at the end.

        Raises
        ------
        FileFormatError
            A file is damaged. Every row before the damage was returned.
        """
        if self._next is None:
            raise FeedDisconnected(
                what=f"Feed {self.name} is not connected",
                why="it was closed, or never opened",
                next_step="Connect first.",
                feed=self.name,
            )
        # Shielded, and kept until it is due: whoever cancels this call gets the same frame next time.
        found = await asyncio.shield(self._next)
        if found is None:
            return None
        until_ns, frame = found
        if self._speed:
            await self._wait_until_due(until_ns)
        self._next = self._read_ahead()
        return frame

    def parse(self, frames: Sequence[Frame]) -> Parsed:
        if not self._is_capture:
            return parse_rows(frames, self._settings, self._subscription)
        if self._parser is None:
            self._parser = self._parser_of(self.name)
        return parse_captured(frames, self._parser)

    async def close(self) -> None:
        reader, self._reader = self._reader, None
        pending, self._next = self._next, None
        if reader is None:
            return
        # Waits for the frame being read, some milliseconds; the thread must not outlive the feed.
        await asyncio.to_thread(reader.shutdown, cancel_futures=True)
        if pending is not None and not pending.cancelled():
            await asyncio.wait([pending])
            if not pending.cancelled():
                pending.exception()  # seen by nobody any more
        self._frames = iter(())

    def _read_ahead(self) -> asyncio.Future[tuple[int, Frame] | None]:
        assert self._reader is not None
        return asyncio.get_running_loop().run_in_executor(self._reader, next, self._frames, None)

    async def _wait_until_due(self, until_ns: int) -> None:
        if self._first is None:
            self._first = (until_ns - self._width_ns, self._clock.monotonic_ns())
        first_ns, started_ns = self._first
        due_ns = started_ns + int((until_ns - first_ns) / self._speed)
        while (left_ns := due_ns - self._clock.monotonic_ns()) > 0:
            await self._clock.sleep(left_ns / NS_PER_SECOND)

    def _open(self) -> Iterator[tuple[int, Frame]]:
        form, paths = find_files(self._settings)
        if form == "capture":
            return read_captures(paths, captured_feed(paths))
        return merge(self._sources(form, paths), self._width_ns)

    def _sources(self, form: Format, paths: Sequence[Path]) -> list[Source]:
        kinds, symbols = self._subscription.kinds, self._subscription.symbols
        sources: list[Source]
        if form == "lean":
            files = [identify_lean(path) for path in paths]
            wanted = [
                file
                for file in files
                if file.kind in kinds and (ALL_SYMBOLS in symbols or file.symbol in symbols)
            ]
            sources = [open_lean(file) for file in wanted]
            held = sorted({f"{file.kind} of {file.symbol}" for file in files})
        else:
            open_table = open_csv if form == "csv" else open_parquet
            tables = [open_table(path, self._settings) for path in paths]
            sources = [table for table in tables if table.kind in kinds]
            held = sorted({table.kind for table in tables})
        if not sources:
            raise _nothing_wanted(self._settings.paths, self._subscription, held)
        return sources


def make_feed(settings: Mapping[str, Any], subscription: Subscription, clock: Clock) -> FileFeed:
    """Build the feed from ``[feeds.file]``; see `FileSettings`.

    Raises
    ------
    ConfigError
        A setting is unknown, missing or of the wrong type.
    """
    config = convert_section(settings, FileSettings, path="feeds.file")

    def parser_of(feed: str) -> Parser:
        # By name, not by import: vendors do not know each other, and the registry names this feed too.
        entry = importlib.import_module("ticktrail.feeds.registry").get(feed)
        parser: Parser = entry.load()({**entry.parse_settings, **config.captured}, subscription, clock).parse
        return parser

    return FileFeed(config, subscription, clock, parser_of)


def _identify(settings: FileSettings) -> tuple[bool, str]:
    """Tell whether these are captures, and the `feed` of the records."""
    if settings.format in ("lean", "csv", "parquet"):
        return False, settings.feed_name or (LEAN_FEED_NAME if settings.format == "lean" else FEED_NAME)
    try:
        form, paths = find_files(settings)
        if form == "capture":
            return True, captured_feed(paths)
    except FileFormatError:
        form = "csv"  # `connect` will say what is wrong
    return False, settings.feed_name or (LEAN_FEED_NAME if form == "lean" else FEED_NAME)


def _nothing_wanted(paths: Sequence[str], subscription: Subscription, held: Sequence[str]) -> FileFormatError:
    few = ", ".join(held[:8]) + (f" and {len(held) - 8} more" if len(held) > 8 else "")
    return FileFormatError(
        what=f"Found no {' or '.join(subscription.kinds)} of {', '.join(subscription.symbols)}"
        f" in {', '.join(paths)}",
        why=f"there are {few}",
        next_step="Ask for what is there, or for all symbols (*).",
        path=paths[0],
    )
