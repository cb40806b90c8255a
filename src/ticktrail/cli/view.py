"""The live terminal view of a running pipeline, made from the stages' snapshots."""

from __future__ import annotations

import math
from collections import deque
from datetime import UTC, datetime

from rich.columns import Columns as SideBySide
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from ticktrail.cli.totals import Totals, milliseconds, totals_of
from ticktrail.clock import NS_PER_SECOND
from ticktrail.telemetry import Snapshot

__all__ = ["View"]

_RATE_WINDOW_NS = 5 * NS_PER_SECOND
_LATENCY_WINDOW_NS = 10 * NS_PER_SECOND
# Lines below the panels above that are no symbol: the last panel's frame and header, and the cursor's.
_OTHER_LINES = 2 + 1 + 1
# Columns from which on there is room for all prices.
_WIDE = 90


class View:
    """Draws; holds the last seconds' totals for the rates and latencies.

    Parameters
    ----------
    title
        What is shown; says where the market is simulated.
    """

    def __init__(self, title: Text) -> None:
        self._title = title
        self._history: deque[tuple[int, Totals]] = deque()
        self._persist: deque[Snapshot] = deque(maxlen=2)
        self._before: Totals | None = None

    def leave_out(self, before: Totals) -> None:
        """Count only from here on: what was stored before is an earlier run's."""
        self._before = before

    def draw(
        self, snapshots: dict[str, Snapshot], now_ns: int, elapsed_s: float, console: Console
    ) -> RenderableType:
        """Draw the present state.

        Parameters
        ----------
        now_ns
            Monotonic time.
        elapsed_s
            Since the start, for the title.
        console
            Of the terminal; it shows as many symbols as fit.
        """
        totals = totals_of(self._of_one_moment(snapshots))
        if self._before is not None:
            totals = totals.since(self._before)
        self._history.append((now_ns, totals))
        while now_ns - self._history[0][0] > _LATENCY_WINDOW_NS:
            self._history.popleft()
        title = Text.assemble(self._title, ("   ", ""), (f"{elapsed_s:.0f} s", "dim"))
        above = Group(title, SideBySide([self._flow(totals), self._latency(totals)]))
        free = console.height - len(console.render_lines(above)) - _OTHER_LINES
        return Group(above, _market(snapshots, max(1, free), console.width))

    def _of_one_moment(self, snapshots: dict[str, Snapshot]) -> dict[str, Snapshot]:
        """Take persist's word before its last where that is newer than capture's.

        Each stage writes its own twice a second: what one has stored the other would not have received yet.
        """
        capture, persist = snapshots.get("capture"), snapshots.get("persist")
        if persist is None:
            return snapshots
        if not self._persist or self._persist[-1].ts_ns != persist.ts_ns:
            self._persist.append(persist)
        if capture is None or capture.is_final or persist.ts_ns <= capture.ts_ns:
            return snapshots
        return snapshots | {"persist": self._persist[0]}

    def _rate(self, name: str) -> str:
        end_ns, last = self._history[-1]
        begin_ns, first = next(old for old in self._history if end_ns - old[0] <= _RATE_WINDOW_NS)
        if end_ns == begin_ns:
            return "–"
        per_s = (getattr(last, name) - getattr(first, name)) * NS_PER_SECOND / (end_ns - begin_ns)
        return f"{per_s:,.0f}/s"

    def _flow(self, totals: Totals) -> Panel:
        table = Table("", "total", "rate", box=None, header_style="dim")
        table.columns[1].justify = table.columns[2].justify = "right"
        table.add_row("received", f"{totals.received:,}", self._rate("received"))
        table.add_row("on the way", f"{totals.on_the_way:,}", "")
        table.add_row("stored", f"{totals.stored:,}", self._rate("stored"))
        table.add_row("bars closed", f"{totals.bars:,}", self._rate("bars"))
        table.add_row("dead letters", f"{totals.letters:,}", "", style="red" if totals.letters else None)
        table.add_row("late trades", f"{totals.late:,}", "")
        return Panel(table, title="flow")

    def _latency(self, totals: Totals) -> Panel:
        table = Table("", "p50", "p99", box=None, header_style="dim")
        table.columns[1].justify = table.columns[2].justify = "right"
        first = self._history[0][1]
        for name, histogram in (
            ("from venue", totals.event_to_stored - first.event_to_stored),
            ("from receipt", totals.recv_to_stored - first.recv_to_stored),
        ):
            table.add_row(name, milliseconds(histogram, 0.5), milliseconds(histogram, 0.99))
        return Panel(table, title="latency until stored, last 10 s")


def _market(snapshots: dict[str, Snapshot], symbols_max: int, width: int) -> Panel:
    prices = ("open", "high", "low") if width < _WIDE else ("open", "high", "low", "vwap")
    table = Table("symbol", "last", "", *prices, "volume", "trades", box=None, header_style="dim")
    for column in table.columns:
        column.no_wrap = True
    for column in table.columns[1:]:
        column.justify = "right"
    bars = snapshots["bars"].view.get("forming", []) if "bars" in snapshots else []
    newest = max((bar["ts_open_ns"] for bar in bars), default=0)
    shown = [bar for bar in bars if bar["ts_open_ns"] == newest][:symbols_max]
    for bar in shown:
        change = (bar["close"] or math.nan) - (bar["open"] or math.nan)
        style = "green" if change > 0 else "red" if change < 0 else "dim"
        table.add_row(
            bar["symbol"],
            Text(_price(bar["close"]), style=style),
            Text("▲" if change > 0 else "▼" if change < 0 else "·", style=style),
            *(_price(bar[name]) for name in prices),
            f"{bar['volume']:,.0f}",
            f"{bar['trades']:,}",
        )
    minute = datetime.fromtimestamp(newest / NS_PER_SECOND, UTC).strftime("%H:%M UTC") if newest else "…"
    return Panel(table, title=f"last prices, bars of {minute} forming (most traded first)")


def _price(value: float | None) -> str:
    return "–" if value is None or math.isnan(value) else f"{value:,.2f}"
