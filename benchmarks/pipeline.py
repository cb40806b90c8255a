"""Simulated exchange → websocket → capture → Kafka → persist → Cassandra, everything on this machine.

Each rate runs for so many seconds after a warm-up, with real processes. ``stored_per_s`` is what the store
acknowledged; a rate is ``sustained`` if the trades on the way (sent by the exchange, not stored yet) grow by
less than a hundredth of the rate. ``cpu_us_per_trade`` is the processor time of each process for one trade:
two cores have two million microseconds a second.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import psutil

from benchmarks.harness import machine, servers
from benchmarks.stages import installation, server_processes, simulated, words
from ticktrail.config import Settings

__all__ = ["main"]

# 119,536: the peak second of all Nasdaq-listed trades in 2024.
RATES = (60_000, 90_000, 119_536)
SECONDS = 60
WARM_UP_S = 15
SYMBOLS = 500
_LOOK_S = 1.0
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
    own = installation(settings, f"bench{rate}")
    with simulated(own, rate, SYMBOLS) as stages:
        time.sleep(WARM_UP_S)
        processes = {name: psutil.Process(stage.pid) for name, stage in stages.items()}
        return _watch(own, processes | server_processes(own), rate, seconds)


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
    found = words(settings)
    captured = found["capture"].total("ticktrail_capture_sent_records_total", kind="trade")
    stored = found["persist"].total("ticktrail_persist_stored_records_total", table="trades")
    return captured, stored, captured - stored


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


if __name__ == "__main__":
    sys.stdout.write(main() + "\n")
