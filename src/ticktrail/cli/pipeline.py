"""The stages of one feed as supervised processes, from a simulated exchange, where asked, to the page."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

import msgspec

from ticktrail.bus import Topics, uncommitted
from ticktrail.cli.children import Children
from ticktrail.cli.page import PageStage
from ticktrail.clock import NS_PER_SECOND, Clock
from ticktrail.config import Settings
from ticktrail.errors import Transient
from ticktrail.telemetry import Snapshot, read_snapshots, run_dir

__all__ = ["Exchange", "Pipeline"]


# Their metrics are served at the port of the settings and those after it, in this order.
_STAGES = ("capture", "persist", "bars", "exchange", "alerts", "serve")
# A stage that reads from Kafka has set this gauge.
_READY = {"persist": "ticktrail_persist_open_polls", "bars": "ticktrail_bars_assigned_partitions"}
_READY_TIMEOUT_NS = 60 * NS_PER_SECOND
_REST_TIMEOUT_NS = 5 * NS_PER_SECOND
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

    symbols: int
    rate: float
    seed: int
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
    has_page
        Starts alerts and the page beside them; without it alerts only where the settings have rules.
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
        has_page: bool = False,
        passed_on: tuple[str, ...] = (),
    ) -> None:
        data_dir = Path(settings.stack.data_dir)
        self._settings = settings
        self._clock = clock
        self._feed = feed
        self._subscription = subscription
        self._exchange = exchange
        self._page = PageStage(settings.serve, data_dir) if has_page else None
        self._run_dir = run_dir(data_dir)
        self._passed_on = ("--data-dir", str(data_dir), *passed_on)
        self._started_ns = clock.now_ns()
        self._is_finite = feed == "file"
        self._has_source = False
        self._source_ended_ns = 0
        self._newest: dict[str, Snapshot] = {}
        # The last words of processes that were started again, in one snapshot per stage.
        self._past: dict[str, Snapshot] = {}
        self.children = Children(data_dir / "logs", clock)

    def start(self, stop: threading.Event) -> None:
        """Start all processes.

        Parameters
        ----------
        stop
            When it is set meanwhile, what is not started yet is left out.

        Raises
        ------
        StageFailed
            A stage cannot run.
        """
        for stage in _READY:
            self.children.start(stage, stage, *self._options(stage))
        # What came before they read would wait in Kafka, and show as latency that is none; what an earlier
        # run left there would be counted as this one's.
        self._wait_until_ready(stop)
        self._wait_until_stored(stop)
        if stop.is_set():
            return
        self.children.is_patient = True
        extra: tuple[str, ...] = ()
        if self._exchange is not None:
            extra = ("--set", f"feeds.{self._feed}.url={self._start_exchange(self._exchange)}")
        self._has_source = True
        self.children.start(
            "capture",
            *("capture", "--feed", self._feed, *self._subscription, *self._options("capture"), *extra),
            is_finite=self._is_finite,
        )
        if self._page is not None or self._settings.alerts.rules:
            self.children.start("alerts", "alerts", *self._options("alerts"), is_vital=False)
        if self._page is not None:
            self._page.start(self.children, self._options("serve"))

    @property
    def page_url(self) -> str | None:
        """Where the page is; None until it listens."""
        return None if self._page is None else self._page.url

    def snapshots(self) -> dict[str, Snapshot]:
        """Give the newest word of each stage of this pipeline.

        Counters include those of processes that died and were started again, as of their last word, which
        is up to half a second old.
        """
        for reading in read_snapshots(self._run_dir, self._clock):
            word = reading.snapshot
            stage = self.children.stages.get(word.pid)
            if stage is None or word.started_ns < self._started_ns:
                continue  # of somebody else's, or of an earlier run
            last = self._newest.get(stage)
            if last is not None and last.pid != word.pid:
                self._past[stage] = _joined(self._past.get(stage), last)
            self._newest[stage] = word
        return {name: _joined(self._past.get(name), word) for name, word in self._newest.items()}

    def stop_capture(self, stop: threading.Event) -> None:
        """End the source: whatever it sent is in Kafka then.

        Parameters
        ----------
        stop
            Set it to wait no longer for what is on its way.
        """
        if self._exchange is not None:
            # The exchange first, so that capture reads everything that was sent; then it has nobody to
            # read from, and is done when two of its words are alike.
            self.children.stop("exchange")
            self._wait_until_read(stop)
        self.children.stop("capture")
        self._source_ended_ns = self._clock.now_ns()

    def is_drained(self) -> bool:
        """Tell whether persist and bars have worked off everything that capture sent."""
        if not self._has_source:
            return True
        bars = self.snapshots().get("bars")
        # Its word must be newer than capture's end, by a second for the broker's watermarks.
        if bars is None or bars.ts_ns < self._source_ended_ns + NS_PER_SECOND:
            return False
        if not self.children.is_running("bars"):
            return False
        if bars.gauge("ticktrail_bars_lag_records") or not bars.gauge("ticktrail_bars_assigned_partitions"):
            return False
        if bars.gauge("ticktrail_bars_dirty_windows"):
            return False  # late trades and corrections have yet to change their bars
        return self._has_stored_all()

    def stop(self) -> list[str]:
        """End everything that still runs; name what had to be killed."""
        try:
            return self.children.stop("capture", "exchange") + self.children.stop()
        finally:
            if self._page is not None:
                self._page.close()

    def _options(self, stage: str) -> tuple[str, ...]:
        """Give the settings of a stage: everybody's, but for the port, which only one can have."""
        port = self._settings.telemetry.metrics_port
        own = ("--set", f"telemetry.metrics_port={port + _STAGES.index(stage)}") if port else ()
        return (*self._passed_on, *own)

    def _wait_until_ready(self, stop: threading.Event) -> None:
        deadline_ns = self._clock.monotonic_ns() + _READY_TIMEOUT_NS
        while self._clock.monotonic_ns() < deadline_ns and not stop.is_set():
            snapshots = self.snapshots()
            if all(
                name in snapshots and any(gauge.name == sign for gauge in snapshots[name].gauges)
                for name, sign in _READY.items()
            ):
                return
            self.children.watch()
            self._clock.wait(stop, _LOOK_S)

    def _wait_until_stored(self, stop: threading.Event) -> None:
        """Let persist work off an earlier run's rest, but not for long: the market does not wait."""
        deadline_ns = self._clock.monotonic_ns() + _REST_TIMEOUT_NS
        while not stop.is_set() and not self._has_stored_all():
            if self._clock.monotonic_ns() > deadline_ns:
                return
            self.children.watch()
            self._clock.wait(stop, _LOOK_S)

    def _has_stored_all(self) -> bool:
        kafka = self._settings.kafka
        try:
            return not uncommitted(kafka, self._settings.persist.group, Topics.of(kafka).persisted)
        except Transient:
            return False  # the stages wait for Kafka, too, and say so

    def _wait_until_read(self, stop: threading.Event) -> None:
        deadline_ns = self._clock.monotonic_ns() + _READ_TIMEOUT_NS
        last: Snapshot | None = None
        while self._clock.monotonic_ns() < deadline_ns and not stop.is_set():
            if not self.children.is_running("capture"):
                return
            now = self.snapshots().get("capture")
            if now is not None and (last is None or now.ts_ns > last.ts_ns):
                if last is not None and _read(now) == _read(last):
                    return
                last = now
            self._clock.wait(stop, _LOOK_S)

    def _start_exchange(self, exchange: Exchange) -> str:
        log = ("--log-dir", str(exchange.log_dir)) if exchange.log_dir is not None else ()
        child = self.children.start(
            "exchange",
            *("exchange", "--symbols", str(exchange.symbols), "--rate", str(exchange.rate)),
            *("--seed", str(exchange.seed), *log, *self._options("exchange")),
            capture_output=True,
        )
        assert child.process is not None
        assert child.process.stdout is not None
        url = child.process.stdout.readline().decode().strip()
        if not url:  # its end
            raise self.children.failure(child)
        # Started again, it must listen where its client looks for it.
        child.arguments = (*child.arguments, "--port", url.rpartition(":")[2].partition("/")[0])
        return url


def _read(capture: Snapshot) -> tuple[int, float]:
    """Say how much capture has read, and how much of that it still holds."""
    return (
        capture.total("ticktrail_capture_received_frames_total"),
        capture.gauge("ticktrail_capture_queued_frames"),
    )


def _joined(past: Snapshot | None, last: Snapshot) -> Snapshot:
    """Give a word that also counts what an earlier process of the stage had counted."""
    if past is None:
        return last
    return msgspec.structs.replace(
        last,
        counters=past.counters + last.counters,
        latencies=past.latencies + last.latencies,
        sizes=past.sizes + last.sizes,
    )
