"""The contract between a source of market data and the rest of ticktrail.

A feed has two halves. The *connection* half dials, authenticates, subscribes and hands over frames as
they came, each with its receive time; it knows nothing of records. The *parsing* half is pure: frames in,
columns out, nothing remembered that a replay of the same frames would not rebuild. Capture joins them, and
so recorded frames can be parsed again years later.

``ticktrail.testing.feed_contract`` holds the suite that every feed passes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import msgspec

from ticktrail.clock import Clock
from ticktrail.errors import TicktrailError
from ticktrail.model import Columns

__all__ = [
    "ALL_SYMBOLS",
    "FRAME_BYTES_MAX",
    "Feed",
    "FeedFactory",
    "Frame",
    "Parsed",
    "Rejected",
    "Resubscribes",
    "Subscription",
]

# Larger than any vendor's documented frame (Alpaca's bursts stay under 1 MiB); a larger one is refused
# by the connection half with a counted error instead of being held in memory.
FRAME_BYTES_MAX = 8 * 1024 * 1024

ALL_SYMBOLS = "*"


class Frame(msgspec.Struct, frozen=True, gc=False):
    """One message as it came.

    Parameters
    ----------
    ts_recv_ns
        When the last byte was received, nanoseconds since 1970 in UTC; 0 for a file's frames, whose
        records have no receive time.
    payload
        The bytes, unchanged.
    origin
        For files: which part of which file this is, in the feed's own form. Empty for websockets.
    """

    ts_recv_ns: int
    payload: bytes
    origin: str = ""


class Rejected(msgspec.Struct, frozen=True, gc=False):
    """A frame, or the part of one, that is no valid message. Goes to the dead letters whole.

    Parameters
    ----------
    payload
        The offending bytes.
    reason
        A label from a bounded set, fit to count by: ``"not_json"``, ``"bad_price"``.
    detail
        For people: what was wrong, where.
    """

    payload: bytes
    reason: str
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class Parsed:
    """What a batch of frames held.

    Parameters
    ----------
    columns
        Records, at most one `Columns` per record type, in the order of their frames.
    rejected
        What could not be read; with `columns` and `unknown` it accounts for every message of every
        frame.
    unknown
        Messages of a kind, and fields, that this parser does not know, counted by a bounded label:
        ``{"message:z": 2, "field:t.foo": 1}``. Neither fatal nor silent.
    notices
        What the venue said about the connection inside the stream, as errors that capture acts upon: a
        `Transient` one makes it reconnect, a `Terminal` one makes it stop.
    """

    columns: tuple[Columns[Any], ...] = ()
    rejected: tuple[Rejected, ...] = ()
    unknown: Mapping[str, int] = field(default_factory=dict)
    notices: tuple[TicktrailError, ...] = ()


class Subscription(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is asked of a feed.

    Parameters
    ----------
    symbols
        Canonical symbols, or `ALL_SYMBOLS` alone where the feed can do that.
    kinds
        Of ``"trades"``, ``"quotes"``, ``"bars"``, ``"status"``.
    """

    symbols: tuple[str, ...]
    kinds: tuple[str, ...] = ("trades", "quotes", "status")


class Feed(Protocol):
    """One source of market data. Made by a `FeedFactory`; capture is its only caller.

    One task calls `connect`, then `receive` over and over; another may call `parse` meanwhile. After a
    `Transient` error from either, capture calls `close`, waits, and calls `connect` again on the same
    object. Nothing of a feed survives a restart of the process: what must, is in Kafka.

    Attributes
    ----------
    name
        The `feed` of its records.
    is_live
        Whether frames come when they happen. Otherwise they are a recording, whose time only its own
        records tell.
    """

    name: str
    is_live: bool

    async def connect(self) -> None:
        """Dial, authenticate and subscribe; return once the venue has confirmed.

        May take as long as the venue takes, up to the feed's own documented time-out.

        Raises
        ------
        Unreachable, FeedDisconnected
            Try again later.
        FeedRejected, ConfigError
            Trying again cannot help.
        """
        ...

    async def receive(self) -> Frame | None:
        """Wait for the next frame; None at the end of a source that ends, such as a file.

        Called as fast as frames come and must not block the loop. May be cancelled at any time without
        losing a frame that it would have returned later.

        Raises
        ------
        FeedDisconnected
            The connection is gone. Frames received before it were all returned.
        """
        ...

    def parse(self, frames: Sequence[Frame]) -> Parsed:
        """Turn frames into records. Pure, never raises on any bytes, and never blocks."""
        ...

    async def close(self) -> None:
        """Release the connection; safe to call twice and before `connect`. Unread frames are lost."""
        ...


@runtime_checkable
class Resubscribes(Protocol):
    """What a `Feed` may do besides: ask anew for symbols that fell silent while others go on."""

    async def resubscribe(self, symbols: Sequence[str]) -> None:
        """Ask for these again, over the connection that stands; part of what was subscribed to.

        Called rarely, and never while `connect` runs.

        Raises
        ------
        FeedDisconnected
            The connection is gone.
        """
        ...


class FeedFactory(Protocol):
    """What `ticktrail.feeds.registry` holds under each feed's name."""

    def __call__(self, settings: Mapping[str, Any], subscription: Subscription, clock: Clock) -> Feed:
        """Build a feed from its section of the settings (``[feeds.NAME]``); touch no network.

        Raises
        ------
        ConfigError
            A setting is unknown, missing or of the wrong type.
        """
        ...
