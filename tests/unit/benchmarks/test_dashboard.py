"""What the benchmark of the page's server makes of what its clients saw."""

from __future__ import annotations

import asyncio
import gzip
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from websockets.exceptions import ConnectionClosedOK

from benchmarks import dashboard_clients
from benchmarks.dashboard import SYMBOLS_EACH, Sent, last_values, latencies, targets
from benchmarks.dashboard_clients import Followed, Row, Wanted
from benchmarks.dashboard_requests import page_weight
from ticktrail.testing import FakeClock

SENT = Sent({"sim|A": np.array([10, 20, 30, 40]), "sim|B": np.array([15])})


def _row(symbol: str, **others: Any) -> Row:
    fields = {"last": 9.5, "ts_ns": 40, "volume": 100.0, "trades": 4}
    return Row(feed="sim", symbol=symbol, **{**fields, **others})


def test_a_trade_is_seen_by_the_first_row_that_counts_it() -> None:
    recorded = [(12, "sim|A", 1), (35, "sim|A", 3), (36, "sim|B", 1), (47, "sim|A", 4), (60, "sim|A", 4)]
    found, missing = latencies(SENT, recorded, (0, 100), SENT.times_ns)
    assert sorted(found.tolist()) == sorted([12 - 10, 35 - 20, 35 - 30, 47 - 40, 36 - 15])
    assert missing == 0


def test_only_what_was_sent_in_the_time_counts() -> None:
    found, missing = latencies(SENT, [(47, "sim|A", 4)], (20, 40), ["sim|A"])
    assert (found.tolist(), missing) == ([27, 17], 0)


def test_what_no_row_counts_is_missing() -> None:
    found, missing = latencies(SENT, [(25, "sim|A", 2)], (0, 100), SENT.times_ns)
    assert sorted(found.tolist()) == [5, 15]
    assert missing == 3


def test_last_rows_are_held_against_everything() -> None:
    names = [f"S{number:02d}" for number in range(SYMBOLS_EACH)]
    rows = {f"sim|{name}": _row(name) for name in names}
    sent = Sent({name: np.arange(4) for name in rows})
    stored = dict.fromkeys(rows, (9.5, 40))
    told = last_values([Followed(rows=rows)], rows, stored, sent)
    assert told.pop("compared") == SYMBOLS_EACH
    assert set(told.values()) == {0}
    first, second, third, fourth = list(rows)[:4]
    live = {**rows, first: _row(names[0], volume=99.0)}
    stored = {**stored, second: (9.5, 39)}
    sent.times_ns[third] = np.arange(5)
    mine = {name: row for name, row in rows.items() if name != fourth}
    assert last_values([Followed(rows=mine)], live, stored, sent) == {
        "compared": SYMBOLS_EACH - 1,
        "differ_from_api": 1,
        "differ_from_sql": 1,
        "differ_from_log": 1,
        "symbols_missing": 1,
    }


def _results() -> dict[str, Any]:
    return {
        "one_client": {"send_to_message": {"count": 9, "p99_ms": 80.0}, "missing": 0},
        "many_clients": {"messages_per_s": {"least": 9.9}, "holes": 0, "let_go": 0},
        "last_values": {"compared": 10_000, "differ_from_api": 0, "differ_from_sql": 0},
        "history": {"1s": {"p99_ms": 150.0}, "1m": {"p99_ms": 170.0}},
        "page": {"first_view_gzipped_kib": 99.0},
    }


def test_all_targets_are_met_by_good_figures() -> None:
    told = targets(_results())
    assert all(each["is_met"] for each in told.values())
    assert told["history_p99_ms"]["measured"] == 170.0


@pytest.mark.parametrize(
    ("part", "others", "broken"),
    [
        ("one_client", {"missing": 1}, {"send_to_message_p99_ms"}),
        ("many_clients", {"messages_per_s": {"least": 5.0}}, {"least_messages_per_s"}),
        ("many_clients", {"holes": 1}, {"least_messages_per_s", "last_values_wrong"}),
        ("last_values", {"differ_from_sql": 1}, {"last_values_wrong"}),
        ("page", {"first_view_gzipped_kib": 300.0}, {"page_gzipped_kib"}),
    ],
)
def test_a_bad_figure_breaks_its_target(part: str, others: dict[str, Any], broken: set[str]) -> None:
    results = _results()
    results[part] |= others
    assert {name for name, each in targets(results).items() if not each["is_met"]} == broken


def test_a_page_that_is_not_built_meets_nothing() -> None:
    results = {**_results(), "page": page_weight(Path("nowhere"))}
    assert "note" in results["page"]
    assert not targets(results)["page_gzipped_kib"]["is_met"]


def test_the_page_weighs_what_the_first_view_needs(tmp_path: Path) -> None:
    (tmp_path / "assets").mkdir()
    content = bytes(range(256)) * 40
    for name in ("index.html", "assets/chart-1.js", "assets/SqlView-2.js"):
        (tmp_path / name).write_bytes(content)
    told = page_weight(tmp_path)
    assert told["first_view_files"] == 2
    assert told["first_view_kib"] == 20.0
    one = len(gzip.compress(content, 6)) / 1024
    assert told["first_view_gzipped_kib"] == pytest.approx(2 * one, abs=0.06)
    assert told["all_views_gzipped_kib"] == pytest.approx(3 * one, abs=0.06)


class _Socket:
    """Gives messages, then closes."""

    def __init__(self, *messages: Any) -> None:
        self._messages = [msgspec.json.encode(message) for message in messages]

    async def recv(self, *, decode: bool) -> bytes:
        assert not decode
        if not self._messages:
            raise ConnectionClosedOK(None, None)
        return self._messages.pop(0)


def test_a_client_keeps_the_last_row_and_sees_what_is_wrong() -> None:
    first, second = _row("A", trades=3), _row("A")
    socket: Any = _Socket(
        {"type": "snapshot", "seq": 1, "now_ns": 0, "symbols": [first]},
        {"type": "conflated", "seq": 2, "now_ns": 0, "reason": "slow"},
        {"type": "update", "seq": 4, "now_ns": 0, "symbols": [second], "trades": []},
    )
    seen = Followed()
    with pytest.raises(ConnectionClosedOK):
        asyncio.run(dashboard_clients.follow(socket, Wanted(None, 20, is_recorded=True), seen, FakeClock()))
    assert seen.rows == {"sim|A": second}
    assert [(name, trades) for _, name, trades in seen.recorded] == [("sim|A", 3), ("sim|A", 4)]
    assert (seen.holes, seen.slowed, len(seen.times_ns)) == (1, 1, 3)
