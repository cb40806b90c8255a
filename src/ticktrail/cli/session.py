"""One run of a pipeline in the foreground: start, watch, drain, summary."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from rich.console import Console
from rich.text import Text

from ticktrail.cli.live import live_on
from ticktrail.cli.pipeline import Pipeline
from ticktrail.cli.totals import Totals, milliseconds, totals_of
from ticktrail.cli.view import View
from ticktrail.clock import NS_PER_SECOND, Clock
from ticktrail.telemetry import Snapshot

__all__ = ["Outcome", "run_pipeline"]

_TURN_S = 0.5
# An import of hours of data may leave persist far behind; a live run is milliseconds behind.
_DRAIN_TIMEOUT_S = 600.0
# A source may be slow to begin; after that the time counts whether it has begun or not.
_FIRST_RECORD_TIMEOUT_NS = 10 * NS_PER_SECOND

# The most frequent; all of them are among the metrics.
_LABELS_SHOWN = 5

Turn = Callable[[dict[str, Snapshot]], None]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a run ended.

    Parameters
    ----------
    seconds
        From the start of the first stage to the end of the last.
    market_seconds
        From the first record, or from when it was awaited no longer, to the end of the source.
    is_drained
        Whether everything received was stored before the stages were stopped. What was not waits in Kafka.
    killed
        Stages that did not stop when asked.
    restarts
        Stage → how often it died and was started again. Its counts are then those of its last words.
    failures
        What stages that stopped with an error said.
    is_interrupted
        Whether Ctrl-C ended it, not its source or its time.
    """

    totals: Totals
    seconds: float
    market_seconds: float
    is_drained: bool
    killed: list[str]
    restarts: dict[str, int]
    failures: list[str]
    is_interrupted: bool

    @property
    def is_good(self) -> bool:
        """Whether something was received, all of it was stored, and every stage stopped in order."""
        has_come = self.totals.received > 0 or self.is_interrupted
        return has_come and self.is_drained and not self.killed and not self.failures

    def rows(self) -> list[tuple[str, str]]:
        """Give the summary, for people."""
        totals = self.totals
        restarted = ", ".join(f"{stage} {count}\u00d7" for stage, count in self.restarts.items())
        again = [("restarted", f"{restarted} (counts are those of the last words)")] if restarted else []
        labels = [f"{label} {count:,}" for label, count in list(totals.unknown.items())[:_LABELS_SHOWN]]
        unknown = (
            [("passed over", f"{sum(totals.unknown.values()):,} ({', '.join(labels)})")] if labels else []
        )
        late = " (stored; their minute had closed, its bar is rebuilt)" if totals.late else ""
        surplus = f" ({totals.surplus:,} left by an earlier run, or stored again)" if totals.surplus else ""
        return [
            ("ran", f"{self.market_seconds:.1f} s; with start and end {self.seconds:.1f} s"),
            ("received", f"{totals.received:,} records"),
            ("stored", f"{totals.stored:,} records{surplus}"),
            ("bars", f"{totals.bars:,}"),
            ("dead letters", f"{totals.letters:,}"),
            *unknown,
            ("late trades", f"{totals.late:,}{late}"),
            (
                "latency",
                (
                    f"venue → stored p50 {milliseconds(totals.event_to_stored, 0.5)}, "
                    f"p99 {milliseconds(totals.event_to_stored, 0.99)}"
                ),
            ),
            *again,
        ]

    def to_dict(self) -> dict[str, Any]:
        """Give the summary, for programs."""
        totals = self.totals
        return {
            "seconds": round(self.seconds, 3),
            "market_seconds": round(self.market_seconds, 3),
            "received": totals.received,
            "stored": totals.stored,
            "bars": totals.bars,
            "dead_letters": totals.letters,
            "passed_over": totals.unknown,
            "late_trades": totals.late,
            "reconnects": totals.reconnects,
            "restarts": self.restarts,
            "is_drained": self.is_drained,
            "is_interrupted": self.is_interrupted,
            "killed": self.killed,
            "failures": self.failures,
            "latency_event_to_stored_ms": {
                name: totals.event_to_stored.quantile_ns(quantile) / 1e6
                for name, quantile in (("p50", 0.5), ("p99", 0.99))
            }
            if totals.event_to_stored.count
            else None,
        }


def _no_turn(snapshots: dict[str, Snapshot]) -> None:
    del snapshots


def run_pipeline(
    pipeline: Pipeline,
    clock: Clock,
    view: View | None,
    seconds: float | None,
    console: Console,
    on_turn: Turn = _no_turn,
) -> Outcome:
    """Run until the source ends, the time is over, or Ctrl-C; then store what is left and stop.

    Parameters
    ----------
    view
        Drawn while it runs; None draws nothing.
    seconds
        How long; None until the end or Ctrl-C.
    on_turn
        Told of the stages' state twice a second, also while the rest is stored.

    Raises
    ------
    StageFailed
        A stage ended and cannot be started again. All others are stopped.
    """
    stop = threading.Event()
    handlers = {
        number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)
    }
    started_ns = clock.monotonic_ns()
    killed: list[str] = []
    try:
        pipeline.start(stop)
        # Persist has worked off what an earlier run had left in Kafka, before there was a source.
        before = totals_of(pipeline.snapshots())
        if view is not None:
            view.leave_out(before)
        market_s = _watch(pipeline, clock, stop, (view, seconds), console, on_turn)
        is_interrupted = stop.is_set()
        stop.clear()
        # Once the exchange has gone capture looks for it in vain, which is no reconnect.
        reconnects = totals_of(pipeline.snapshots()).reconnects
        pipeline.stop_capture(stop)
        is_drained = _drain(pipeline, clock, stop, console, on_turn)
    finally:
        # A second Ctrl-C must not interrupt the stopping, or something would be left running.
        killed = pipeline.stop()
        for number, handler in handlers.items():
            signal.signal(number, handler)
    return Outcome(
        totals=replace(totals_of(pipeline.snapshots()).since(before), reconnects=reconnects),
        seconds=(clock.monotonic_ns() - started_ns) / NS_PER_SECOND,
        market_seconds=market_s,
        is_drained=is_drained,
        killed=killed,
        restarts=dict(pipeline.children.restarts),
        failures=[str(failure) for failure in pipeline.children.failures],
        is_interrupted=is_interrupted,
    )


def _watch(
    pipeline: Pipeline,
    clock: Clock,
    stop: threading.Event,
    shown: tuple[View | None, float | None],
    console: Console,
    on_turn: Turn,
) -> float:
    """Wait until the source ends, the time is over, or Ctrl-C; start again what dies, and draw.

    Returns
    -------
    Seconds since the first record.
    """
    view, seconds = shown
    started_ns = clock.monotonic_ns()
    began_ns: int | None = None
    is_page_told = False
    with live_on(console) if view is not None else _NoLive() as live:
        while not stop.is_set() and not any(child.has_ended for child in pipeline.children):
            clock.wait(stop, _TURN_S)
            pipeline.children.watch()
            _tell_news(pipeline, console)
            if not is_page_told and pipeline.page_url is not None:
                is_page_told = True
                console.print(Text(f"The page is at {pipeline.page_url}"), soft_wrap=True)
            snapshots = pipeline.snapshots()
            on_turn(snapshots)
            now_ns = clock.monotonic_ns()
            if view is not None:
                drawn = view.draw(snapshots, now_ns, (now_ns - started_ns) / NS_PER_SECOND, console)
                live.update(drawn, refresh=True)
            # The time counts from the first record, so that a slow start is not part of it.
            has_begun = totals_of(snapshots).received or now_ns - started_ns > _FIRST_RECORD_TIMEOUT_NS
            if began_ns is None and has_begun:
                began_ns = now_ns
            if seconds is not None and began_ns is not None and now_ns - began_ns > seconds * NS_PER_SECOND:
                break
    return 0.0 if began_ns is None else (clock.monotonic_ns() - began_ns) / NS_PER_SECOND


def _tell_news(pipeline: Pipeline, console: Console) -> None:
    for line in pipeline.children.news():
        console.print(Text(line, style="yellow"), soft_wrap=True)


def _drain(pipeline: Pipeline, clock: Clock, stop: threading.Event, console: Console, on_turn: Turn) -> bool:
    deadline_ns = clock.monotonic_ns() + int(_DRAIN_TIMEOUT_S * NS_PER_SECOND)
    if on_turn is _no_turn:
        console.print("Storing what is still in Kafka … (Ctrl-C leaves it there for the next start)")
    while not pipeline.is_drained():
        _tell_news(pipeline, console)
        on_turn(pipeline.snapshots())
        if stop.is_set() or clock.monotonic_ns() > deadline_ns:
            return False
        pipeline.children.watch()
        clock.wait(stop, _TURN_S / 2)
    on_turn(pipeline.snapshots())
    return True


class _NoLive:
    """Stands in for `Live` where nothing is drawn."""

    def __enter__(self) -> _NoLive:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def update(self, *_: object, **__: object) -> None:
        """Draw nothing."""
