"""Capture, persist and bars of one feed as supervised processes; with a simulated exchange where asked."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

from ticktrail.bus import Topics, uncommitted
from ticktrail.cli.children import Children
from ticktrail.clock import NS_PER_SECOND, Clock
from ticktrail.config import Settings
from ticktrail.errors import FeedDisconnected
from ticktrail.telemetry import Health, Snapshot, read_snapshots, run_dir

__all__ = ["Exchange", "Pipeline"]


# A stage that reads from Kafka has set this gauge.
_READY = {"persist": "ticktrail_persist_open_polls", "bars": "ticktrail_bars_lag_records"}
_READY_TIMEOUT_NS = 60 * NS_PER_SECOND
_READ_TIMEOUT_NS = 30 * NS_PER_SECOND
_LOOK_S = 0.1


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """What the simulated exchange is to do; see `ticktrail exchange --help`.

    Parameters
    ----------
    rate
        Trades per second.
    log_dir
        Where it notes what it sent; None does not.
    """

    symbols: int = 200
    rate: float = 2_000.0
    seed: int = 1
    log_dir: Path | None = None


class Pipeline:
    """The stages of one feed. Used by one thread.

    Parameters
    ----------
    feed
        Its name.
    subscription
        Further arguments of `ticktrail capture`.
    exchange
        Starts a simulated exchange, from which the feed ``sim`` then reads.
    passed_on
        ``--config``, ``--set`` … for every stage.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        feed: str,
        subscription: tuple[str, ...] = (),
        exchange: Exchange | None = None,
        passed_on: tuple[str, ...] = (),
    ) -> None:
        data_dir = Path(settings.stack.data_dir)
        self._settings = settings
        self._clock = clock
        self._feed = feed
        self._subscription = subscription
        self._exchange = exchange
        self._run_dir = run_dir(data_dir)
        self._passed_on = ("--data-dir", str(data_dir), *passed_on)
        self._started_ns = clock.now_ns()
        self._is_finite = feed == "file"
        self.children = Children(data_dir / "logs", clock)

    def start(self) -> None:
        """Start all processes.

        Raises
        ------
        FeedDisconnected
            The simulated exchange did not start.
        """
        for stage in _READY:
            self.children.start(stage, stage, *self._passed_on)
        # What came before they read would wait in Kafka, and show as latency that is none.
        self._wait_until_ready()
        extra: tuple[str, ...] = ()
        if self._exchange is not None:
            extra = ("--set", f"feeds.{self._feed}.url={self._start_exchange(self._exchange)}")
        self.children.start(
            "capture",
            *("capture", "--feed", self._feed, *self._subscription, *self._passed_on, *extra),
            is_finite=self._is_finite,
        )

    def snapshots(self) -> dict[str, Snapshot]:
        """Give the newest word of each stage that was started by this pipeline."""
        return {
            reading.snapshot.name: reading.snapshot
            for reading in read_snapshots(self._run_dir, self._clock)
            if reading.snapshot.started_ns >= self._started_ns and reading.health is not Health.DEAD
        }

    def stop_capture(self) -> None:
        """End the source: whatever it sent is in Kafka then."""
        if self._exchange is not None:
            # The exchange first, so that capture reads everything that was sent; then it has nobody to
            # read from, and is done when two of its words are alike.
            self.children.stop("exchange")
            self._wait_until_read()
        self.children.stop("capture")

    def is_drained(self) -> bool:
        """Tell whether persist and bars have worked off everything that capture sent."""
        snapshots = self.snapshots()
        if not {"capture", "bars"} <= snapshots.keys():
            return False
        bars = snapshots["bars"]
        # Its word must be newer than capture's end, by a second for the broker's watermarks.
        if bars.ts_ns < snapshots["capture"].ts_ns + NS_PER_SECOND:
            return False
        if bars.gauge("ticktrail_bars_lag_records") or not bars.gauge("ticktrail_bars_assigned_partitions"):
            return False
        kafka = self._settings.kafka
        return not uncommitted(kafka, self._settings.persist.group, Topics.of(kafka).persisted)

    def stop(self) -> list[str]:
        """End everything that still runs; name what had to be killed."""
        return self.children.stop("capture", "exchange") + self.children.stop()

    def _wait_until_ready(self) -> None:
        deadline_ns = self._clock.monotonic_ns() + _READY_TIMEOUT_NS
        while self._clock.monotonic_ns() < deadline_ns:
            snapshots = self.snapshots()
            if all(
                name in snapshots and any(gauge.name == sign for gauge in snapshots[name].gauges)
                for name, sign in _READY.items()
            ):
                return
            self.children.watch()
            self._clock.wait(threading.Event(), _LOOK_S)

    def _wait_until_read(self) -> None:
        deadline_ns = self._clock.monotonic_ns() + _READ_TIMEOUT_NS
        last: Snapshot | None = None
        while self._clock.monotonic_ns() < deadline_ns:
            now = self.snapshots().get("capture")
            if now is None or (last is not None and now.ts_ns > last.ts_ns and _read(now) == _read(last)):
                return
            if last is None or now.ts_ns > last.ts_ns:
                last = now
            self._clock.wait(threading.Event(), _LOOK_S)

    def _start_exchange(self, exchange: Exchange) -> str:
        log = ("--log-dir", str(exchange.log_dir)) if exchange.log_dir is not None else ()
        child = self.children.start(
            "exchange",
            *("exchange", "--symbols", str(exchange.symbols), "--rate", str(exchange.rate)),
            *("--seed", str(exchange.seed), *log, *self._passed_on),
            capture_output=True,
        )
        assert child.process is not None
        assert child.process.stdout is not None
        url = child.process.stdout.readline().decode().strip()
        if not url.startswith("ws://"):
            raise FeedDisconnected(
                what="The simulated exchange did not start",
                why=url or "it ended without a word",
                next_step=f"See {child.log_path}.",
                feed=self._feed,
            )
        return url


def _read(capture: Snapshot) -> tuple[int, float]:
    """Say how much capture has read, and how much of that it still holds."""
    return (
        capture.total("ticktrail_capture_received_frames_total"),
        capture.gauge("ticktrail_capture_queued_frames"),
    )
