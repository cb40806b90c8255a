"""The picture of latencies over time, read as XML."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from benchmarks.plot import Line, plot

SVG = "{http://www.w3.org/2000/svg}"


def _points(svg: str, color: str) -> list[list[tuple[float, float]]]:
    """Give the unbroken stretches of the line of a colour; the last path of it, behind the legend's."""
    paths = [each for each in ElementTree.fromstring(svg).iter(f"{SVG}path") if each.get("stroke") == color]
    data = paths[-1].get("d") or ""
    return [
        [(float(x), float(y)) for x, y in re.findall(r"([\d.]+) ([\d.]+)", stretch)]
        for stretch in data.split("M")[1:]
    ]


def test_equal_factors_are_equal_distances() -> None:
    (points,) = _points(plot("t", "n", [Line("p99", "#c00", [3, 30, 300])], 1), "#c00")
    (x0, y0), (x1, y1), (x2, y2) = points
    assert y0 > y1 > y2  # upwards
    assert y0 - y1 == pytest.approx(y1 - y2, abs=0.2)
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.2)


def test_lines_share_their_axes() -> None:
    svg = plot("t", "n", [Line("a", "#a00", [5, 20]), Line("b", "#b00", [20, 700])], 10)
    (first,), (second,) = _points(svg, "#a00"), _points(svg, "#b00")
    assert first[1][1] == second[0][1]
    assert [x for x, _ in first] == [x for x, _ in second]


def test_a_hole_breaks_the_line() -> None:
    stretches = _points(plot("t", "n", [Line("a", "#a00", [1, 2, None, 4, None])], 1), "#a00")
    assert [len(stretch) for stretch in stretches] == [2, 1]


def test_everything_stays_inside() -> None:
    svg = plot("t", "n", [Line("a", "#a00", [0.0, 0.004, 99_999.0])], 1)
    assert all(0 < x < 920 and 0 < y < 380 for stretch in _points(svg, "#a00") for x, y in stretch)


def test_words_are_escaped_and_the_legend_is_complete() -> None:
    svg = plot("a < b", "x & y", [Line("p50", "#a00", [1]), Line("p<99", "#b00", [2], is_dashed=True)], 1)
    words = [text.text for text in ElementTree.fromstring(svg).iter(f"{SVG}text")]
    assert {"a < b", "x & y", "p50", "p<99", "ms", "seconds"} <= set(words)


def test_long_runs_are_told_in_minutes() -> None:
    svg = plot("t", "n", [Line("a", "#a00", [1.0] * 60)], 10)
    words = [text.text for text in ElementTree.fromstring(svg).iter(f"{SVG}text")]
    assert {"minutes", "0", "10"} <= set(words)


def test_nothing_cannot_be_drawn() -> None:
    with pytest.raises(ValueError, match="nothing to draw"):
        plot("t", "n", [Line("a", "#a00", [None, None])], 1)
