"""How far a partition may be committed.

A committed offset promises that everything before it outlives the death of any process. A row does so when
the store has acknowledged it **and** has proven that it synced its commit log since
(`ticktrail.store.durability`). Acknowledgements come in any order, so the checkpoint of a partition is the
end of its longest *prefix* of proven work.

Invariants, for every partition, at every instant (``tests/property/test_checkpoint.py``):

1. ``position`` never passes work that is not settled, or that was settled after the last proof's time.
2. ``position`` never moves backwards while the partition is held.
3. Once everything begun is settled and a proof of a later time has come, ``position`` is the end of the last
   work.
4. What is settled after its partition was given up has no effect.

A server that was restarted needs no word here: its writer gives all partitions up and reads them again from
what is committed.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from ticktrail.bus import Partition, Position

__all__ = ["Checkpoint", "Span"]


@dataclass(frozen=True, kw_only=True)
class Span:
    """Consecutive offsets of one partition, from `first` to before `end`.

    Parameters
    ----------
    state
        To be committed beside the end.
    """

    partition: Partition
    first: int
    end: int
    state: str = ""


@dataclass
class _Work:
    """One ticket's share of a partition."""

    end: Position
    settled_ns: int | None = None


@dataclass
class _Held:
    """What is known of a partition that is assigned to us."""

    position: Position | None = None
    committed: Position | None = None
    work: deque[_Work] = field(default_factory=deque)


class Checkpoint:
    """Follows work from `begin` over `settle` to `prove`, and tells what may be committed.

    Used by one thread. Times are monotonic, in nanoseconds; those given to `settle` never fall.
    """

    def __init__(self) -> None:
        self._held: dict[Partition, _Held] = {}
        self._tickets: dict[int, list[_Work]] = {}
        self._next_ticket = itertools.count()

    def hold(self, partition: Partition) -> None:
        """Start to follow a partition that was assigned to us."""
        self._held[partition] = _Held()

    def release(self, partition: Partition) -> None:
        """Forget a partition that was taken from us; its open work settles without effect."""
        self._held.pop(partition, None)

    def begin(self, spans: list[Span]) -> int:
        """Register work on offsets that directly follow those registered before.

        Returns
        -------
        A ticket for `settle`.
        """
        ticket = next(self._next_ticket)
        shares = []
        for span in spans:
            held = self._held[span.partition]
            assert not held.work or held.work[-1].end.offset <= span.first, "offsets must rise"
            work = _Work(Position(span.end, span.state))
            held.work.append(work)
            shares.append(work)
        self._tickets[ticket] = shares
        return ticket

    def settle(self, ticket: int, now_ns: int) -> None:
        """Note that everything of this ticket is acknowledged, by the store or as a dead letter by Kafka."""
        for work in self._tickets.pop(ticket):
            work.settled_ns = now_ns

    def prove(self, until_ns: int) -> None:
        """Note that what was settled at or before this time outlives every process."""
        for held in self._held.values():
            work = held.work
            while work and (settled_ns := work[0].settled_ns) is not None and settled_ns <= until_ns:
                held.position = work.popleft().end

    def due(self) -> dict[Partition, Position]:
        """Give what to commit for each partition whose checkpoint moved since `committed`."""
        return {
            partition: held.position
            for partition, held in self._held.items()
            if held.position is not None and held.position != held.committed
        }

    def committed(self, positions: Mapping[Partition, Position]) -> None:
        """Note what the broker has taken."""
        for partition, position in positions.items():
            if partition in self._held:
                self._held[partition].committed = position

    def oldest_settled_ns(self) -> int | None:
        """Tell since when settled work has waited for its proof; None where none does.

        Only work that has nothing unsettled before it counts: no proof helps the rest.
        """
        times = [held.work[0].settled_ns for held in self._held.values() if held.work]
        return min((time for time in times if time is not None), default=None)

    @property
    def partitions(self) -> int:
        """How many partitions are held."""
        return len(self._held)

    @property
    def open_tickets(self) -> int:
        """How much work is not settled, including that of partitions given up."""
        return len(self._tickets)
