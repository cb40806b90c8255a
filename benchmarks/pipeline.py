"""Simulated exchange → websocket → capture → Kafka → persist → Cassandra, everything on this machine.

Each rate runs for so many seconds after a warm-up, with real processes. ``stored_per_s`` is what the store
acknowledged; a rate is ``sustained`` if the trades on the way (sent by the exchange, not stored yet) grow by
less than a hundredth of the rate. ``cpu_us_per_trade`` is the processor time of each process for one trade:
two cores have two million microseconds a second.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import psutil

from benchmarks.harness import machine, servers
from ticktrail.bus import ensure_topics
from ticktrail.clock import SystemClock
from ticktrail.config import Settings
from ticktrail.store import connect, migrate
from ticktrail.telemetry import Snapshot, read_snapshots, run_dir

__all__ = ["main"]

# 119,536: the peak second of all Nasdaq-listed trades in 2024.
RATES = (60_000, 90_000, 119_536)
SECONDS = 60
WARM_UP_S = 15
SYMBOLS = 500
_LOOK_S = 1.0
_STOP_TIMEOUT_S = 60
_GROWTH_MAX = 0.01


def main(rates: Sequence[int] = RATES, seconds: int = SECONDS) -> str:
    """Run; give the JSON object."""
    with servers() as settings:
        results = {str(rate): _measure(settings, rate, seconds) for rate in rates}
    sustained = [int(rate) for rate, result in results.items() if result["is_sustained"]]
    result = {
        "name": "pipeline",
        "machine": machine(),
        "parameters": {"seconds": seconds, "warm_up_s": WARM_UP_S, "symbols": SYMBOLS},
        "results": results,
        "sustained_per_s": max(sustained, default=0),
    }
    return json.dumps(result, indent=2)


def _measure(settings: Settings, rate: int, seconds: int) -> dict[str, Any]:
    own = _installation(settings, f"bench{rate}")
    with ExitStack() as stack:
        stages = {"persist": stack.enter_context(_stage(own, "persist"))}
        _wait_for(own, "persist")
        stages["exchange"] = stack.enter_context(
            _stage(
                own,
                *("exchange", "--symbols", str(SYMBOLS), "--rate", str(rate)),
                *("--set", "feeds.sim.session_s=0", "--set", "feeds.sim.quotes_per_trade=0"),
            )
        )
        assert stages["exchange"].stdout is not None
        url = stages["exchange"].stdout.readline().decode().strip()
        stages["capture"] = stack.enter_context(
            _stage(own, "capture", "--feed", "sim", "--kinds", "trades", "--set", f"feeds.sim.url={url}")
        )
        _wait_for(own, "capture")
        time.sleep(WARM_UP_S)
        processes = {name: psutil.Process(stage.pid) for name, stage in stages.items()} | _servers(own)
        return _watch(own, processes, rate, seconds)


def _watch(
    settings: Settings, processes: dict[str, psutil.Process], rate: int, seconds: int
) -> dict[str, Any]:
    cpu_before = {name: _cpu_s(process) for name, process in processes.items()}
    begun = time.perf_counter()
    looks = [(0.0, *_counts(settings))]
    while looks[-1][0] < seconds:
        time.sleep(_LOOK_S)
        looks.append((time.perf_counter() - begun, *_counts(settings)))
    cpu_s = {name: _cpu_s(process) - cpu_before[name] for name, process in processes.items()}
    times, captured, stored, lag = (np.array(column) for column in zip(*looks, strict=True))
    trades = float(stored[-1] - stored[0])
    growth_per_s = float(np.polyfit(times, lag, 1)[0])
    return {
        "captured_per_s": round(float(captured[-1] - captured[0]) / times[-1]),
        "stored_per_s": round(trades / times[-1]),
        "best_second_stored": round(float((np.diff(stored) / np.diff(times)).max())),
        "lag_max": int(lag.max()),
        "lag_growth_per_s": round(growth_per_s),
        "is_sustained": bool(
            growth_per_s < _GROWTH_MAX * rate and captured[-1] - captured[0] > 0.98 * rate * times[-1]
        ),
        "cpu_us_per_trade": {name: round(s * 1e6 / max(trades, 1), 2) for name, s in cpu_s.items()},
    }


def _counts(settings: Settings) -> tuple[int, int, int]:
    words = _words(settings)
    captured = words["capture"].total("ticktrail_capture_sent_records_total", kind="trade")
    stored = words["persist"].total("ticktrail_persist_stored_records_total", table="trades")
    return captured, stored, captured - stored


def _words(settings: Settings) -> dict[str, Snapshot]:
    readings = read_snapshots(run_dir(Path(settings.stack.data_dir)), SystemClock())
    return {each.snapshot.name: each.snapshot for each in readings}


def _wait_for(settings: Settings, name: str) -> None:
    deadline = time.monotonic() + 60
    while (word := _words(settings).get(name)) is None or not (word.gauges or word.counters):
        assert time.monotonic() < deadline, f"{name} does not start"
        time.sleep(0.1)


def _installation(settings: Settings, name: str) -> Settings:
    """Give topics, tables and groups of their own, so that rates do not meet."""
    directory = Path(settings.stack.data_dir) / name
    directory.mkdir()
    own = msgspec.structs.replace(
        settings,
        kafka=msgspec.structs.replace(settings.kafka, topic_prefix=name),
        store=msgspec.structs.replace(settings.store, keyspace=name),
        persist=msgspec.structs.replace(settings.persist, group=f"{name}-persist"),
        stack=msgspec.structs.replace(settings.stack, data_dir=str(directory)),
    )
    ensure_topics(own.kafka)
    session = connect(own.store)
    migrate(session)
    session.close()
    return own


@contextmanager
def _stage(settings: Settings, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    flags = {
        "kafka.bootstrap_servers": settings.kafka.bootstrap_servers,
        "kafka.topic_prefix": settings.kafka.topic_prefix,
        "store.hosts": settings.store.hosts,
        "store.port": settings.store.port,
        "store.keyspace": settings.store.keyspace,
        "persist.group": settings.persist.group,
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


def _servers(settings: Settings) -> dict[str, psutil.Process]:
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


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


if __name__ == "__main__":
    sys.stdout.write(main() + "\n")
