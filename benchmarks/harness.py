"""What every benchmark needs: the machine, repeated rounds, one JSON object."""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil

from ticktrail.clock import SystemClock
from ticktrail.config import KafkaSettings, Settings, StackSettings, StoreSettings
from ticktrail.stack import Stack

__all__ = ["Contender", "compare", "machine", "report", "servers", "timed"]

Contender = Callable[[], tuple[int, float]]


def machine() -> dict[str, Any]:
    """Describe the machine that the figures hold for."""
    info = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    models = {line.split(":", 1)[1].strip() for line in info.splitlines() if line.startswith("model name")}
    return {
        "cpu": ", ".join(sorted(models)) or platform.processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 1024**3, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def timed(work: Callable[[], int]) -> tuple[int, float]:
    """Run once; give what it counted and the seconds it took."""
    begun = time.perf_counter()
    count = work()
    return count, time.perf_counter() - begun


def compare(contenders: Mapping[str, Contender], rounds: int) -> dict[str, list[float]]:
    """Measure rates in turn, A B C A B C …, so that the machine's drift meets all alike.

    Returns
    -------
    Per contender, its counted things per second in each round.
    """
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, contender in contenders.items():
            count, seconds = contender()
            rates[name].append(count / seconds)
    return rates


def report(name: str, parameters: Mapping[str, Any], rates: Mapping[str, list[float]], ours: str) -> str:
    """Make the JSON object: medians, all rounds, and the median of each round's ratio ours / other."""
    ratios = {
        other: statistics.median(a / b for a, b in zip(rates[ours], values, strict=True))
        for other, values in rates.items()
        if other != ours
    }
    result = {
        "name": name,
        "machine": machine(),
        "parameters": dict(parameters),
        "results": {
            other: {"median_per_s": round(statistics.median(v)), "rounds_per_s": [round(x) for x in v]}
            for other, v in rates.items()
        },
        "ratios": {other: round(ratio, 3) for other, ratio in ratios.items()},
    }
    return json.dumps(result, indent=2)


@contextmanager
def servers() -> Iterator[Settings]:
    """Run Kafka and Cassandra of their own for the length of the block, empty at first."""
    with TemporaryDirectory(prefix="ticktrail-bench-") as folder:
        stack = StackSettings(data_dir=folder)
        with Stack(stack, SystemClock()).bound() as endpoints:
            yield Settings(
                kafka=KafkaSettings(bootstrap_servers=endpoints.kafka_bootstrap),
                store=StoreSettings(hosts=endpoints.cassandra_host, port=endpoints.cassandra_port),
                stack=stack,
            )
