"""What a bar builder writes beside its committed offset."""

from __future__ import annotations

import msgspec

from ticktrail.errors import CodecError

__all__ = ["METADATA_BYTES_MAX", "Ahead", "Progress"]

# Kafka's default ``offset.metadata.max.bytes``; a longer one fails the commit.
METADATA_BYTES_MAX = 4096

_VERSION = 1

Ahead = dict[str, dict[str, list[tuple[int, int, int]]]]
"""Feed → symbol → trading day of the trades, date of the bars, minutes since 1970."""


class Progress(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Which windows of a partition are closed, as of one offset.

    Parameters
    ----------
    next_offset
        Everything before it had been read.
    open
        Per feed and trading day, in days since 1970-01-01: windows that end at or before this time are
        closed; nanoseconds since 1970 in UTC.
    done
        Per feed: days of which all windows are closed.
    done_until
        Per feed: all days up to this one count as done too.
    ahead
        Windows that are to be rebuilt when their time has come, because of trades that were ahead of it.
    """

    version: int = msgspec.field(default=_VERSION, name="v")
    next_offset: int = msgspec.field(name="next")
    open: dict[str, dict[int, int]] = {}
    done: dict[str, list[int]] = {}
    done_until: dict[str, int] = msgspec.field(default_factory=dict, name="until")
    ahead: Ahead = {}

    def to_text(self) -> str:
        """Write it as JSON that Kafka takes as commit metadata."""
        while len(text := msgspec.json.encode(self)) > METADATA_BYTES_MAX and any(self.done.values()):
            self.forget_oldest()
        return text.decode()

    def forget_oldest(self) -> None:
        """Keep only that the oldest of the `done` days, and all before it, are done."""
        day, feed = min((days[0], feed) for feed, days in self.done.items() if days)
        self.done[feed].remove(day)
        self.done_until[feed] = max(day, self.done_until.get(feed, day))

    def is_done(self, feed: str, day: int) -> bool:
        """Tell whether all windows of a day are closed."""
        return day <= self.done_until.get(feed, -(1 << 31)) or day in self.done.get(feed, ())

    def add_done(self, feed: str, day: int) -> None:
        """Note that all windows of a day are closed."""
        days = self.done.setdefault(feed, [])
        days.append(day)
        days.sort()

    @staticmethod
    def from_text(text: str) -> Progress:
        """Read what `to_text` wrote.

        Raises
        ------
        CodecError
            If it is something else, such as the state of a later version.
        """
        try:
            progress = msgspec.json.decode(text, type=Progress)
        except msgspec.MsgspecError as error:
            raise _unreadable(str(error)) from error
        if progress.version != _VERSION:
            raise _unreadable(f"its version is {progress.version}, this program writes {_VERSION}")
        return progress


def _unreadable(why: str) -> CodecError:
    return CodecError(
        what="Cannot read the state that bars committed beside their offset",
        why=why,
        next_step="Run the version that wrote it, or give bars a new group (bars.group) to build anew.",
        reason="bars_state",
    )
