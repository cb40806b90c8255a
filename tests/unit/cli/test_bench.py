"""Which options which benchmark takes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from ticktrail.cli.bench import _arguments
from ticktrail.cli.main import main
from ticktrail.errors import UsageError


def _one(rate: int = 1, seconds: int = 2) -> str:
    return f"{rate} {seconds}"


def _several(rates: Sequence[int] = (1,)) -> str:
    return str(rates)


def test_options_become_arguments() -> None:
    assert _arguments("latency", _one, {"rate": 5, "seconds": 6}) == {"rate": 5, "seconds": 6}


def test_one_rate_is_a_list_where_there_may_be_several() -> None:
    assert _arguments("pipeline", _several, {"rate": 5}) == {"rates": (5,)}


def test_options_of_another_benchmark_are_refused() -> None:
    with pytest.raises(UsageError, match="bench latency has no --svg"):
        _arguments("latency", _one, {"svg": Path("x.svg")})


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("bench sink --replay", "bench sink has no --replay"),
        ("bench latency --seconds 0", "x>=1"),
        ("bench latency --svg /nowhere/x.svg", "its directory does not exist"),
        ("bench sink --rate 5", "bench sink has no --rate"),
        ("bench pipeline --replay --rate 5", "bench pipeline --replay has no --rate"),
        ("bench produce --seconds 5", "bench produce has no --seconds"),
    ],
)
def test_wrong_usage(command: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(command.split())
    assert ended.value.code == 2
    assert words in capsys.readouterr().err


def test_absent_recordings_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["bench", "pipeline", "--replay", "--data", str(tmp_path)])
    assert ended.value.code == 1
    assert "There are no recordings in" in capsys.readouterr().err
