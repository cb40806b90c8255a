"""The live terminal view of a running pipeline, made from the stages' snapshots."""

from __future__ import annotations

import math
from collections import Counter, deque
from dataclasses import dataclass
from datetime import UTC, datetime

from rich.columns import Columns as SideBySide
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from ticktrail.clock import NS_PER_MS, NS_PER_SECOND
from ticktrail.telemetry import LatencyHistogram, Snapshot

__all__ = ["Totals", "View", "milliseconds", "totals_of"]

_RATE_WINDOW_NS = 5 * NS_PER_SECOND
_SHOWN_SYMBOLS = 12


@dataclass(frozen=True, kw_only=True)
class Totals:
    """What a pipeline has done since it was started.

    Parameters
    ----------
    received
        Records that capture handed to Kafka.
    stored
        Records acknowledged by Cassandra, bars not counted.
    letters
        Values in dead-letters.
    late
        Trades that came after their minute's bar had closed.
    lag
        Values in Kafka that persist has not taken yet.
    unknown
        What the feed's parser passed over, by label: kinds of messages and fields that it does not know,
        symbols that were not asked for.
    """

    received: int
    stored: int
    bars: int
    letters: int
    late: int
    lag: int
    reconnects: int
    unknown: dict[str, int]
    event_to_stored: LatencyHistogram
    recv_to_stored: LatencyHistogram


def totals_of(snapshots: dict[str, Snapshot]) -> Totals:
    """Sum up the stages' counters."""
    capture = snapshots.get("capture")
    persist = snapshots.get("persist")
    bars = snapshots.get("bars")

    def total(snapshot: Snapshot | None, name: str, **labels: str) -> int:
        return snapshot.total(name, **labels) if snapshot is not None else 0

    def latency(name: str) -> LatencyHistogram:
        return persist.latency(name) if persist is not None else LatencyHistogram()

    return Totals(
        received=total(capture, "ticktrail_capture_sent_records_total"),
        stored=total(persist, "ticktrail_persist_stored_records_total"),
        bars=total(bars, "ticktrail_bars_closed_bars_total"),
        letters=total(persist, "ticktrail_persist_dead_letters_total")
        + total(capture, "ticktrail_capture_rejected_messages_total"),
        late=total(bars, "ticktrail_bars_late_trades_total", interval="1m"),
        lag=int(persist.gauge("ticktrail_persist_lag_records")) if persist is not None else 0,
        reconnects=total(capture, "ticktrail_capture_reconnects_total"),
        unknown=_passed_over(capture),
        event_to_stored=latency("ticktrail_persist_event_to_stored_seconds"),
        recv_to_stored=latency("ticktrail_persist_recv_to_stored_seconds"),
    )


def _passed_over(capture: Snapshot | None) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for sample in capture.counters if capture is not None else ():
        if sample.name == "ticktrail_capture_unknown_items_total":
            counts[sample.labels["item"]] += int(sample.value)
    return dict(counts.most_common())


def milliseconds(histogram: LatencyHistogram, quantile: float) -> str:
    """Print a quantile, or a dash while nothing was observed."""
    value_ns = histogram.quantile_ns(quantile)
    return "–" if math.isnan(value_ns) else f"{value_ns / NS_PER_MS:.1f} ms"


class View:
    """Draws; holds the last seconds' totals for the rates.

    Parameters
    ----------
    title
        What is shown; says where the market is simulated.
    """

    def __init__(self, title: Text) -> None:
        self._title = title
        self._history: deque[tuple[int, Totals]] = deque()

    def draw(self, snapshots: dict[str, Snapshot], now_ns: int, elapsed_s: float) -> RenderableType:
        """Draw the present state.

        Parameters
        ----------
        now_ns
            Monotonic time.
        elapsed_s
            Since the start, for the title.
        """
        totals = totals_of(snapshots)
        self._history.append((now_ns, totals))
        while now_ns - self._history[0][0] > _RATE_WINDOW_NS:
            self._history.popleft()
        title = Text.assemble(self._title, ("   ", ""), (f"{elapsed_s:.0f} s", "dim"))
        return Group(title, SideBySide([self._flow(totals), self._latency(totals)]), _market(snapshots))

    def _rate(self, name: str) -> str:
        (begin_ns, first), (end_ns, last) = self._history[0], self._history[-1]
        if end_ns == begin_ns:
            return "–"
        per_s = (getattr(last, name) - getattr(first, name)) * NS_PER_SECOND / (end_ns - begin_ns)
        return f"{per_s:,.0f}/s"

    def _flow(self, totals: Totals) -> Panel:
        table = Table("", "total", "rate", box=None, header_style="dim")
        table.columns[1].justify = table.columns[2].justify = "right"
        table.add_row("received → Kafka", f"{totals.received:,}", self._rate("received"))
        table.add_row("Kafka → Cassandra", f"{totals.stored:,}", self._rate("stored"))
        table.add_row("bars closed", f"{totals.bars:,}", self._rate("bars"))
        table.add_row("lag in Kafka", f"{totals.lag:,}", "")
        table.add_row("dead letters", f"{totals.letters:,}", "", style="red" if totals.letters else None)
        table.add_row("late trades", f"{totals.late:,}", "")
        return Panel(table, title="flow")

    def _latency(self, totals: Totals) -> Panel:
        table = Table("", "p50", "p99", box=None, header_style="dim")
        table.columns[1].justify = table.columns[2].justify = "right"
        for name, histogram in (
            ("venue → stored", totals.event_to_stored),
            ("received → stored", totals.recv_to_stored),
        ):
            table.add_row(name, milliseconds(histogram, 0.5), milliseconds(histogram, 0.99))
        return Panel(table, title="latency")


def _market(snapshots: dict[str, Snapshot]) -> Panel:
    table = Table("symbol", "last", "", "open", "high", "low", "vwap", "volume", "trades", box=None)
    table.header_style = "dim"
    for column in table.columns[1:]:
        column.justify = "right"
    bars = snapshots["bars"].view.get("forming", []) if "bars" in snapshots else []
    newest = max((bar["ts_open_ns"] for bar in bars), default=0)
    shown = [bar for bar in bars if bar["ts_open_ns"] == newest][:_SHOWN_SYMBOLS]
    for bar in shown:
        change = (bar["close"] or math.nan) - (bar["open"] or math.nan)
        style = "green" if change > 0 else "red" if change < 0 else "dim"
        prices = [_price(bar[name]) for name in ("open", "high", "low", "vwap")]
        arrow = Text("▲" if change > 0 else "▼" if change < 0 else "·", style=style)
        table.add_row(
            bar["symbol"],
            Text(_price(bar["close"]), style=style),
            arrow,
            *prices,
            f"{bar['volume']:,.0f}",
            f"{bar['trades']:,}",
        )
    minute = datetime.fromtimestamp(newest / NS_PER_SECOND, UTC).strftime("%H:%M UTC") if newest else "…"
    return Panel(table, title=f"last prices, bars of {minute} forming (most traded first)")


def _price(value: float | None) -> str:
    return "–" if value is None or math.isnan(value) else f"{value:,.2f}"
