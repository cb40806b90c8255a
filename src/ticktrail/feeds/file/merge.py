"""Many files as one stream of frames in the order of time.

Guarantee: if the rows of each file are in the order of their times, then so is the whole stream, over all
files and kinds: no row of a frame is earlier than any row of the frames before it, and `parse` orders the
rows inside a frame. So partition time, by which bars close, never runs ahead of a file that was read later.

A frame ends where the shortest part in memory ends, and holds the rows of all files up to there. That
file then reads more at a time, until frames are of a good size: busy files are read in large parts, quiet
ones in small parts, and memory stays small however many there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ticktrail.feeds.base import FRAME_BYTES_MAX, Frame
from ticktrail.feeds.file.section import Section, encode_origin
from ticktrail.feeds.file.source import Source

__all__ = ["FRAME_BYTES_GOOD", "merge"]

# Large enough that the cost per frame vanishes beside that per row; small enough for queues of frames.
FRAME_BYTES_GOOD = 512 * 1024

# Rows of one single instant can exceed a frame; they go into several.
_FRAME_BYTES_SPLIT = FRAME_BYTES_MAX // 2


def merge(sources: Iterable[Source], width_ns_max: int = 0) -> Iterator[tuple[int, Frame]]:
    """Read sources side by side.

    Parameters
    ----------
    sources
        In any order; each is opened when the stream reaches its start.
    width_ns_max
        The longest stretch of time that a frame may span; 0 for any.

    Yields
    ------
    Each frame with the time up to which it holds rows: nanoseconds since 1970 in UTC.

    Raises
    ------
    FileFormatError
        A file is damaged. What was read before has been yielded.
    """
    waiting = sorted(sources, key=lambda source: source.start_ns, reverse=True)
    active: list[Source] = []
    while waiting or active:
        if not active:
            active += _due(waiting, waiting[-1].start_ns)
        if not active:
            continue
        shortest = min(active, key=lambda source: source.last_ns)
        if late := _due(waiting, shortest.last_ns):
            active += late
            continue
        until_ns, positions = _cut(active, shortest.last_ns, width_ns_max)
        sizes = [source.size_to(at) for source, at in zip(active, positions, strict=True)]
        if until_ns == shortest.last_ns and sum(sizes) < FRAME_BYTES_GOOD:
            shortest.grow(FRAME_BYTES_GOOD)
        parts = [
            source.take(at) for source, at, size in zip(active, positions, sizes, strict=True) if size > 0
        ]
        yield from ((until_ns, frame) for frame in _frames(parts))
        active = [source for source in active if source.fill()]


def _due(waiting: list[Source], until_ns: int) -> list[Source]:
    """Take out and open the sources that start by then; those without a row are done already."""
    due: list[Source] = []
    while waiting and waiting[-1].start_ns <= until_ns:
        source = waiting.pop()
        if source.fill():
            due.append(source)
    return due


def _cut(active: Sequence[Source], last_ns: int, width_ns_max: int) -> tuple[int, list[int]]:
    """Find the positions up to `last_ns`, or to an earlier time if that would be too much."""
    start_ns = min(source.next_ns for source in active)
    until_ns = min(last_ns, start_ns + width_ns_max) if width_ns_max else last_ns
    while True:
        positions = [source.cut(until_ns) for source in active]
        size_bytes = sum(source.size_to(at) for source, at in zip(active, positions, strict=True))
        if size_bytes == 0:
            # A file that is not in the order of time: whatever of it is in memory must go.
            return last_ns, [source.cut(last_ns) for source in active]
        if size_bytes <= _FRAME_BYTES_SPLIT or until_ns <= start_ns:
            return until_ns, positions
        until_ns = start_ns + (until_ns - start_ns) // 2


def _frames(parts: list[tuple[Section, bytes]]) -> Iterator[Frame]:
    """Join parts, those of one kind side by side, into as few frames as their size allows."""
    parts.sort(key=lambda part: part[0].kind)
    sections: list[Section] = []
    payloads: list[bytes] = []
    size_bytes = 0
    for section, payload in parts:
        if sections and size_bytes + len(payload) > _FRAME_BYTES_SPLIT:
            yield Frame(0, b"".join(payloads), encode_origin(sections))
            sections, payloads, size_bytes = [], [], 0
        sections.append(section)
        payloads.append(payload)
        size_bytes += len(payload)
    if sections:
        yield Frame(0, b"".join(payloads), encode_origin(sections))
