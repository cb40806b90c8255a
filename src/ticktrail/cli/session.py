"""One run of a pipeline in the foreground: start, watch, drain, summary."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.live import Live

from ticktrail.cli.pipeline import Pipeline
from ticktrail.cli.view import Totals, View, milliseconds, totals_of
from ticktrail.clock import NS_PER_SECOND, Clock
from ticktrail.telemetry import Snapshot

__all__ = ["Outcome", "run_pipeline"]

_TURN_S = 0.5
# An import of hours of data may leave persist far behind; a live run is milliseconds behind.
_DRAIN_TIMEOUT_S = 600.0

Turn = Callable[[dict[str, Snapshot]], None]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a run ended.

    Parameters
    ----------
    is_drained
        Whether everything received was stored before the stages were stopped. What was not waits in Kafka.
    killed
        Stages that did not stop when asked.
    """

    totals: Totals
    seconds: float
    is_drained: bool
    killed: list[str]

    def rows(self) -> list[tuple[str, str]]:
        """Give the summary, for people."""
        totals = self.totals
        return [
            ("ran", f"{self.seconds:.1f} s"),
            ("received", f"{totals.received:,} records"),
            ("stored", f"{totals.stored:,} records"),
            ("bars", f"{totals.bars:,}"),
            ("dead letters", f"{totals.letters:,}"),
            ("late trades", f"{totals.late:,} (after their minute had closed)"),
            (
                "latency",
                (
                    f"venue → stored p50 {milliseconds(totals.event_to_stored, 0.5)}, "
                    f"p99 {milliseconds(totals.event_to_stored, 0.99)}"
                ),
            ),
        ]

    def to_dict(self) -> dict[str, Any]:
        """Give the summary, for programs."""
        totals = self.totals
        return {
            "seconds": round(self.seconds, 3),
            "received": totals.received,
            "stored": totals.stored,
            "bars": totals.bars,
            "dead_letters": totals.letters,
            "late_trades": totals.late,
            "reconnects": totals.reconnects,
            "is_drained": self.is_drained,
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
        pipeline.start()
        began_ns: int | None = None
        with Live(console=console, transient=True, auto_refresh=False) if view else _NoLive() as live:
            while not stop.is_set() and not any(child.has_ended for child in pipeline.children):
                clock.wait(stop, _TURN_S)
                pipeline.children.watch()
                snapshots = pipeline.snapshots()
                on_turn(snapshots)
                now_ns = clock.monotonic_ns()
                if view is not None:
                    live.update(
                        view.draw(snapshots, now_ns, (now_ns - started_ns) / NS_PER_SECOND), refresh=True
                    )
                # The time counts from the first record, so that a slow start is not part of it.
                if began_ns is None and totals_of(snapshots).received:
                    began_ns = now_ns
                if (
                    seconds is not None
                    and began_ns is not None
                    and now_ns - began_ns > seconds * NS_PER_SECOND
                ):
                    break
        stop.clear()
        pipeline.stop_capture()
        is_drained = _drain(pipeline, clock, stop, console, on_turn)
    finally:
        # A second Ctrl-C must not interrupt the stopping, or something would be left running.
        killed = pipeline.stop()
        for number, handler in handlers.items():
            signal.signal(number, handler)
    return Outcome(
        totals=totals_of(pipeline.snapshots()),
        seconds=(clock.monotonic_ns() - started_ns) / NS_PER_SECOND,
        is_drained=is_drained,
        killed=killed,
    )


def _drain(pipeline: Pipeline, clock: Clock, stop: threading.Event, console: Console, on_turn: Turn) -> bool:
    deadline_ns = clock.monotonic_ns() + int(_DRAIN_TIMEOUT_S * NS_PER_SECOND)
    if on_turn is _no_turn:
        console.print("Storing what is still in Kafka … (Ctrl-C leaves it there for the next start)")
    while not pipeline.is_drained():
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
