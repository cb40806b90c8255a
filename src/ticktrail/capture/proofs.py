"""Which times are covered: what this capture may claim, and what it hears of others.

A claim of a time says that everything which the venue sent before it, over the connection that stands since
`since_ns`, was received and handed over. It becomes a proof, to be written, once Kafka has acknowledged all
of that. Records prove a connection, the clock does not: a socket that is open and mute claims nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

from ticktrail.capture.spans import Span
from ticktrail.model import Heartbeat

__all__ = ["Proofs"]

# Claims that wait for acknowledgements; beyond it every other one is dropped: proofs become coarser.
_CLAIMS_MAX = 4_096
# Connections of other captures that are remembered; the oldest is forgotten first.
_OTHERS_MAX = 10_000
# A claim at most so often: proofs are written once a second.
_CLAIM_EVERY_NS = 50_000_000


class _Claim(NamedTuple):
    since_ns: int
    reached_ns: int
    accepted: int


class Proofs:
    """Of one feed and subscription. Used by one thread at a time.

    Attributes
    ----------
    since_ns
        When the present unbroken connection began; 0 where there is none.
    reached_ns
        The latest claim; 0 before the first.
    echoed_ns
        The latest own proof that came back from Kafka; the log has everything that was in it before.
    """

    def __init__(self) -> None:
        self.since_ns = 0
        self.reached_ns = 0
        self.echoed_ns = 0
        self._claims: deque[_Claim] = deque()
        self._due: dict[int, int] = {}  # since → reached, acknowledged and not written
        self._own: set[int] = set()
        self._others: dict[int, int] = {}

    def begin(self, since_ns: int) -> None:
        """Claim from there on."""
        self.since_ns = since_ns
        self._own.add(since_ns)
        # An empty span, so that whoever comes next knows from when on something may be missing.
        self._due.setdefault(since_ns, since_ns)
        if since_ns < self.reached_ns:
            self.reached_ns = 0  # the clock was set back, and what it shows now is not claimed yet

    def end(self) -> None:
        """Claim nothing until `begin`."""
        self.since_ns = 0

    def reach(self, reached_ns: int, accepted: int) -> None:
        """Claim everything before a time.

        Parameters
        ----------
        accepted
            How many batches the outlet had accepted when all of that was among them.
        """
        if not self.since_ns or reached_ns <= self.reached_ns:
            return
        self.reached_ns = reached_ns
        if reached_ns <= self.since_ns:
            return
        claims = self._claims
        # The last one always stands: a window that begins here begins where it ends.
        before = claims[-2] if len(claims) > 1 else None
        if before and before.since_ns == self.since_ns and reached_ns - before.reached_ns < _CLAIM_EVERY_NS:
            claims.pop()
        claims.append(_Claim(self.since_ns, reached_ns, accepted))
        if len(claims) > _CLAIMS_MAX:
            self._thin_out()

    def _thin_out(self) -> None:
        claims = list(self._claims)
        ends = [claim.since_ns != after.since_ns for claim, after in pairwise(claims)] + [True]
        self._claims = deque(
            claim
            for index, (claim, is_last) in enumerate(zip(claims, ends, strict=True))
            if index % 2 or is_last
        )

    def cut(self, hole: Span) -> None:
        """Withdraw claims over a hole that was found too late."""
        kept = [claim for claim in self._claims if not hole.from_ns < claim.reached_ns <= hole.to_ns]
        self._claims = deque(
            claim._replace(since_ns=max(claim.since_ns, hole.to_ns))
            if claim.reached_ns > hole.to_ns
            else claim
            for claim in kept
        )
        if self.since_ns:
            self.begin(max(self.since_ns, hole.to_ns))
        self._own.update(claim.since_ns for claim in self._claims)

    def due(self, acknowledged: int) -> list[Span]:
        """Give the proofs that can be written now: the latest of each connection, in order."""
        while self._claims and self._claims[0].accepted <= acknowledged:
            claim = self._claims.popleft()
            self._due[claim.since_ns] = claim.reached_ns
        return [Span(since_ns, reached_ns) for since_ns, reached_ns in self._due.items()]

    def written(self, proof: Span) -> None:
        """Note that a proof is on its way."""
        del self._due[proof.from_ns]

    def is_own(self, beat: Heartbeat) -> bool:
        """Tell whether this process wrote a proof: connections begin at different nanoseconds."""
        return beat.since_ns in self._own

    def hear(self, beat: Heartbeat) -> None:
        """Learn of a proof in the log."""
        if not beat.since_ns:
            return
        if self.is_own(beat):
            self.echoed_ns = max(self.echoed_ns, beat.ts_recv_ns)
            return
        known_ns = self._others.pop(beat.since_ns, 0)
        self._others[beat.since_ns] = max(known_ns, beat.ts_recv_ns)
        while len(self._others) > _OTHERS_MAX:
            del self._others[next(iter(self._others))]

    @property
    def others(self) -> Iterable[Span]:
        """What other captures cover, and what this one's predecessors did."""
        return [Span(since_ns, reached_ns) for since_ns, reached_ns in self._others.items()]
