"""Which times were covered, and which were not: arithmetic of half-open intervals of nanoseconds."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

__all__ = ["Span", "holes", "merged", "without"]


class Span(NamedTuple):
    """From (inclusive) and to (exclusive), nanoseconds since 1970 in UTC."""

    from_ns: int
    to_ns: int


def merged(spans: Iterable[Span]) -> list[Span]:
    """Join what overlaps or touches; leave out what is empty. Rising, with room between any two."""
    joined: list[Span] = []
    for span in sorted(span for span in spans if span.from_ns < span.to_ns):
        if joined and span.from_ns <= joined[-1].to_ns:
            joined[-1] = Span(joined[-1].from_ns, max(joined[-1].to_ns, span.to_ns))
        else:
            joined.append(span)
    return joined


def without(window: Span, covered: Iterable[Span]) -> list[Span]:
    """Give the parts of a window that nothing covers, rising."""
    left: list[Span] = []
    at_ns = window.from_ns
    for span in merged(covered):
        if span.from_ns >= window.to_ns:
            break
        if span.from_ns > at_ns:
            left.append(Span(at_ns, span.from_ns))
        at_ns = max(at_ns, span.to_ns)
    if at_ns < window.to_ns:
        left.append(Span(at_ns, window.to_ns))
    return left


def holes(covered: Iterable[Span]) -> list[Span]:
    """Give what lies between the first time that is covered and the last one, and is not covered itself."""
    spans = merged(covered)
    return [Span(one.to_ns, other.from_ns) for one, other in pairwise(spans)]
