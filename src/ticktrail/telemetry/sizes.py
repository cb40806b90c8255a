"""Sizes of batches, in 22 buckets: one observation per batch, so plain Python is quick enough."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["SizeHistogram"]

# Bucket n ≥ 1 holds the sizes above 2**(n - 1) and up to 2**n; bucket 0 holds 0 and 1; the last all above.
_DOUBLINGS = 20
_BUCKETS = _DOUBLINGS + 2


class SizeHistogram:
    """A distribution of sizes. Not thread-safe; `ticktrail.telemetry.metrics` locks."""

    __slots__ = ("_counts", "_total")

    def __init__(self) -> None:
        self._counts = [0] * _BUCKETS
        self._total = 0

    @property
    def count(self) -> int:
        """How many sizes were observed."""
        return sum(self._counts)

    @property
    def total(self) -> int:
        """Their sum."""
        return self._total

    @property
    def mean(self) -> float:
        """Their mean, exactly; NaN while nothing was observed."""
        return self._total / count if (count := self.count) else float("nan")

    def observe(self, size: int) -> None:
        """Count one size ≥ 0."""
        if size < 0:
            raise ValueError(f"a size cannot be negative, got {size}")
        self._counts[min(max(size - 1, 0).bit_length(), _BUCKETS - 1)] += 1
        self._total += size

    def cumulative(self) -> list[tuple[int, int]]:
        """List, per power of two, how many sizes are at most that."""
        result, below = [], 0
        for doubling in range(_DOUBLINGS + 1):
            below += self._counts[doubling]
            result.append((1 << doubling, below))
        return result

    def __add__(self, other: SizeHistogram) -> SizeHistogram:
        both = SizeHistogram()
        both._counts = [a + b for a, b in zip(self._counts, other._counts, strict=True)]
        both._total = self._total + other._total
        return both

    def __sub__(self, earlier: SizeHistogram) -> SizeHistogram:
        """Give what was observed since an earlier state of the same histogram."""
        since = SizeHistogram()
        since._counts = [a - b for a, b in zip(self._counts, earlier._counts, strict=True)]
        since._total = self._total - earlier._total
        return since

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SizeHistogram) and self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]  # mutable

    def __repr__(self) -> str:
        return f"SizeHistogram(n={self.count}, mean={self.mean:.3g})"

    def to_dict(self) -> dict[str, Any]:
        """Give a form that JSON can hold; only the buckets in use, by the exponent of their bound."""
        counts = {str(bucket): count for bucket, count in enumerate(self._counts) if count}
        return {"counts": counts, "total": self._total}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> SizeHistogram:
        """Undo `to_dict`."""
        histogram = cls()
        for bucket, count in data["counts"].items():
            histogram._counts[int(bucket)] = count
        histogram._total = data["total"]
        return histogram
