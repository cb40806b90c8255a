from __future__ import annotations

from ticktrail.feeds.unknown import LABELS_MAX, UnknownCounts


def test_counts_by_label() -> None:
    counts = UnknownCounts()
    assert not counts
    counts.add("field", "t.pks")
    counts.add("field", "t.pks", count=2)
    counts.add("condition", "C", "?")
    assert counts
    assert counts.to_dict() == {"field:t.pks": 3, "condition:C:?": 1}


def test_labels_are_few_and_short_whatever_the_venue_sends() -> None:
    counts = UnknownCounts()
    for number in range(1_000):
        counts.add("message", f"k{number}")
    counts.add("field", "\n")
    counts.add("field", "x" * 17)
    labels = counts.to_dict()
    assert sum(labels.values()) == 1_002
    assert len(labels) <= LABELS_MAX + 2
    assert labels["message:?"] == 1_000 - LABELS_MAX
    assert labels["field:?"] == 2
