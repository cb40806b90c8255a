"""The board of `ticktrail status --watch` fits its terminal, whole or folded."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console
from rich.text import Text

from ticktrail.cli.board import _bytes, _span, board
from ticktrail.stack import ServerStatus, StackStatus
from ticktrail.telemetry import LatencyHistogram
from ticktrail.telemetry.stages import StageRow

SLOW = LatencyHistogram()
SLOW.observe_ns(np.array([7_200 * 10**9]))
FULL = StageRow(
    name="persist",
    kind="persist",
    state="running",
    pid=1,
    age_s=0.2,
    is_running=True,
    records_per_s=119_536.0,
    lag_records=12_345_678,
    lag_s=7_200.0,
    latency=SLOW,
    retries=12_345,
    dead_letters=1_234_567,
    spool_bytes=1023 * 1024**2,
    spool_age_s=99.9,
    checkpoint_age_s=0.0994,
    rss_bytes=300 * 1024**2,
)
STATUS = StackStatus(
    state="up",
    servers=tuple(
        ServerStatus(
            name=name, version="5.0.9", state="unresponsive", log="", address="127.0.0.1:29042", pid=1
        )
        for name in ("kafka", "cassandra")
    ),
    data_dir="/data",
    free_bytes=1,
)


def stages(persists: int) -> list[StageRow]:
    ones = [replace(FULL, name=name, kind=name) for name in ("exchange", "capture", "bars")]
    return ones + [replace(FULL, name=f"persist-{number}") for number in range(persists)]


def drawn(rows: list[StageRow], width: int, height: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width, height=height)
    with console.capture() as capture:
        title = Text("title " * 40, no_wrap=True, overflow="ellipsis")
        console.print(board(title, STATUS, rows, console))
    return capture.get().splitlines()


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 30), (180, 50)])
@pytest.mark.parametrize("persists", [1, 3, 12])
def test_it_fits_and_cuts_no_number(width: int, height: int, persists: int) -> None:
    lines = drawn(stages(persists), width, height)
    assert len(lines) < height, "the cursor's line is left"
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    for number in (
        "119,536",
        "12,345,678",
        "2 h",
        "12,345",
        "1,234,567",
        "1,023 MiB",
        "99.9 s",
        "99.4 ms",
    ):
        assert number in text
    for stage in ("exchange", "capture", "bars", "persist"):
        assert stage in text
    assert text.count("…") == 1, "the title's"


def test_a_wide_terminal_has_one_table_a_narrow_one_two() -> None:
    assert sum(line.strip().startswith("stage") for line in drawn(stages(1), 180, 50)) == 1
    assert sum(line.strip().startswith("stage") for line in drawn(stages(1), 80, 24)) == 2


def test_where_lines_are_few_a_total_stands_for_its_processes() -> None:
    def named(rows: list[str]) -> list[str]:
        return [line for line in rows if "persist-" in line]

    assert len(named(drawn(stages(12), 180, 50))) == 12
    low = drawn(stages(12), 80, 24)
    assert not named(low)
    assert sum("all persist" in line and "12/12 run" in line for line in low) == 2


def test_long_names_are_cut_and_numbers_are_not() -> None:
    rows = [replace(FULL, name="a-stage-with-a-name-that-is-rather-long")]
    text = "\n".join(drawn(rows, 80, 24))
    assert "a-stage-with…" in text
    assert "12,345,678" in text


def test_nothing_yet() -> None:
    assert any("No stage has run here yet" in line for line in drawn([], 80, 24))


def test_spans_and_sizes_are_short() -> None:
    spans = {
        None: "–",
        float("nan"): "–",
        0.0: "0",
        0.0005: "0.5 ms",
        0.02: "20.0 ms",
        0.4: "400 ms",
        1.0: "1.0 s",
    }
    spans |= {99.0: "99.0 s", 100.0: "2 min", 6_100.0: "2 h"}
    assert {seconds: _span(seconds) for seconds in spans} == spans
    sizes = {
        None: "–",
        0: "0",
        512: "512 B",
        1_536: "1.5 KiB",
        300 * 1024**2: "300 MiB",
        3 * 1024**3: "3.0 GiB",
    }
    assert {count: _bytes(count) for count in sizes} == sizes
