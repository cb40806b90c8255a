"""The state beside the committed offset: read back as written, never too long."""

from __future__ import annotations

from ticktrail.bars.progress import METADATA_BYTES_MAX, Progress


def test_it_is_read_back_as_written() -> None:
    progress = Progress(next_offset=7, open={"sim": {3: -5, 4: 10**18}}, done={"é": [1]}, done_until={"x": 2})
    assert Progress.from_text(progress.to_text()) == progress


def test_days_that_are_forgotten_stay_done() -> None:
    progress = Progress(next_offset=0)
    for day in (5, 3, 9):
        progress.add_done("sim", day)
    progress.forget_oldest()
    progress.forget_oldest()
    assert [progress.is_done("sim", day) for day in (2, 3, 4, 5, 6, 9)] == [True] * 4 + [False, True]
    assert not progress.is_done("other", 3)


def test_it_forgets_days_rather_than_grow_too_long() -> None:
    progress = Progress(next_offset=10**15)
    for day in range(10_000, 12_000):
        progress.add_done("a" * 127, day)
    text = progress.to_text()
    assert len(text) <= METADATA_BYTES_MAX
    assert Progress.from_text(text).is_done("a" * 127, 11_999)
