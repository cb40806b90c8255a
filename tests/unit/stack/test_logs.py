"""Reading logs that grow, roll over, or are not there."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from ticktrail.stack.logs import follow, last_lines, telling_lines


class ScriptedClock:
    """Does one step of a story whenever `follow` waits."""

    def __init__(self, steps: list[Callable[[], object]]) -> None:
        self._steps = steps

    def now_ns(self) -> int:
        return 0

    def monotonic_ns(self) -> int:
        return 0

    async def sleep(self, seconds: float) -> None:
        raise NotImplementedError

    def wait(self, event: threading.Event, seconds: float) -> bool:
        self._steps.pop(0)()
        return False


def test_last_lines(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("one\ntwo\nthree\n")
    assert last_lines(log, 2) == ["two", "three"]
    assert last_lines(log, 9) == ["one", "two", "three"]
    assert last_lines(log, 9, after_byte=4) == ["two", "three"]


def test_absent_log_has_no_lines(tmp_path: Path) -> None:
    assert last_lines(tmp_path / "none", 5) == []


def test_log_that_rolled_over_is_read_from_its_start(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("new\n")
    assert last_lines(log, 5, after_byte=1000) == ["new"]


def test_follow_waits_for_whole_lines_and_survives_a_roll_over(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("old\n")

    def add(text: str) -> Callable[[], object]:
        def step() -> None:
            with log.open("a") as handle:
                handle.write(text)

        return step

    def roll_over() -> None:
        log.rename(tmp_path / "a.log.1")
        log.write_text("third\n")

    lines = follow(log, ScriptedClock([add("fir"), add("st\nsecond\n"), roll_over]))
    assert [next(lines) for _ in range(3)] == ["first", "second", "third"]


def test_follow_waits_for_a_log_that_is_not_there_yet(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    lines = follow(log, ScriptedClock([lambda: log.write_text("first\n")]))
    assert next(lines) == "first"


def test_telling_lines_are_the_errors() -> None:
    words = ["INFO fine", "ERROR broken", "Caused by: java.lang.Oops", "INFO more"]
    assert telling_lines(words) == ["ERROR broken", "Caused by: java.lang.Oops"]


def test_without_an_error_the_last_words_tell() -> None:
    assert telling_lines([f"line {number}" for number in range(20)])[-1] == "line 19"
