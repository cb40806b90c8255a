r"""Recorded captures: frames as a feed received them, to be parsed again by that feed's own parser.

One JSON object per line (``.ndjson``, ``.jsonl``, either with ``.gz``)::

    {"feed":"alpaca","ts_recv_ns":1767623400000000000,"payload":"[{\"T\":\"t\",…}]"}
    {"feed":"alpaca","ts_recv_ns":1767623400000000900,"base64":"k4GhVKF0…"}

`payload` is the frame as text; `base64` stands in its place where the frame is no UTF-8. An `origin`
is kept where the frame had one. Lines are in the order of receiving.
"""

from __future__ import annotations

import base64
import binascii
import heapq
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import msgspec

from ticktrail.errors import FileFormatError
from ticktrail.feeds.base import FRAME_BYTES_MAX, Frame, Rejected
from ticktrail.feeds.file.opening import READ_ERRORS, open_bytes, unreadable

__all__ = ["BAD_LINE", "captured_feed", "encode_capture", "read_captures", "rejected_line"]

# Base64 makes a frame longer by a third, JSON's escapes make text up to six times as long.
_LINE_BYTES_MAX = 6 * FRAME_BYTES_MAX + 4096

# Origin of a line that holds no frame; the parser turns it into a rejected one.
BAD_LINE = "capture:bad_line:"


class _Line(msgspec.Struct, frozen=True, omit_defaults=True):
    feed: str
    ts_recv_ns: Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]
    payload: str = ""
    base64: str = ""
    origin: str = ""


_decoder = msgspec.json.Decoder(_Line)


def encode_capture(feed: str, frame: Frame) -> bytes:
    """Write a frame as one line, its end included."""
    try:
        text, packed = frame.payload.decode(), ""
    except UnicodeDecodeError:
        text, packed = "", base64.b64encode(frame.payload).decode()
    line = _Line(feed, frame.ts_recv_ns, text, packed, frame.origin)
    return msgspec.json.encode(line) + b"\n"


def captured_feed(paths: Sequence[Path]) -> str:
    """Tell which feed was captured.

    Raises
    ------
    FileFormatError
        A file cannot be read, begins with something else than a captured frame, or the files hold
        captures of several feeds.
    """
    feeds: dict[str, Path] = {}
    for path in paths:
        try:
            with open_bytes(path) as file:
                line = _decoder.decode(file.readline(_LINE_BYTES_MAX))
        except msgspec.MsgspecError as error:
            raise FileFormatError(
                what=f"{path} is no capture",
                why=f"its first line holds no captured frame: {error}",
                next_step='Expected lines such as {"feed":"alpaca","ts_recv_ns":0,"payload":"[…]"}.',
                path=str(path),
                line=1,
            ) from None
        except READ_ERRORS as error:
            raise unreadable(path, error) from error
        feeds.setdefault(line.feed, path)
    if len(feeds) != 1:
        raise FileFormatError(
            what="Cannot replay captures of several feeds at once",
            why=", ".join(f"{path} is of {feed}" for feed, path in feeds.items()),
            next_step="Replay them one after the other.",
            path=str(paths[0]),
        )
    return next(iter(feeds))


def read_captures(paths: Sequence[Path], feed: str) -> Iterator[tuple[int, Frame]]:
    """Read frames of all files in the order of receiving, each with its receive time.

    A line that holds no frame, or one of another feed, becomes a frame with the origin `BAD_LINE`.
    """
    streams = [_read(path, feed) for path in paths]
    return heapq.merge(*streams, key=lambda item: item[0])


def rejected_line(frame: Frame) -> Rejected:
    """Account for a line of which `read_captures` could make no frame."""
    return Rejected(frame.payload, "bad_line", frame.origin.removeprefix(BAD_LINE))


def _read(path: Path, feed: str) -> Iterator[tuple[int, Frame]]:
    ts_recv_ns = 0
    number = 0
    try:
        with open_bytes(path) as file:
            while text := file.readline(_LINE_BYTES_MAX):
                number += 1
                if not text.strip():
                    continue
                frame = _frame(text, feed, f"line {number} of {path.name}", ts_recv_ns)
                ts_recv_ns = max(ts_recv_ns, frame.ts_recv_ns)
                yield ts_recv_ns, frame
    except READ_ERRORS as error:
        raise unreadable(path, error, number + 1) from error


def _frame(text: bytes, feed: str, where: str, ts_recv_ns: int) -> Frame:
    try:
        line = _decoder.decode(text)
        if line.feed != feed:
            raise ValueError(f"a frame of {line.feed[:64]}, not of {feed}")
        payload = base64.b64decode(line.base64, validate=True) if line.base64 else line.payload.encode()
    except (msgspec.MsgspecError, binascii.Error, ValueError) as error:
        return Frame(ts_recv_ns, text.rstrip(b"\n"), f"{BAD_LINE}{where}: {error}")
    return Frame(line.ts_recv_ns, payload, line.origin)
