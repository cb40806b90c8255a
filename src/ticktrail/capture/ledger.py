"""The ledger of gaps: one row for each window that no capture of the feed covered.

Guarantee. Every time between a feed's first proof of coverage and its last one is covered by a proof, or
stands in a row, or lies in a window that a running capture is about to enter. What a capture that dies had
not entered yet, the next one finds: the holes between the proofs in the log that no row explains.

A window is entered once the log itself has moved on beyond it, which this capture's own proofs show when they
come back: by then the proofs of another capture that covered it are there, too. Windows that last are entered
as ``open`` meanwhile, and again when they have ended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import msgspec

from ticktrail.capture.proofs import Proofs
from ticktrail.capture.spans import Span, holes, without
from ticktrail.clock import NS_PER_SECOND, Clock
from ticktrail.model import MISSING_UNKNOWN, TEXT_BYTES_MAX, Gap, Heartbeat

__all__ = ["WHOLE_FEED", "Ledger"]

WHOLE_FEED = "*"

_DAY_NS = 86_400 * NS_PER_SECOND
# How far beyond a window this capture's proofs must have come back: others write theirs once a second.
_SETTLE_NS = 2 * NS_PER_SECOND
# A window that lasts so long is entered as open, and again every so often.
_OPEN_AFTER_NS = 10 * NS_PER_SECOND
_OPEN_EVERY_NS = 60 * NS_PER_SECOND
# Another capture that wrote a proof so recently covers the window that is open here.
_OTHERS_ALIVE_NS = 5 * NS_PER_SECOND
# Windows that wait, at most; beyond it the newest are joined.
_WINDOWS_MAX = 1_000


@dataclass
class _Window:
    """From the last time that is covered to the first one that is again; None: not known, or not yet."""

    cause: str
    from_ns: int | None
    to_ns: int | None = None
    missing: int = MISSING_UNKNOWN
    detail: str = ""
    due_ns: int = 0
    told: Gap | None = None


class Ledger:
    """Of one live feed. Used by one thread at a time.

    Parameters
    ----------
    feed
        Its name.
    proofs
        Whose claims begin and end with the windows.
    margin_ns
        How much later than connected a record may have been sent and be missing: clocks differ.
    """

    def __init__(self, feed: str, proofs: Proofs, margin_ns: int, clock: Clock) -> None:
        self._feed = feed
        self._proofs = proofs
        self._margin_ns = margin_ns
        self._clock = clock
        self._overflow: _Window | None = None
        self._windows: list[_Window] = []
        self._others_heard_ns: int | None = None
        # The time that capture itself was down: from when on, the log tells.
        self._down: _Window | None = self._open("capture_down", None)
        self._start = self._down
        # Connected again after a silence, and nothing came yet.
        self._is_mute = False
        # Rows that a capture which died could not close: they end with that window.
        self._inherited: list[Gap] = []
        self._is_informed = False

    @property
    def pending(self) -> int:
        """How many windows are not entered, or not for good."""
        return len(self._windows)

    @property
    def is_losing(self) -> bool:
        """Whether the last records were lost for want of room."""
        return self._overflow is not None

    # --- what happens --------------------------------------------------------------------------------

    def inform(self, covered: Sequence[Span], rows: Iterable[Gap], last_ns: int) -> None:
        """Learn once what the log had when this capture began.

        Parameters
        ----------
        covered
            Proofs of this subscription.
        rows
            The feed's gaps.
        last_ns
            The last time that anything proves; 0 where the feed was never captured.
        """
        self._is_informed = True
        latest = {(row.from_ns, row.channel, row.cause): row for row in rows}.values()
        self._inherited = [row for row in latest if row.state == "open" and row.from_ns >= last_ns]
        explained = [
            Span(row.from_ns, row.to_ns)
            for row in latest
            if row.state != "covered" and row.channel == WHOLE_FEED
        ]
        for hole in holes([*covered, *explained]):
            self._windows.append(_Window("capture_down", hole.from_ns, hole.to_ns, detail="found in the log"))
        for window in self._windows:
            if window.from_ns is None:
                window.from_ns = last_ns
        if not last_ns:
            # Nothing can be missing of what nobody ever began to capture.
            self._windows = [window for window in self._windows if window.from_ns]

    def interrupted(self, cause: str, detail: str = "") -> None:
        """Open a window where there is none: the connection is gone, or of no use."""
        self._is_mute = False
        if self._down is None:
            self._down = self._open(cause, self._covered_until_ns(), detail)

    def resumed(self, at_ns: int) -> None:
        """Close it: connected and subscribed; after a silence that is not enough."""
        self._is_mute = self._down is not None and self._down.cause == "silence"
        if not self._is_mute:
            self._stand(at_ns)

    def flows(self, at_ns: int) -> None:
        """Note that records come."""
        if self._is_mute:
            self._is_mute = False
            self._stand(at_ns)

    def fell_silent(self, at_ns: int) -> None:
        """Note that records came again after a silence which cannot have been usual."""
        if self._down is None:
            self.interrupted("silence", "ended by itself")
            self._stand(at_ns)

    def _stand(self, at_ns: int) -> None:
        if self._down is not None:
            self._down.to_ns = at_ns + self._margin_ns
            self._down = None
        if self._overflow is None:
            self._proofs.begin(at_ns)

    def lost(self, count: int) -> None:
        """Note that received records were lost for want of room."""
        if self._overflow is None:
            self._overflow = self._open("overflow", self._covered_until_ns())
            self._overflow.missing = 0
        self._overflow.missing += count

    def regained(self, at_ns: int) -> None:
        """Note that there is room again."""
        if self._overflow is None:
            return
        self._overflow.to_ns = at_ns
        self._overflow = None
        if self._down is None:
            self._proofs.begin(at_ns)

    def damaged(self, hole: Span, detail: str) -> None:
        """Note that records which had been received can no longer be read."""
        hole = Span(hole.from_ns - self._margin_ns, hole.to_ns)
        self._windows.append(_Window("damage", hole.from_ns, hole.to_ns, detail=detail))
        self._proofs.cut(hole)

    def hear(self, beat: Heartbeat) -> None:
        """Learn of a proof in the log."""
        echoed_ns = self._proofs.echoed_ns
        self._proofs.hear(beat)
        if self._proofs.echoed_ns == echoed_ns:
            self._others_heard_ns = self._clock.monotonic_ns()

    # --- what is written -----------------------------------------------------------------------------

    def enter(self, write: Callable[[Gap], bool], *, is_last: bool = False) -> None:
        """Write the rows that are due.

        Parameters
        ----------
        write
            Takes a row; False where it could not, and is asked again later.
        is_last
            This capture ends: all are due, though another's proof of them may be on its way.
        """
        if not self._is_informed:
            return  # the next capture finds the hole
        for window in list(self._windows):
            if window.to_ns is None:
                self._tell_open(window, write, is_last=is_last)
            elif (is_last or self._proofs.echoed_ns >= window.to_ns + _SETTLE_NS) and self._tell_closed(
                window, write
            ):
                self._windows.remove(window)

    def _tell_open(self, window: _Window, write: Callable[[Gap], bool], *, is_last: bool) -> None:
        now_ns = self._clock.monotonic_ns()
        heard_ns = self._others_heard_ns
        if heard_ns is not None and now_ns - heard_ns < _OTHERS_ALIVE_NS:
            return
        if now_ns < window.due_ns and not is_last:
            return
        row = self._row(window, Span(window.from_ns or 0, self._clock.now_ns()), "open")
        if row.from_ns < row.to_ns and write(row):
            window.told = row
            window.due_ns = now_ns + _OPEN_EVERY_NS

    def _tell_closed(self, window: _Window, write: Callable[[Gap], bool]) -> bool:
        whole = Span(window.from_ns or 0, window.to_ns or 0)
        pieces = without(whole, self._proofs.others)
        rows = [self._row(window, piece, "closed") for piece in pieces]
        if pieces != [whole]:
            # How many of them another capture has is not known.
            rows = [msgspec.structs.replace(row, missing=MISSING_UNKNOWN) for row in rows]
        if window.told is not None and window.told.from_ns not in {row.from_ns for row in rows}:
            rows.append(msgspec.structs.replace(window.told, state="covered", missing=0))
        if window is self._start:
            rows += [
                msgspec.structs.replace(row, state="closed", to_ns=max(row.to_ns, whole.to_ns))
                for row in self._inherited
            ]
        return all(write(row) for row in rows)

    def _row(self, window: _Window, span: Span, state: str) -> Gap:
        return Gap(
            feed=self._feed,
            channel=WHOLE_FEED,
            day=span.from_ns // _DAY_NS,
            from_ns=span.from_ns,
            to_ns=span.to_ns,
            ts_recv_ns=self._clock.now_ns(),
            missing=window.missing,
            cause=window.cause,
            state=state,
            detail=window.detail.encode()[:TEXT_BYTES_MAX].decode(errors="ignore").replace("\0", ""),
        )

    def _open(self, cause: str, from_ns: int | None, detail: str = "") -> _Window:
        self._proofs.end()
        due_ns = self._clock.monotonic_ns() + _OPEN_AFTER_NS
        window = _Window(cause, from_ns, detail=detail, due_ns=due_ns)
        if len(self._windows) >= _WINDOWS_MAX and self._windows[-1].to_ns is not None:
            # Better one window too long than one forgotten.
            window = self._windows[-1]
            window.to_ns = None
        else:
            self._windows.append(window)
        return window

    def _covered_until_ns(self) -> int:
        """Give the time up to which all that came is in the log or on its way."""
        return max(self._proofs.reached_ns, self._proofs.since_ns)
