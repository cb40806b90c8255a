"""The checkpoint against a model that remembers everything and computes the slow, obvious way.

Hypothesis plays Kafka and the store: it assigns partitions and takes them away, hands out polls that span
several of them, acknowledges these in any order, proves them later or never. After every step the
invariants of `ticktrail.persist.checkpoint` must hold.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from ticktrail.bus import Partition, Position
from ticktrail.persist import Checkpoint, Span

PARTITIONS = [Partition("trades", 0), Partition("trades", 1), Partition("quotes", 0)]


@dataclass
class Tenure:
    """One time of holding a partition: everything that was begun in it, and how far proofs reached."""

    next_offset: int
    ends: list[int] = field(default_factory=list)
    tickets: list[int] = field(default_factory=list)
    committed: int | None = None
    proven: int = 0

    def prefix(self, settled_ns: dict[int, int], until_ns: int) -> int:
        """Count the work of the longest prefix that was settled by then, from its definition."""
        return max(
            count
            for count in range(len(self.ends) + 1)
            if all(ticket in settled_ns and settled_ns[ticket] <= until_ns for ticket in self.tickets[:count])
        )

    @property
    def position(self) -> int | None:
        return self.ends[self.proven - 1] if self.proven else None


class CheckpointMachine(RuleBasedStateMachine):
    """Every step is done to the checkpoint and to the model."""

    def __init__(self) -> None:
        super().__init__()
        self.checkpoint = Checkpoint()
        self.held: dict[Partition, Tenure] = {}
        self.open: list[int] = []
        self.now_ns = 0
        self.settled_ns: dict[int, int] = {}
        self.highest: dict[Partition, int] = {}

    # --- what may happen ---

    @rule(elapsed_ns=st.integers(1, 5))
    def idle(self, elapsed_ns: int) -> None:
        """Time passes."""
        self.now_ns += elapsed_ns

    @precondition(lambda self: len(self.held) < len(PARTITIONS))
    @rule(data=st.data(), offset=st.integers(0, 50))
    def assign(self, data: st.DataObject, offset: int) -> None:
        """A partition comes, at its first time or again: reading begins at any offset, also a lower one."""
        partition = data.draw(st.sampled_from([each for each in PARTITIONS if each not in self.held]))
        self.checkpoint.hold(partition)
        self.held[partition] = Tenure(next_offset=offset)
        self.highest.pop(partition, None)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def revoke(self, data: st.DataObject) -> None:
        """A partition goes, with work still open."""
        partition = data.draw(st.sampled_from(sorted(self.held)))
        self.checkpoint.release(partition)
        del self.held[partition]

    @rule()
    def crash(self) -> None:
        """The process begins anew, as after a restart of the store: nothing is held, no answer counts."""
        self.checkpoint = Checkpoint()
        self.held.clear()
        self.open.clear()
        self.highest.clear()
        self.settled_ns.clear()

    @precondition(lambda self: self.held)
    @rule(data=st.data(), gap=st.integers(0, 2))
    def poll(self, data: st.DataObject, gap: int) -> None:
        """Values of one or more partitions come; logs may have holes between their offsets."""
        chosen = data.draw(st.lists(st.sampled_from(sorted(self.held)), min_size=1, unique=True))
        spans = []
        for partition in chosen:
            first = self.held[partition].next_offset + gap
            spans.append(Span(partition=partition, first=first, end=first + data.draw(st.integers(1, 5))))
        ticket = self.checkpoint.begin(spans)
        assert ticket not in self.settled_ns
        assert ticket not in self.open
        self.open.append(ticket)
        for span in spans:
            tenure = self.held[span.partition]
            tenure.next_offset = span.end
            tenure.ends.append(span.end)
            tenure.tickets.append(ticket)

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def acknowledge(self, data: st.DataObject) -> None:
        """The store has written a poll; which one is up to the store."""
        ticket = data.draw(st.sampled_from(self.open))
        self.checkpoint.settle(ticket, self.now_ns)
        self.open.remove(ticket)
        self.settled_ns[ticket] = self.now_ns

    @rule(lag_ns=st.integers(0, 12))
    def prove(self, lag_ns: int) -> None:
        """The store shows that what it had acknowledged some time ago is on disk."""
        until_ns = self.now_ns - lag_ns
        self.checkpoint.prove(until_ns)
        for tenure in self.held.values():
            tenure.proven = max(tenure.proven, tenure.prefix(self.settled_ns, until_ns))

    @rule(data=st.data())
    def commit(self, data: st.DataObject) -> None:
        """The broker takes all that is due, or only some."""
        due = self.checkpoint.due()
        taken = {partition: due[partition] for partition in due if data.draw(st.booleans())}
        self.checkpoint.committed(taken)
        for partition, position in taken.items():
            self.held[partition].committed = position.offset

    # --- what must hold ---

    @invariant()
    def due_is_what_moved(self) -> None:
        """Invariants 1 and 4: no further than the proven prefix of this tenure, and no less either."""
        expected = {
            partition: Position(tenure.position)
            for partition, tenure in self.held.items()
            if tenure.position is not None and tenure.position != tenure.committed
        }
        assert self.checkpoint.due() == expected

    @invariant()
    def positions_never_fall(self) -> None:
        """Invariant 2."""
        for partition, position in self.checkpoint.due().items():
            assert position.offset >= self.highest.get(partition, 0)
            self.highest[partition] = position.offset

    @precondition(lambda self: not self.open)
    @rule()
    def all_settled_and_proven_is_all_committable(self) -> None:
        """Invariant 3."""
        self.prove(0)
        due = self.checkpoint.due()
        for partition, tenure in self.held.items():
            if tenure.ends and tenure.committed != tenure.ends[-1]:
                assert due[partition] == Position(tenure.ends[-1])

    @invariant()
    def who_waits_for_a_proof_is_told(self) -> None:
        waiting = [
            self.settled_ns[tenure.tickets[tenure.proven]]
            for tenure in self.held.values()
            if tenure.proven < len(tenure.ends) and tenure.tickets[tenure.proven] in self.settled_ns
        ]
        assert self.checkpoint.oldest_settled_ns() == min(waiting, default=None)

    @invariant()
    def open_work_is_counted(self) -> None:
        assert self.checkpoint.open_tickets == len(self.open)


def test_the_invariants_hold_whatever_happens() -> None:
    run_state_machine_as_test(
        CheckpointMachine, settings=settings(max_examples=150, stateful_step_count=30, deadline=None)
    )


# --- the invariants one by one, small enough to read -------------------------------------------------

FIRST, SECOND = PARTITIONS[:2]


def span(partition: Partition, first: int, end: int) -> Span:
    return Span(partition=partition, first=first, end=end)


def held(*partitions: Partition) -> Checkpoint:
    checkpoint = Checkpoint()
    for partition in partitions:
        checkpoint.hold(partition)
    return checkpoint


def test_nothing_is_due_before_anything_is_settled() -> None:
    checkpoint = held(FIRST)
    checkpoint.begin([span(FIRST, 0, 10)])
    assert checkpoint.due() == {}


def test_what_is_acknowledged_waits_for_its_proof() -> None:
    checkpoint = held(FIRST)
    checkpoint.settle(checkpoint.begin([span(FIRST, 0, 10)]), 5)
    checkpoint.prove(4)
    assert checkpoint.due() == {}
    assert checkpoint.oldest_settled_ns() == 5
    checkpoint.prove(5)
    assert checkpoint.due() == {FIRST: Position(10)}
    assert checkpoint.oldest_settled_ns() is None


def test_later_work_waits_for_earlier_work() -> None:
    checkpoint = held(FIRST)
    early = checkpoint.begin([span(FIRST, 0, 10)])
    late = checkpoint.begin([span(FIRST, 10, 20)])
    checkpoint.settle(late, 1)
    checkpoint.prove(9)
    assert checkpoint.due() == {}
    checkpoint.settle(early, 2)
    checkpoint.prove(9)
    assert checkpoint.due() == {FIRST: Position(20)}


def test_partitions_wait_for_their_own_work_only() -> None:
    checkpoint = held(FIRST, SECOND)
    checkpoint.begin([span(FIRST, 0, 10)])
    both = checkpoint.begin([span(FIRST, 10, 20), span(SECOND, 5, 6)])
    checkpoint.settle(both, 1)
    checkpoint.prove(1)
    assert checkpoint.due() == {SECOND: Position(6)}


def test_what_is_committed_is_no_longer_due() -> None:
    checkpoint = held(FIRST)
    checkpoint.settle(checkpoint.begin([span(FIRST, 0, 10)]), 1)
    checkpoint.prove(1)
    checkpoint.committed({FIRST: Position(10)})
    assert checkpoint.due() == {}


def test_an_answer_from_before_a_partition_was_lost_says_nothing_of_now() -> None:
    checkpoint = held(FIRST)
    before = checkpoint.begin([span(FIRST, 0, 10)])
    checkpoint.release(FIRST)
    checkpoint.hold(FIRST)
    again = checkpoint.begin([span(FIRST, 0, 10)])
    checkpoint.settle(before, 1)
    checkpoint.prove(9)
    assert checkpoint.due() == {}
    checkpoint.settle(again, 2)
    checkpoint.prove(9)
    assert checkpoint.due() == {FIRST: Position(10)}


def test_a_commit_of_a_partition_that_is_gone_is_forgotten() -> None:
    checkpoint = held(FIRST)
    checkpoint.settle(checkpoint.begin([span(FIRST, 0, 10)]), 1)
    checkpoint.prove(1)
    due = checkpoint.due()
    checkpoint.release(FIRST)
    checkpoint.committed(due)
    assert checkpoint.due() == {}


def test_work_is_settled_once() -> None:
    checkpoint = held(FIRST)
    ticket = checkpoint.begin([span(FIRST, 0, 10)])
    checkpoint.settle(ticket, 1)
    with pytest.raises(KeyError):
        checkpoint.settle(ticket, 2)
