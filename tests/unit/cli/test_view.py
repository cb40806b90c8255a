"""The live view fits its terminal, and its numbers add up."""

from __future__ import annotations

import io
import re
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from rich.live import Live
from rich.text import Text

from ticktrail.cli.live import live_on
from ticktrail.cli.totals import totals_of
from ticktrail.cli.view import View
from ticktrail.clock import NS_PER_MS, NS_PER_SECOND
from ticktrail.telemetry import LatencyHistogram, Snapshot
from ticktrail.telemetry.snapshot import Sample

FORMING = [
    {
        "symbol": f"S{number}",
        "ts_open_ns": 60 * NS_PER_SECOND,
        **dict.fromkeys(("open", "high", "low", "vwap", "close"), 1_000.0 + number),
        "volume": 1_000_000.0,
        "trades": 10_000 - number,
    }
    for number in range(40)
]
LATENCY = "ticktrail_persist_event_to_stored_seconds"


def word(name: str, ts_s: float, *counters: tuple[str, int], **more: Any) -> Snapshot:
    return Snapshot(
        name=name,
        pid=1,
        started_ns=0,
        ts_ns=int(ts_s * NS_PER_SECOND),
        counters=[Sample(f"ticktrail_{metric}", {}, value) for metric, value in counters],
        **more,
    )


def words(received: int, stored: int, *latencies_ms: int, capture_s: float = 1.0) -> dict[str, Snapshot]:
    histogram = LatencyHistogram()
    histogram.observe_ns(np.array(latencies_ms, dtype=np.int64) * NS_PER_MS)
    return {
        "capture": word("capture", capture_s, ("capture_sent_records_total", received)),
        "persist": word(
            "persist",
            1.0,
            ("persist_stored_records_total", stored),
            latencies=[Sample(LATENCY, {}, histogram.to_dict())],
        ),
        "bars": word("bars", 1.0, view={"forming": FORMING}),
    }


def drawn(
    view: View, snapshots: dict[str, Snapshot], now_s: float, width: int = 80, height: int = 24
) -> list[str]:
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=False)
    with console.capture() as capture:
        console.print(view.draw(snapshots, int(now_s * NS_PER_SECOND), now_s, console))
    return capture.get().splitlines()


def figure(lines: list[str], name: str) -> int:
    found = re.search(rf"│ +{name} +([\d,]+)", "\n".join(lines))
    assert found is not None
    return int(found[1].replace(",", ""))


@pytest.mark.parametrize(("width", "height"), [(80, 24), (140, 40), (60, 30), (100, 12)])
def test_it_fills_the_terminal_and_no_more(width: int, height: int) -> None:
    lines = drawn(View(Text("title")), words(123_456_789, 123_400_000, 7_700), 1.0, width, height)
    assert max(map(len, lines)) <= width
    symbols = [line for line in lines if re.search(r" S\d+ ", line)]
    assert symbols
    assert lines[-1].startswith("╰")
    if height >= 24:
        assert len(lines) == height - 1


def test_received_is_stored_and_on_the_way() -> None:
    lines = drawn(View(Text("title")), words(19_256, 10_016), 1.0)
    assert figure(lines, "received") == 19_256
    assert figure(lines, "on the way") == 9_240
    assert figure(lines, "stored") == 10_016


def test_no_more_is_stored_than_was_received_where_one_stage_spoke_later() -> None:
    view = View(Text("title"))
    drawn(view, words(100, 90), 1.0)
    later = words(100, 350) | {"persist": word("persist", 1.4, ("persist_stored_records_total", 350))}
    assert figure(drawn(view, later, 1.5), "stored") == 90


def test_an_earlier_runs_rest_is_left_out() -> None:
    view = View(Text("title"))
    view.leave_out(totals_of(words(0, 11)))
    assert figure(drawn(view, words(100, 111), 1.0), "stored") == 100


def test_latencies_are_those_of_the_last_ten_seconds() -> None:
    view = View(Text("title"))
    slow = [5_000] * 100
    drawn(view, words(0, 0, *slow), 1.0)
    text = "\n".join(drawn(view, words(0, 0, *slow, *[20] * 10), 6.0))
    assert "last 10 s" in text
    found = re.search(r"from venue +([\d.]+) ms +([\d.]+) ms", text)
    assert found is not None
    assert [float(value) for value in found.groups()] == pytest.approx([20, 20], rel=0.05)


def test_nothing_of_it_stays_on_the_screen() -> None:
    out = io.StringIO()
    console = Console(file=out, width=80, height=24, force_terminal=True)
    with live_on(console) as live:
        assert isinstance(live, Live)
        live.update(View(Text("title")).draw(words(1, 1), 1, 1.0, console), refresh=True)
        out.truncate(0)
    assert "title" not in out.getvalue()
    assert "╰" not in out.getvalue()
