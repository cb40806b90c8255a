"""What a live capture says about its own completeness: proofs of what is covered, gaps for what is not.

Both go to the topic of gaps, keyed by the feed: about once a second a heartbeat that proves a span of time,
and a row for each window that is missing. Proofs carry a *scope* beside them, the subscription: only captures
that ask the same of a feed cover each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from hashlib import blake2b
from typing import Any, Protocol

import numpy as np

from ticktrail.bus import Tailed
from ticktrail.capture import metrics
from ticktrail.capture.frames import Turn
from ticktrail.capture.ledger import Ledger
from ticktrail.capture.outlet import Outlet
from ticktrail.capture.proofs import Proofs
from ticktrail.capture.sender import SCOPE_HEADER, Sender
from ticktrail.capture.spans import Span
from ticktrail.clock import NS_PER_MS, Clock
from ticktrail.codec import decode_columns
from ticktrail.config import CaptureSettings
from ticktrail.feeds import Subscription
from ticktrail.model import Columns, Gap, Heartbeat
from ticktrail.telemetry import get_logger

__all__ = ["Coverage", "History", "scope_of"]

_log = get_logger("capture")

# Proofs come about once a second: half an hour of two captures. More is read only where this does not tell.
_LOOK_BACK = 5_000
_LOOK_BACK_MAX = 1_000_000


class History(Protocol):
    """The feed's part of the topic of gaps; `ticktrail.bus.Follower` is one."""

    def history(self, values_max: int) -> tuple[list[Tailed], bool]:
        """Read the newest values that were there in the beginning, and tell whether these are all."""
        ...

    def poll(self) -> list[Tailed]:
        """Take what has come since."""
        ...

    def close(self) -> None:
        """Stop."""
        ...


def scope_of(subscription: Subscription) -> str:
    """Name what is asked of a feed, shortly: equal for equal sets of symbols and kinds."""
    text = "\n".join([*sorted(set(subscription.symbols)), "", *sorted(set(subscription.kinds))])
    return blake2b(text.encode(), digest_size=8).hexdigest()


class Coverage:
    """Keeps the books of one live feed. Used by one thread at a time.

    Parameters
    ----------
    sender, outlet
        Where proofs and gaps go, and what tells how far Kafka has acknowledged.
    scope
        From `scope_of`.
    follow
        Opens the history; blocks, and raises a `TicktrailError` where Kafka is away.
    settings
        How often proofs are written; by how much a window is wider than it was seen.
    clock
        For all of that.
    """

    def __init__(
        self,
        sender: Sender,
        outlet: Outlet,
        scope: str,
        follow: Callable[[], History],
        settings: CaptureSettings,
        clock: Clock,
    ) -> None:
        self._sender = sender
        self._outlet = outlet
        self._feed = sender.feed
        self._scope = scope
        self._follow = follow
        self._proof_ns = int(settings.proof_ms * NS_PER_MS)
        self._margin_ns = int(settings.gap_margin_ms * NS_PER_MS)
        self._clock = clock
        self._proofs = Proofs()
        self._ledger = Ledger(self._feed, self._proofs, self._margin_ns, clock)
        self._history: History | None = None
        self._next_ns = 0

    @property
    def since_ns(self) -> int:
        """When the present unbroken connection began; 0 where there is none."""
        return self._proofs.since_ns

    def turn(self, turn: Turn) -> None:
        """Note that a connection began or ended; everything received before was handed over."""
        if turn.cause:
            self._ledger.interrupted(turn.cause, turn.detail)
        else:
            self._ledger.resumed(turn.at_ns)

    def fell_silent(self, at_ns: int) -> None:
        """Note that records came at that time after a silence which cannot have been usual."""
        self._ledger.fell_silent(at_ns)

    def received(self, parts: Iterable[Columns[Any]], ts_recv_ns: int, lost: int) -> None:
        """Note that records were handed over.

        Parameters
        ----------
        parts
            The records.
        ts_recv_ns
            When the last of them was received.
        lost
            How many of them were lost for want of room.
        """
        if lost:
            self._ledger.lost(lost)
            return
        if self._ledger.is_losing:
            self._ledger.regained(self._clock.now_ns())
        # Events later than the newest that came may still be on their way. A venue whose clock is ahead of
        # ours must not make us claim more than we have lived through.
        newest_ns = [
            int(np.max(part["ts_event_ns"])) for part in parts if "ts_event_ns" in part.data and len(part)
        ]
        if newest_ns:
            self._ledger.flows(ts_recv_ns)
            self._reach(min(max(newest_ns), ts_recv_ns))

    def quiet(self, now_ns: int) -> None:
        """Note that nothing was to be expected until now: the market is closed."""
        if not self._ledger.is_losing:
            self._reach(now_ns)

    def _reach(self, reached_ns: int) -> None:
        self._proofs.reach(reached_ns - self._margin_ns, self._outlet.accepted)

    def look_back(self) -> Callable[[], None]:
        """Read what the log tells of the time before. Blocks; on any thread.

        Returns
        -------
        What is to be called then, on the thread that uses this.

        Raises
        ------
        TicktrailError
            Kafka does not answer; to be tried again.
        """
        history = self._follow()
        for values_max in (_LOOK_BACK, _LOOK_BACK_MAX):
            values, is_all = history.history(values_max)
            beats, gaps = self._decoded(values)
            if is_all or any(not self._proofs.is_own(beat) for beat in beats):
                break
        else:
            _log.warning("ledger.not_found", feed=self._feed, values=_LOOK_BACK_MAX)
        every, _ = self._decoded(values, any_scope=True)

        def inform() -> None:
            self._history = history
            # The log may have the first proofs of this very process by now.
            theirs = [beat for beat in beats if not self._proofs.is_own(beat)]
            of_others = theirs or [beat for beat in every if not self._proofs.is_own(beat)]
            covered = [Span(beat.since_ns, beat.ts_recv_ns) for beat in theirs]
            self._ledger.inform(covered, gaps, max((beat.ts_recv_ns for beat in of_others), default=0))
            for beat in beats:
                self._proofs.hear(beat)
            _log.info("ledger.informed", feed=self._feed, proofs=len(beats), gaps=len(gaps))

        return inform

    def tick(self) -> None:
        """Write what is due, if it is time."""
        now_ns = self._clock.monotonic_ns()
        if now_ns < self._next_ns:
            return
        self._next_ns = now_ns + self._proof_ns
        while self._outlet.damages:
            damage = self._outlet.damages.pop(0)
            self._ledger.damaged(Span(damage.from_ns, damage.to_ns), f"spool: {damage.path.name}")
        if self._history is not None:
            for beat in self._decoded(self._history.poll())[0]:
                self._ledger.hear(beat)
        self._prove()
        self._ledger.enter(self._write)
        metrics.GAPS_PENDING.set(self._ledger.pending, feed=self._feed)

    def close(self) -> None:
        """Write the last proof, after all that can be acknowledged was, and the windows that wait."""
        self._prove()
        self._ledger.enter(self._write, is_last=True)
        if self._history is not None:
            self._history.close()

    def _write(self, gap: Gap) -> bool:
        return self._sender.send_gap(gap, self._scope)

    def _prove(self) -> None:
        for proof in self._proofs.due(self._outlet.acknowledged):
            if not self._sender.send_proof(proof.to_ns, proof.from_ns, self._scope):
                return
            self._proofs.written(proof)

    def _decoded(
        self, values: Iterable[Tailed], *, any_scope: bool = False
    ) -> tuple[list[Heartbeat], list[Gap]]:
        """Decode what the feed's captures wrote: proofs of this scope, and gaps of any."""
        values = list(values)
        decoded = decode_columns([each.value for each in values])
        beats: list[Heartbeat] = []
        gaps: list[Gap] = []
        for found in decoded.kinds.values():
            for record, row in zip(found.columns.to_records(), found.rows.tolist(), strict=True):
                if isinstance(record, Gap):
                    gaps.append(record)
                elif isinstance(record, Heartbeat) and (
                    any_scope or values[row].headers.get(SCOPE_HEADER) == self._scope
                ):
                    beats.append(record)
        return beats, gaps
