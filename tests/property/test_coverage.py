"""Coverage and gaps: arithmetic against sets of instants, claims against what was acknowledged."""

from __future__ import annotations

from itertools import pairwise

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from ticktrail.capture.ledger import Ledger
from ticktrail.capture.proofs import Proofs
from ticktrail.capture.spans import Span, holes, merged, without
from ticktrail.clock import NS_PER_SECOND
from ticktrail.model import Gap, Heartbeat
from ticktrail.testing import FakeClock

instants = st.integers(0, 40)
spans = st.builds(Span, instants, instants)


def points(several: list[Span]) -> set[int]:
    return {at for span in several for at in range(span.from_ns, span.to_ns)}


@given(st.lists(spans, max_size=8))
def test_merging_changes_no_instant(several: list[Span]) -> None:
    joined = merged(several)
    assert points(joined) == points(several)
    assert all(one.to_ns < other.from_ns for one, other in pairwise(joined))
    assert all(span.from_ns < span.to_ns for span in joined)


@given(spans, st.lists(spans, max_size=8))
def test_what_is_left_is_what_nothing_covers(window: Span, covered: list[Span]) -> None:
    left = without(window, covered)
    assert points(left) == points([window]) - points(covered)
    assert left == merged(left)


@given(st.lists(spans, max_size=8))
def test_holes_and_spans_make_one_whole(several: list[Span]) -> None:
    found = holes(several)
    everything = points(several)
    whole = set(range(min(everything), max(everything) + 1)) if everything else set()
    assert points(found) | everything == whole
    assert not points(found) & everything


# --- claims ------------------------------------------------------------------------------------------

STEP_NS = 60_000_000

steps = st.lists(
    st.one_of(
        st.tuples(st.just("records"), st.integers(1, 5)),
        st.tuples(st.just("acknowledge"), st.integers(0, 9)),
        st.tuples(st.just("break"), st.integers(1, 5)),
        st.tuples(st.just("write"), st.just(0)),
    ),
    max_size=40,
)


@settings(max_examples=200)
@given(steps)
def test_no_proof_covers_what_is_not_acknowledged_or_was_not_connected(script: list[tuple[str, int]]) -> None:
    """Time passes by steps; `known` has for each instant the batch whose acknowledgement makes it true."""
    proofs = Proofs()
    now, accepted, acknowledged = 1, 0, 0
    known: dict[int, int] = {}
    written: list[Span] = []
    proofs.begin(now * STEP_NS)
    for what, count in script:
        if what == "records":
            for _ in range(count):
                accepted += 1
                known[now] = accepted
                now += 1
                proofs.reach(now * STEP_NS, accepted)
        elif what == "acknowledge":
            acknowledged = min(accepted, acknowledged + count)
        elif what == "break":
            proofs.end()
            now += count  # nobody was connected
            proofs.begin(now * STEP_NS)
        else:
            for proof in proofs.due(acknowledged):
                written.append(proof)
                proofs.written(proof)
                for at in range(proof.from_ns // STEP_NS, proof.to_ns // STEP_NS):
                    assert at in known
                    assert known[at] <= acknowledged
    # In the end everything that was ever true is proven.
    written += proofs.due(accepted)
    covered = {at // STEP_NS for span in written for at in range(span.from_ns, span.to_ns, STEP_NS)}
    assert covered == set(known)


# --- windows -----------------------------------------------------------------------------------------

FROM_NS, TO_NS = 100 * NS_PER_SECOND, 107 * NS_PER_SECOND


class Book:
    """A ledger with a clock, and what it wrote."""

    def __init__(
        self, *, last_ns: int = 0, covered: tuple[Span, ...] = (), rows: tuple[Gap, ...] = ()
    ) -> None:
        self.clock = FakeClock(90 * NS_PER_SECOND)
        self.proofs = Proofs()
        self.ledger = Ledger("sim", self.proofs, 0, self.clock)
        self.written: list[Gap] = []
        self.takes = True
        for span in covered:
            self.proofs.hear(beat(span))
        self.ledger.inform(list(covered), rows, last_ns)

    def write(self, gap: Gap) -> bool:
        if self.takes:
            self.written.append(gap)
        return self.takes

    def echo(self, at_ns: int) -> None:
        """Let an own proof come back."""
        self.ledger.hear(Heartbeat(feed="sim", ts_recv_ns=at_ns, since_ns=self.proofs.since_ns))
        self.ledger.enter(self.write)

    @property
    def latest(self) -> list[tuple[int, int, str, str]]:
        rows = {(row.from_ns, row.cause): row for row in self.written}.values()
        return [(row.from_ns, row.to_ns, row.cause, row.state) for row in rows]


def beat(span: Span) -> Heartbeat:
    return Heartbeat(feed="sim", ts_recv_ns=span.to_ns, since_ns=span.from_ns)


def connected(book: Book, at_ns: int = 90 * NS_PER_SECOND) -> Book:
    book.ledger.resumed(at_ns)
    book.proofs.reach(FROM_NS, 1)
    return book


def test_a_feed_that_was_never_captured_has_no_gap() -> None:
    book = connected(Book())
    book.echo(200 * NS_PER_SECOND)
    assert book.written == []
    assert book.ledger.pending == 0


def test_an_interruption_is_entered_once_the_log_has_moved_on() -> None:
    book = connected(Book())
    book.ledger.interrupted("disconnect", "1006")
    book.ledger.resumed(TO_NS)
    book.echo(TO_NS + NS_PER_SECOND)
    assert book.written == []
    book.echo(TO_NS + 2 * NS_PER_SECOND)
    assert book.latest == [(FROM_NS, TO_NS, "disconnect", "closed")]
    assert book.written[0].detail == "1006"
    book.echo(TO_NS + 9 * NS_PER_SECOND)
    assert len(book.written) == 1


def test_a_row_that_is_not_taken_is_written_later() -> None:
    book = connected(Book())
    book.takes = False
    book.ledger.interrupted("disconnect")
    book.ledger.resumed(TO_NS)
    book.echo(TO_NS + 3 * NS_PER_SECOND)
    assert book.ledger.pending == 1
    book.takes = True
    book.echo(TO_NS + 4 * NS_PER_SECOND)
    assert book.latest == [(FROM_NS, TO_NS, "disconnect", "closed")]


seconds = st.integers(95, 112).map(lambda at: at * NS_PER_SECOND)


@given(st.lists(st.builds(Span, seconds, seconds), max_size=5), st.sampled_from(["disconnect", "overflow"]))
def test_what_another_capture_covered_is_no_gap(others: list[Span], cause: str) -> None:
    book = connected(Book())
    if cause == "disconnect":
        book.ledger.interrupted("disconnect")
        book.ledger.resumed(TO_NS)
    else:
        book.ledger.lost(3)
        book.ledger.lost(4)
        book.ledger.regained(TO_NS)
    for number, span in enumerate(others):
        # Every connection begins at its own nanosecond.
        book.ledger.hear(beat(Span(span.from_ns + number, max(span.to_ns, span.from_ns + number))))
    book.echo(TO_NS + 2 * NS_PER_SECOND)
    found = [Span(row.from_ns, row.to_ns) for row in book.written]
    expected = without(
        Span(FROM_NS, TO_NS),
        [Span(s.from_ns + n, max(s.to_ns, s.from_ns + n)) for n, s in enumerate(others)],
    )
    assert found == expected
    if found == [Span(FROM_NS, TO_NS)] and cause == "overflow":
        assert book.written[0].missing == 7
    else:
        assert {row.missing for row in book.written} <= {-1}


def test_a_long_interruption_is_open_until_it_ends() -> None:
    book = connected(Book())
    book.ledger.interrupted("disconnect")
    book.ledger.enter(book.write)
    assert book.written == []
    book.clock.advance(20)  # at 110 s
    book.ledger.enter(book.write)
    book.ledger.enter(book.write)
    assert book.latest == [(FROM_NS, 110 * NS_PER_SECOND, "disconnect", "open")]
    assert len(book.written) == 1
    book.ledger.resumed(150 * NS_PER_SECOND)
    book.echo(160 * NS_PER_SECOND)
    assert book.latest == [(FROM_NS, 150 * NS_PER_SECOND, "disconnect", "closed")]


def test_while_another_capture_lives_nothing_is_open() -> None:
    book = connected(Book())
    book.ledger.interrupted("disconnect")
    book.clock.advance(20)
    book.ledger.hear(beat(Span(50 * NS_PER_SECOND, 110 * NS_PER_SECOND)))
    book.ledger.enter(book.write)
    assert book.written == []


def test_an_open_row_is_withdrawn_where_another_capture_had_it_all() -> None:
    book = connected(Book())
    book.ledger.interrupted("disconnect")
    book.clock.advance(20)
    book.ledger.enter(book.write)
    book.ledger.hear(beat(Span(50 * NS_PER_SECOND, 120 * NS_PER_SECOND)))
    book.ledger.resumed(115 * NS_PER_SECOND)
    book.echo(118 * NS_PER_SECOND)
    assert book.latest == [(FROM_NS, 110 * NS_PER_SECOND, "disconnect", "covered")]


def test_the_time_that_capture_was_down_begins_with_the_last_proof() -> None:
    covered = (Span(10, 20), Span(30, 50 * NS_PER_SECOND))
    book = connected(Book(last_ns=50 * NS_PER_SECOND, covered=covered))
    book.echo(93 * NS_PER_SECOND)
    assert sorted(book.latest) == [
        (20, 30, "capture_down", "closed"),
        (50 * NS_PER_SECOND, 90 * NS_PER_SECOND, "capture_down", "closed"),
    ]


def test_holes_that_a_row_explains_are_not_found_again() -> None:
    row = Gap(
        feed="sim", channel="*", day=0, from_ns=20, to_ns=30, ts_recv_ns=1, cause="silence", state="closed"
    )
    covered = (Span(10, 20), Span(30, 90 * NS_PER_SECOND))
    book = connected(Book(last_ns=90 * NS_PER_SECOND, covered=covered, rows=(row,)))
    book.echo(93 * NS_PER_SECOND)
    assert book.written == []
    withdrawn = msgspec.structs.replace(row, state="covered")
    book = connected(Book(last_ns=90 * NS_PER_SECOND, covered=covered, rows=(row, withdrawn)))
    book.echo(93 * NS_PER_SECOND)
    assert book.latest == [(20, 30, "capture_down", "closed")]


def test_what_a_dead_capture_left_open_is_closed() -> None:
    last_ns = 50 * NS_PER_SECOND
    row = Gap(
        feed="sim", channel="*", day=0, from_ns=last_ns, to_ns=last_ns + 7, ts_recv_ns=1, cause="disconnect"
    )
    book = connected(Book(last_ns=last_ns, covered=(Span(10, last_ns),), rows=(row,)))
    book.echo(93 * NS_PER_SECOND)
    assert (last_ns, 90 * NS_PER_SECOND, "disconnect", "closed") in book.latest


def test_a_silence_lasts_until_records_come_again() -> None:
    book = connected(Book())
    book.ledger.interrupted("silence")
    book.ledger.resumed(TO_NS)
    assert book.proofs.since_ns == 0, "connected, and still mute"
    book.ledger.interrupted("disconnect")
    book.ledger.resumed(TO_NS + NS_PER_SECOND)
    book.ledger.flows(TO_NS + 4 * NS_PER_SECOND)
    book.echo(TO_NS + 9 * NS_PER_SECOND)
    assert book.latest == [(FROM_NS, TO_NS + 4 * NS_PER_SECOND, "silence", "closed")]


def test_a_hole_in_the_spool_is_cut_out_of_what_is_claimed() -> None:
    book = connected(Book())
    book.proofs.reach(104 * NS_PER_SECOND, 2)
    book.proofs.reach(108 * NS_PER_SECOND, 3)
    book.ledger.damaged(Span(101 * NS_PER_SECOND, 105 * NS_PER_SECOND), "spool")
    proven = merged(book.proofs.due(3))
    assert proven == [
        Span(90 * NS_PER_SECOND, FROM_NS),
        Span(105 * NS_PER_SECOND, 108 * NS_PER_SECOND),
    ]
    book.echo(108 * NS_PER_SECOND)
    assert book.latest == [(101 * NS_PER_SECOND, 105 * NS_PER_SECOND, "damage", "closed")]


def test_a_clock_that_was_set_back_stops_no_proofs() -> None:
    proofs = Proofs()
    proofs.begin(100)
    proofs.reach(200, 1)
    proofs.end()
    proofs.begin(50)
    proofs.reach(70, 2)
    assert Span(50, 70) in proofs.due(2)
