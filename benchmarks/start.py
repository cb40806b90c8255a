"""Seconds until Kafka and Cassandra both answer, from the call of `ticktrail up`'s own code.

``first``
    An empty data directory; jars and class archives are in the user's cache.
``warm``
    The same data directory again: what every later `up` takes.
``cold``
    Empty caches too: jars are fetched over the network and the class archives are not there yet.
"""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.harness import machine
from ticktrail.clock import SystemClock
from ticktrail.config import StackSettings
from ticktrail.stack import Endpoints, Stack

__all__ = ["main"]

ROUNDS = 3


def main() -> str:
    """Run; give the JSON object."""
    with TemporaryDirectory(prefix="ticktrail-bench-") as folder:
        cold = _start(Path(folder) / "cold", cache_dir=str(Path(folder) / "cache"))
        first = [_start(Path(folder) / f"first-{number}") for number in range(ROUNDS)]
        warm = [_start(Path(folder) / "first-0") for _ in range(ROUNDS)]
    result = {
        "name": "start",
        "machine": machine(),
        "parameters": {"rounds": ROUNDS},
        "results": {
            "cold": _figures([cold]) | {"fetched_mib": round(cold.fetched_bytes / 1024**2, 1)},
            "first": _figures(first),
            "warm": _figures(warm),
        },
        "ratios": {"warm_to_cold": round(statistics.median(e.ready_s for e in warm) / cold.ready_s, 3)},
    }
    return json.dumps(result, indent=2)


def _start(data_dir: Path, cache_dir: str = StackSettings().cache_dir) -> Endpoints:
    stack = Stack(StackSettings(data_dir=str(data_dir), cache_dir=cache_dir), SystemClock())
    with stack.bound() as endpoints:
        return endpoints


def _figures(starts: list[Endpoints]) -> dict[str, object]:
    return {
        "ready_s": round(statistics.median(start.ready_s for start in starts), 2),
        "kafka_answered_s": round(statistics.median(start.kafka.answered_s for start in starts), 2),
        "cassandra_answered_s": round(statistics.median(start.cassandra.answered_s for start in starts), 2),
        "rounds_ready_s": [round(start.ready_s, 2) for start in starts],
    }


if __name__ == "__main__":
    sys.stdout.write(main() + "\n")
