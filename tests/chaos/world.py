"""A whole installation under load, whose processes are killed and stopped.

Servers and stages are real processes: the servers those of `ticktrail up`, the stages the commands that a
user runs. What dies is started again at once, as a supervisor does. Whatever a scenario did, `settle` waits
until everything that the exchange sent has been worked off, so that `chaos.checks` can compare.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from random import Random

from confluent_kafka import Consumer, KafkaException, TopicPartition
from fixtures_servers import Servers, flags_of, new_settings, prepared

from ticktrail.bus import Topics, uncommitted
from ticktrail.clock import NS_PER_SECOND, SystemClock
from ticktrail.config import Settings, StackSettings
from ticktrail.errors import TicktrailError, Transient
from ticktrail.stack import Stack
from ticktrail.telemetry import Health, Reading, read_snapshots, run_dir

# Runs a scenario by its name: a context manager that gives the world.
Scenario = Callable[..., AbstractContextManager["World"]]

GAPS_PENDING = "ticktrail_capture_pending_gaps"
SETTLE_TIMEOUT_S = 240.0
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 60.0
_LOOK_S = 0.05
# A stage that died is started again after this long, as by a supervisor.
_RESTART_AFTER_S = 0.3


def until(condition: Callable[[], bool], what: str, timeout_s: float = SETTLE_TIMEOUT_S) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(_LOOK_S)  # the pause of a wait with a deadline


class ServerPair:
    """Kafka and Cassandra of their own, so that they may be killed."""

    def __init__(self, data_dir: Path) -> None:
        self._stack = Stack(StackSettings(data_dir=str(data_dir)), SystemClock())

    def up(self) -> Servers:
        """Start what does not run."""
        at = self._stack.up(bound=True)
        return Servers(at.kafka_bootstrap, at.cassandra_host, at.cassandra_port)

    def down(self) -> None:
        self._stack.down()

    def runs(self, server: str) -> bool:
        """Tell whether there is a process of ``"kafka"`` or ``"cassandra"``."""
        return any(each.name == server and each.pid for each in self._stack.status().servers)

    def pid(self, server: str) -> int:
        """Give the process of ``"kafka"`` or ``"cassandra"``."""
        (found,) = (each.pid for each in self._stack.status().servers if each.name == server)
        assert found is not None, f"{server} does not run"
        return found


class Stage:
    """One `ticktrail` command, started again whenever it ends unasked.

    Parameters
    ----------
    program
        What runs the command, instead of ``python -m ticktrail``: for a fault that only tests have.
    """

    def __init__(self, name: str, arguments: Sequence[str], log: Path, program: Sequence[str] = ()) -> None:
        self.name = name
        self.starts = 0
        self._command = [sys.executable, *(program or ("-m", "ticktrail")), *arguments]
        self._log = log
        self._process: subprocess.Popen[str] | None = None
        self._died_at: float | None = None

    def start(self) -> None:
        self.starts += 1
        self._died_at = None
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdout=subprocess.PIPE, stderr=log, stdin=subprocess.DEVNULL, text=True
            )

    @property
    def process(self) -> subprocess.Popen[str]:
        assert self._process is not None
        return self._process

    @property
    def pid(self) -> int:
        return self.process.pid

    def kill(self) -> None:
        """End it at once, for good: nobody starts it again before `start`."""
        process, self._process = self.process, None
        process.kill()
        process.communicate()

    def stop(self) -> None:
        """End it in order."""
        process, self._process = self.process, None
        process.send_signal(signal.SIGCONT)
        process.terminate()
        try:
            process.communicate(timeout=STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise AssertionError(f"{self.name} did not end: {self.tail()}") from None

    def tend(self) -> None:
        """Start it again if it has ended."""
        if self._process is None or self._process.poll() is None:
            return
        if self._died_at is None:
            self._died_at = time.monotonic()
        elif time.monotonic() - self._died_at > _RESTART_AFTER_S:
            self._process.communicate()
            self.start()

    def tail(self) -> str:
        """Give the end of its log."""
        return self._log.read_text("utf-8", "replace")[-3_000:]


class World:
    """One installation: exchange → capture → Kafka → persist and bars → Cassandra.

    Parameters
    ----------
    servers
        Running ones, which this world's scenarios may kill.
    directory
        For logs, snapshots and the exchange's log of what it sent.
    rate
        Trades per second.
    seed
        Decides everything random; a scenario that fails is repeated with it.
    settings_of
        Name of a stage → further assignments for it (``"key=value"``).
    programs
        Name of a stage → what runs it; see `Stage`.
    faults
        Of the feed: assignments below ``feeds.sim.faults``.
    """

    def __init__(
        self,
        servers: ServerPair,
        directory: Path,
        *,
        rate: float,
        seed: int,
        settings_of: Mapping[str, Sequence[str]] | None = None,
        programs: Mapping[str, Sequence[str]] | None = None,
        faults: Sequence[str] = (),
    ) -> None:
        self.servers = servers
        self.random = Random(seed)
        self.log_dir = directory / "exchange"
        self.settings: Settings = new_settings(servers.up(), directory)
        self.stages: dict[str, Stage] = {}
        self._directory = directory
        self._rate = rate
        self._seed = seed
        self._settings_of = settings_of or {}
        self._programs = programs or {}
        self._feed_faults = faults
        self.faults = 0
        self._topics = Topics.of(self.settings.kafka)
        self._ended_ns = 0

    def start(self) -> None:
        """Start all stages, and the market last."""
        prepared(self.settings)
        for name in ("persist", "bars"):
            self.add(name, name)
        url = self._start_exchange()
        self.add("capture", "capture", "--feed", "sim", "--kinds", "trades", "--set", f"feeds.sim.url={url}")

    def add(self, name: str, *arguments: str) -> Stage:
        """Start one more stage."""
        kind = arguments[0]
        assignments = [word for each in self._settings_of.get(kind, ()) for word in ("--set", each)]
        stage = Stage(
            name,
            [*arguments, *assignments, *flags_of(self.settings)],
            self._directory / f"{name}.log",
            self._programs.get(name, ()),
        )
        stage.start()
        self.stages[name] = stage
        return stage

    def run(self, seconds: float) -> None:
        """Let it work so long."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.tend()
            time.sleep(_LOOK_S)

    def tend(self) -> None:
        """Start again what has died."""
        for stage in self.stages.values():
            stage.tend()

    def pid(self, name: str) -> int:
        """Give the process of a stage or a server."""
        return self.stages[name].pid if name in self.stages else self.servers.pid(name)

    def kill(self, name: str) -> None:
        """``kill -9``; a stage is started again by `tend`, a server by `revive`."""
        self.faults += 1
        os.kill(self.pid(name), signal.SIGKILL)

    def revive(self) -> None:
        """Start the servers again that were killed."""
        self.servers.up()

    @contextmanager
    def frozen(self, name: str) -> Iterator[None]:
        """SIGSTOP a process for the length of a block."""
        pid = self.pid(name)
        self.faults += 1
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    def stored(self) -> int:
        """Give persist's own count of acknowledged records, half a second old at most."""
        words = [each.snapshot for each in self._snapshots() if each.snapshot.name.startswith("persist")]
        return sum(each.total("ticktrail_persist_stored_records_total") for each in words)

    def _snapshots(self) -> list[Reading]:
        readings = read_snapshots(run_dir(Path(self.settings.stack.data_dir)), SystemClock())
        return [each for each in readings if each.health is Health.RUNNING]

    def is_flowing(self) -> bool:
        """Tell whether more is committed than a moment ago: whether the whole way works."""
        self.tend()
        before = self._committed()
        time.sleep(0.5)
        return self._committed() > before > 0

    def is_up_to_date(self) -> bool:
        """Tell whether bars have read all but the last moments."""
        self.tend()
        words = [each.snapshot for each in self._snapshots() if each.snapshot.name.startswith("bars")]
        assigned = sum(each.gauge("ticktrail_bars_assigned_partitions") for each in words)
        lag = sum(each.gauge("ticktrail_bars_lag_records") for each in words)
        return assigned == self.settings.kafka.partitions and lag < self._rate

    def settle(self) -> None:
        """End the market, and wait until everything it sent has been worked off; then end all stages."""
        until(self._is_entered, "what capture missed stands in the ledger")
        self.stages.pop("exchange").stop()
        until(self._is_read, "capture has read everything")
        self.stages.pop("capture").stop()
        self._ended_ns = SystemClock().now_ns()
        until(self._is_drained, "everything is stored and committed")
        for stage in self.stages.values():
            stage.stop()
        self.stages.clear()

    def close(self) -> None:
        """End whatever still runs."""
        for stage in self.stages.values():
            if stage._process is not None:
                stage.kill()
        self.stages.clear()

    def _start_exchange(self) -> str:
        exchange = Stage(
            "exchange",
            [
                *("exchange", "--symbols", "100", "--rate", str(self._rate), "--seed", str(self._seed)),
                *("--log-dir", str(self.log_dir), "--set", "feeds.sim.session_s=0"),
                *("--set", "feeds.sim.quotes_per_trade=0", *flags_of(self.settings)),
                *(word for each in self._feed_faults for word in ("--set", f"feeds.sim.faults.{each}")),
            ],
            self._directory / "exchange.log",
        )
        exchange.start()
        self.stages["exchange"] = exchange
        assert exchange.process.stdout is not None
        url = exchange.process.stdout.readline().strip()
        assert url, exchange.tail()
        return url

    def _is_entered(self) -> bool:
        self.tend()
        words = [each.snapshot for each in self._snapshots() if each.snapshot.name.startswith("capture")]
        is_told = words and all(any(g.name == GAPS_PENDING for g in word.gauges) for word in words)
        return bool(is_told) and not sum(word.gauge(GAPS_PENDING) for word in words)

    def _is_read(self) -> bool:
        """Tell whether capture has been idle for a while: nobody sends any more."""
        self.tend()
        end = self._end()
        time.sleep(1.0)
        self.tend()
        # Heartbeats go on: a few values a second in each partition are no trades.
        return end is not None and (self._end() or 0) - end < 100

    def _end(self) -> int | None:
        try:
            return uncommitted(self.settings.kafka, f"{self._topics.prefix}-nobody", [self._topics.trades])
        except (Transient, KafkaException):
            return None

    def _is_drained(self) -> bool:
        self.tend()
        kafka = self.settings.kafka
        try:
            if uncommitted(kafka, self.settings.persist.group, self._topics.persisted):
                return False
        except (TicktrailError, KafkaException):
            return False
        return self._bars_have_read_all()

    def _bars_have_read_all(self) -> bool:
        """Tell whether bars has read to the end and rebuilt; it commits less, while bars are open."""
        words = [each.snapshot for each in self._snapshots() if each.snapshot.name.startswith("bars")]
        # Its word must be newer than the end of the market, by a second for the broker's watermarks.
        is_new = words and all(each.ts_ns > self._ended_ns + NS_PER_SECOND for each in words)
        assigned = sum(each.gauge("ticktrail_bars_assigned_partitions") for each in words)
        lag = sum(each.gauge("ticktrail_bars_lag_records") for each in words)
        dirty = sum(each.gauge("ticktrail_bars_dirty_windows") for each in words)
        return bool(is_new) and assigned == self.settings.kafka.partitions and not lag and not dirty

    def _committed(self) -> int:
        """Give the sum of the offsets that persist has committed for trades."""
        kafka, topic = self.settings.kafka, self._topics.trades
        config = {"bootstrap.servers": kafka.bootstrap_servers, "group.id": self.settings.persist.group}
        with closing(Consumer(config)) as consumer:
            partitions = [TopicPartition(topic, number) for number in range(kafka.partitions)]
            try:
                found = consumer.committed(partitions, timeout=5)
            except KafkaException:
                return 0
        return sum(max(each.offset, 0) for each in found)
