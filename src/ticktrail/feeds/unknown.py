"""Counting what a parser does not know, under labels whose number is bounded."""

from __future__ import annotations

from collections import Counter

__all__ = ["LABELS_MAX", "UnknownCounts"]

# A venue in trouble could send any number of different names; counters made of them must stay few.
LABELS_MAX = 64
_PART_CHARS_MAX = 16


class UnknownCounts:
    """Counts for `ticktrail.feeds.base.Parsed.unknown` of one batch."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def add(self, family: str, *parts: str, count: int = 1) -> None:
        """Count under ``family:part:part``.

        Parts that are long or not printable ASCII become ``?``; once there are `LABELS_MAX` labels,
        new ones are counted as ``family:?``.
        """
        label = ":".join((family, *map(_bounded, parts)))
        if label not in self._counts and len(self._counts) >= LABELS_MAX:
            label = f"{family}:?"
        self._counts[label] += count

    def __bool__(self) -> bool:
        return bool(self._counts)

    def to_dict(self) -> dict[str, int]:
        """Give the counts by label."""
        return dict(self._counts)


def _bounded(part: str) -> str:
    sound = 0 < len(part) <= _PART_CHARS_MAX and part.isascii() and part.isprintable()
    return part if sound else "?"
