"""The page of results: sections are replaced, words written by hand stay."""

from __future__ import annotations

import importlib

import pytest

from benchmarks.__main__ import NAMES, main, section_of, with_section

PAGE = """# Benchmarks

A head.

## sink

old

<!-- end of sink -->

### Written by hand

stays

## start

also stays

<!-- end of start -->
"""


def test_a_section_takes_its_former_place() -> None:
    page = with_section(PAGE, "sink", "## sink\n\n\\1 new\n\n<!-- end of sink -->\n")
    assert page == PAGE.replace("old", "\\1 new")


def test_a_new_section_comes_last() -> None:
    section = "## produce\n\nnew\n\n<!-- end of produce -->\n"
    page = with_section(PAGE, "produce", section)
    assert page == f"{PAGE}\n{section}"
    assert with_section(page, "produce", section) == page


def test_a_section_tells_the_machine_and_how_to_repeat_it() -> None:
    result = {"name": "replay", "machine": {"cores": 2}, "results": 1, "over_time": [1, 2]}
    section = section_of("replay", "What it is.", result)
    assert section.startswith("## replay\n\n`ticktrail bench pipeline --replay` on: cores 2\n\nWhat it is.\n")
    assert "over_time" not in section
    assert with_section(f"{PAGE}\n{section}", "replay", section) == f"{PAGE}\n{section}"


def test_only_what_has_a_picture_shows_one() -> None:
    result = {"name": "x", "machine": {}}
    assert "assets/latency.svg" in section_of("latency", "", result)
    assert "svg" not in section_of("sink", "", result)


@pytest.mark.parametrize("name", NAMES)
def test_every_name_is_a_benchmark_that_explains_itself(name: str) -> None:
    module = importlib.import_module(f"benchmarks.{name}")
    assert callable(module.main)
    assert module.__doc__


def test_an_unknown_name_ends_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="There is no benchmark snik"):
        main(["snik"])
    assert not capsys.readouterr().out
