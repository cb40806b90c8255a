"""Frames on disk, in order, while Kafka takes none.

A spool is a directory of segment files. A frame is appended to the last one: a header (magic, length of the
payload, checksum, time) and the payload. What is read back is exactly what was appended, in order, each at
least once: a segment is deleted only when every frame of it is done, so frames that were done and stood in a
segment with others that were not are read again after a restart.

Guarantee. A process that is killed loses nothing that `append` had returned for: the system has the write. A
machine that loses power loses at most what was appended in the last second: `fdatasync` runs at most that
often, and whenever a segment ends. A frame cut off by a kill (the torn tail) had never been appended; it is
left out and counted. A frame that was changed on disk is left out, counted and told with the times between
which it lay, and its segment is kept beside the others as ``NAME.damaged``. The spool never grows beyond its
bound: `append` raises instead.
"""

from __future__ import annotations

import os
import re
import struct
import zlib
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ticktrail.clock import NS_PER_SECOND, Clock

__all__ = ["SEGMENT_BYTES", "Damage", "Segment", "Spool", "SpoolFull", "Spooled", "segment_paths"]

# A segment that has reached this size is followed by another: read whole, and deleted whole.
SEGMENT_BYTES = 8 * 1024 * 1024

_HEADER = struct.Struct("<4sIIq")  # magic, payload's length, checksum, time
_CHECKED = struct.Struct("<Iq")
_MAGIC = b"tTs1"
_SYNC_EVERY_NS = NS_PER_SECOND
_SUFFIX = ".spool"
_NAME = re.compile(r"\d{10}-\d+" + re.escape(_SUFFIX))


class SpoolFull(Exception):
    """There is no room for the frame: the bound is reached, or the disk takes no more."""


@dataclass(eq=False)
class Segment:
    """One file.

    Parameters
    ----------
    number
        Segments are read in the order of their numbers.
    first_ns
        Time of its first frame.
    size_bytes
        What is in it.
    frames
        How many frames were appended; of one found at the start, how many were found in it.
    done
        How many of those need not be read again.
    is_complete
        Whether `frames` will not rise.
    is_own
        Whether this process wrote it.
    """

    path: Path
    number: int
    first_ns: int
    size_bytes: int = 0
    frames: int = 0
    done: int = 0
    is_complete: bool = False
    is_own: bool = False
    is_damaged: bool = False


class Spooled(NamedTuple):
    """A frame that was read."""

    segment: Segment
    payload: bytes
    ts_ns: int


class Damage(NamedTuple):
    """Frames that cannot be read any more: the times of those around them, and how many bytes."""

    path: Path
    from_ns: int
    to_ns: int
    size_bytes: int


class Spool:
    """One directory. Used by one thread at a time, of the one process that holds its lock.

    Parameters
    ----------
    directory
        Exists. Segments that are there already come before all that is appended.
    bytes_max
        Of all segments together.
    clock
        For the pace of `fdatasync`.

    Attributes
    ----------
    size_bytes
        Of all segments.
    lost_frames
        How many frames that this process appended could not be read so far.
    torn_bytes
        How much was cut off so far at the ends of segments.
    damages
        What could not be read, in order; the caller takes them away. `to_ns` of the last one is 0 as long as
        no frame behind it was read.
    """

    def __init__(
        self, directory: Path, bytes_max: int, clock: Clock, *, segment_bytes: int = SEGMENT_BYTES
    ) -> None:
        self._directory = directory
        self._bytes_max = bytes_max
        self._segment_bytes = segment_bytes
        self._clock = clock
        self._segments = [_segment_of(path) for path in segment_paths(directory)]
        self._next_number = self._segments[-1].number + 1 if self._segments else 1
        self.size_bytes = sum(segment.size_bytes for segment in self._segments)
        self._unread: deque[Segment] = deque(self._segments)
        self._read_bytes = 0  # of the first unread segment
        self._read_frames = 0
        self._loaded: deque[Spooled] = deque()
        self._last_ns = 0  # of the last frame that was read
        self._writing: Segment | None = None
        self._file = -1
        self._next_sync_ns = 0
        self.lost_frames = 0
        self.torn_bytes = 0
        self.damages: list[Damage] = []

    @property
    def is_read(self) -> bool:
        """Whether no frame waits to be read."""
        if self._loaded:
            return False
        return all(each is self._writing and each.size_bytes == self._read_bytes for each in self._unread)

    @property
    def oldest_ns(self) -> int | None:
        """Time of the oldest frame, read or not, that is kept; None where there is none."""
        return self._segments[0].first_ns if self._segments else None

    def append(self, payload: bytes, ts_ns: int) -> Segment:
        """Add a frame behind all others; give the segment to be told to `done`.

        Raises
        ------
        SpoolFull
            It was not added: the bound is reached, or the disk is full, read-only or broken.
        """
        frame = _frame(payload, ts_ns)
        if self.size_bytes + len(frame) > self._bytes_max:
            raise SpoolFull(f"{self.size_bytes} bytes of at most {self._bytes_max} are in use")
        try:
            segment = self._writable(ts_ns)
            _write(self._file, frame, segment.size_bytes)
        except OSError as error:
            # What was written of it is cut away if the disk allows; else it is a torn tail at the next start.
            self.end_segment()
            raise SpoolFull(f"{self._directory}: {error.strerror}") from error
        segment.size_bytes += len(frame)
        segment.frames += 1
        self.size_bytes += len(frame)
        if self._clock.monotonic_ns() >= self._next_sync_ns:
            self._sync()
        return segment

    def skip(self) -> None:
        """Let what was appended so far not be read: the caller has it. Everything before must be read."""
        while self._unread and self._unread[0] is not self._writing:
            self._delete_if_done(self._unread.popleft())  # nothing may be in it, when the disk was full
        self._read_bytes = self._writing.size_bytes if self._writing is not None else 0
        self._read_frames = self._writing.frames if self._writing is not None else 0

    def read(self) -> Spooled | None:
        """Read the next frame; None where none waits."""
        while not self._loaded:
            if self.is_read:
                return None
            self._load(self._unread[0])
        return self._loaded.popleft()

    def done(self, segment: Segment) -> None:
        """Say that one more frame of a segment need not be read again."""
        segment.done += 1
        self._delete_if_done(segment)

    def end_segment(self) -> None:
        """Let what is appended next begin a new segment, so that this one can go once it is done.

        Everything is on the disk then, as far as the system can tell.
        """
        segment, self._writing = self._writing, None
        if segment is None:
            return
        self._sync()
        os.close(self._file)
        segment.is_complete = True
        if self._unread[0] is segment and self._read_bytes == segment.size_bytes:
            self._pass_segment()
        self._delete_if_done(segment)

    def _writable(self, ts_ns: int) -> Segment:
        if self._writing is not None and self._writing.size_bytes >= self._segment_bytes:
            self.end_segment()
        if self._writing is None:
            path = self._directory / f"{self._next_number:010d}-{ts_ns}{_SUFFIX}"
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
            self._writing = Segment(path, self._next_number, ts_ns, is_own=True)
            self._next_number += 1
            self._segments.append(self._writing)
            self._unread.append(self._writing)
        return self._writing

    def _sync(self) -> None:
        self._next_sync_ns = self._clock.monotonic_ns() + _SYNC_EVERY_NS
        # A disk that fails here fails the next write, too, which is told then; the frames can still be read.
        with suppress(OSError):
            os.fdatasync(self._file)

    def _load(self, segment: Segment) -> None:
        """Read what is not read yet of the first unread segment."""
        expected_bytes = segment.size_bytes - self._read_bytes
        try:
            with segment.path.open("rb") as file:
                file.seek(self._read_bytes)
                data = file.read(expected_bytes)
        except OSError:
            data = b""  # then all of it is damaged
        found, at = 0, 0
        while at < len(data):
            frame = _frame_at(data, at)
            if frame is not None:
                found += 1
                self._loaded.append(Spooled(segment, *frame))
                self._last_ns = frame[1]
                self._end_damage(frame[1])
                at += _HEADER.size + len(frame[0])
                continue
            begin, at = at, _next_frame(data, at + 1)
            if at == len(data) and not segment.is_own and _is_torn(data, begin):
                self.torn_bytes += at - begin
            else:
                self._begin_damage(segment, at - begin)
        if len(data) < expected_bytes:
            self._begin_damage(segment, expected_bytes - len(data))
        if segment.is_own:
            # What cannot be read will never be reported as done.
            lost = segment.frames - self._read_frames - found
            segment.done += lost
            self.lost_frames += lost
        else:
            segment.frames = found
            segment.is_complete = True
        self._read_bytes, self._read_frames = segment.size_bytes, segment.frames
        if segment is not self._writing:
            self._pass_segment()
            self._delete_if_done(segment)

    def _pass_segment(self) -> None:
        self._unread.popleft()
        self._read_bytes = self._read_frames = 0

    def _begin_damage(self, segment: Segment, size_bytes: int) -> None:
        segment.is_damaged = True
        self.damages.append(Damage(segment.path, max(self._last_ns, segment.first_ns), 0, size_bytes))

    def _end_damage(self, ts_ns: int) -> None:
        if self.damages and not self.damages[-1].to_ns:
            self.damages[-1] = self.damages[-1]._replace(to_ns=ts_ns)

    def _delete_if_done(self, segment: Segment) -> None:
        if not segment.is_complete or segment.done < segment.frames or segment in self._unread:
            return
        self._segments.remove(segment)
        self.size_bytes -= segment.size_bytes
        # Where the disk does not allow it, the segment is read again at the next start, which does no harm.
        with suppress(OSError):
            if segment.is_damaged:
                segment.path.rename(segment.path.with_suffix(".damaged"))
            else:
                segment.path.unlink()


def segment_paths(directory: Path) -> list[Path]:
    """List the segments of a spool in their order."""
    return sorted(path for path in directory.glob(f"*{_SUFFIX}") if _NAME.fullmatch(path.name))


def _segment_of(path: Path) -> Segment:
    number, _, first_ns = path.stem.partition("-")
    return Segment(path, int(number), int(first_ns), path.stat().st_size)


def _frame(payload: bytes, ts_ns: int) -> bytes:
    return _HEADER.pack(_MAGIC, len(payload), _checksum(payload, ts_ns), ts_ns) + payload


def _checksum(payload: bytes, ts_ns: int) -> int:
    return zlib.crc32(payload, zlib.crc32(_CHECKED.pack(len(payload), ts_ns)))


def _write(file: int, frame: bytes, size_bytes: int) -> None:
    """Write a frame behind so many bytes, wholly or (as far as the disk allows) not at all."""
    left = memoryview(frame)
    try:
        while left:
            left = left[os.write(file, left) :]
    except OSError:
        with suppress(OSError):
            os.ftruncate(file, size_bytes)
        raise


def _frame_at(data: bytes, at: int) -> tuple[bytes, int] | None:
    if len(data) < at + _HEADER.size:
        return None
    magic, length, checksum, ts_ns = _HEADER.unpack_from(data, at)
    begin = at + _HEADER.size
    if magic != _MAGIC or len(data) < begin + length:
        return None
    payload = data[begin : begin + length]
    return (payload, ts_ns) if _checksum(payload, ts_ns) == checksum else None


def _next_frame(data: bytes, at: int) -> int:
    """Find the first whole frame from there on; the end where there is none."""
    while (at := data.find(_MAGIC, at)) >= 0:
        if _frame_at(data, at) is not None:
            return at
        at += 1
    return len(data)


def _is_torn(data: bytes, at: int) -> bool:
    """Tell whether these last bytes are the beginning of a frame, or blocks that were never written."""
    if not any(data[at:]):
        return True
    head = data[at : at + _HEADER.size]
    if len(head) < _HEADER.size:
        return head[:4] == _MAGIC[: len(head)]
    magic, length, _, _ = _HEADER.unpack(head)
    return bool(magic == _MAGIC and len(data) < at + _HEADER.size + length)
