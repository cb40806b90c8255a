"""How far a partition may be committed.

Writes are acknowledged in any order, but a committed offset promises everything before it. So the
checkpoint of a partition is the end of its longest *prefix* of settled work.

Invariants, for every partition, at every instant (``tests/property/test_checkpoint.py``):

1. ``position`` never passes work that is not settled.
2. ``position`` never moves backwards while the partition is held.
3. Once everything begun is settled, ``position`` is the end of the last work.
4. What is settled after its partition was given up has no effect.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from ticktrail.bus import Partition

__all__ = ["Checkpoint", "Span"]


@dataclass(frozen=True, kw_only=True)
class Span:
    """Consecutive offsets of one partition, from `first` to before `end`."""

    partition: Partition
    first: int
    end: int


@dataclass
class _Work:
    """One ticket's share of a partition."""

    ticket: int
    end: int
    is_settled: bool = False


@dataclass
class _Held:
    """What is known of a partition that is assigned to us."""

    position: int | None = None
    committed: int | None = None
    work: deque[_Work] = field(default_factory=deque)


class Checkpoint:
    """Follows work from `begin` to `settle` and tells what may be committed. Used by one thread."""

    def __init__(self) -> None:
        self._held: dict[Partition, _Held] = {}
        self._tickets: dict[int, list[tuple[_Held, _Work]]] = {}
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
            assert not held.work or held.work[-1].end <= span.first, "offsets must rise"
            work = _Work(ticket=ticket, end=span.end)
            held.work.append(work)
            shares.append((held, work))
        self._tickets[ticket] = shares
        return ticket

    def settle(self, ticket: int) -> None:
        """Note that everything of this ticket is stored, or is a stored dead letter."""
        for held, work in self._tickets.pop(ticket):
            work.is_settled = True
            while held.work and held.work[0].is_settled:
                held.position = held.work.popleft().end

    def due(self) -> dict[Partition, int]:
        """Give the offset to commit for each partition whose checkpoint moved since `committed`."""
        return {
            partition: held.position
            for partition, held in self._held.items()
            if held.position is not None and held.position != held.committed
        }

    def committed(self, offsets: Mapping[Partition, int]) -> None:
        """Note what the broker has taken."""
        for partition, offset in offsets.items():
            if partition in self._held:
                self._held[partition].committed = offset

    @property
    def partitions(self) -> int:
        """How many partitions are held."""
        return len(self._held)

    @property
    def open_tickets(self) -> int:
        """How much work is not settled, including that of partitions given up."""
        return len(self._tickets)
