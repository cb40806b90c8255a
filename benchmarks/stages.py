"""What benchmarks of the running pipeline share: an installation of its own, and stages as real processes."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec
import psutil

from ticktrail.bus import ensure_topics
from ticktrail.clock import SystemClock
from ticktrail.config import Settings
from ticktrail.store import connect, migrate
from ticktrail.telemetry import Snapshot, read_snapshots, run_dir

__all__ = ["installation", "market", "server_processes", "simulated", "stage", "wait_for", "words"]

_START_TIMEOUT_S = 60
_STOP_TIMEOUT_S = 60


def installation(settings: Settings, name: str) -> Settings:
    """Make topics, tables and groups of their own, so that measurements on the same servers do not meet."""
    directory = Path(settings.stack.data_dir) / name
    directory.mkdir()
    own = msgspec.structs.replace(
        settings,
        kafka=msgspec.structs.replace(settings.kafka, topic_prefix=name),
        store=msgspec.structs.replace(settings.store, keyspace=name),
        persist=msgspec.structs.replace(settings.persist, group=f"{name}-persist"),
        bars=msgspec.structs.replace(settings.bars, group=f"{name}-bars"),
        stack=msgspec.structs.replace(settings.stack, data_dir=str(directory)),
    )
    ensure_topics(own.kafka)
    session = connect(own.store)
    migrate(session)
    session.close()
    return own


@contextmanager
def stage(settings: Settings, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``ticktrail ARGUMENTS`` for the length of the block; it logs to ``<data_dir>/<stage>.log``."""
    flags = {
        "kafka.bootstrap_servers": settings.kafka.bootstrap_servers,
        "kafka.topic_prefix": settings.kafka.topic_prefix,
        "store.hosts": settings.store.hosts,
        "store.port": settings.store.port,
        "store.keyspace": settings.store.keyspace,
        "persist.group": settings.persist.group,
        "bars.group": settings.bars.group,
        "stack.data_dir": settings.stack.data_dir,
    }
    assignments = [word for key, value in flags.items() for word in ("--set", f"{key}={value}")]
    command = [sys.executable, "-m", "ticktrail", *arguments, *assignments]
    log = Path(settings.stack.data_dir) / f"{arguments[0]}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=output)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.communicate(timeout=_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


@contextmanager
def simulated(
    settings: Settings, rate: int, symbols: int, *exchange: str
) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """Run persist, a simulated exchange and capture: an endless session of trades alone, at an even rate.

    Parameters
    ----------
    rate
        Trades per second.
    exchange
        Further arguments of ``ticktrail exchange``.
    """
    with stage(settings, "persist") as persist:
        wait_for(settings, "persist")
        with market(settings, rate, symbols, *exchange) as stages:
            yield {"persist": persist, **stages}


@contextmanager
def market(
    settings: Settings, rate: int, symbols: int, *exchange: str
) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """Run the exchange and capture of `simulated` alone."""
    with ExitStack() as stack:
        stages = {
            "exchange": stack.enter_context(
                stage(
                    settings,
                    *("exchange", "--symbols", str(symbols), "--rate", str(rate)),
                    *("--set", "feeds.sim.session_s=0", "--set", "feeds.sim.quotes_per_trade=0"),
                    *exchange,
                )
            )
        }
        assert stages["exchange"].stdout is not None
        url = stages["exchange"].stdout.readline().decode().strip()
        stages["capture"] = stack.enter_context(
            stage(settings, "capture", "--feed", "sim", "--kinds", "trades", "--set", f"feeds.sim.url={url}")
        )
        wait_for(settings, "capture")
        yield stages


def words(settings: Settings) -> dict[str, Snapshot]:
    """Read the newest word of each stage."""
    readings = read_snapshots(run_dir(Path(settings.stack.data_dir)), SystemClock())
    return {each.snapshot.name: each.snapshot for each in readings}


def wait_for(settings: Settings, name: str) -> None:
    """Wait until a stage works."""
    deadline = time.monotonic() + _START_TIMEOUT_S
    while (word := words(settings).get(name)) is None or not (word.gauges or word.counters):
        assert time.monotonic() < deadline, f"{name} does not start"
        time.sleep(0.1)


def server_processes(settings: Settings) -> dict[str, psutil.Process]:
    """Find the servers among our own children, by the ports that they listen on."""
    ports = {
        int(settings.kafka.bootstrap_servers.rpartition(":")[2]): "kafka",
        settings.store.port: "cassandra",
    }
    found = {}
    for child in psutil.Process().children(recursive=True):
        for connection in child.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port in ports:
                found[ports[connection.laddr.port]] = child
    return found
