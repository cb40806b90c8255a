"""Memory over 30 minutes at 10,000 trades/s: it must not grow.

Simulated exchange → websocket → capture → Kafka → persist and bars → Cassandra with real processes, after a
warm-up. Every five seconds the resident memory of each process is read.

``first_mib``, ``last_mib``
    Means of the first and of the last tenth of the time.
``max_mib``
    The most that was seen.
``slope_mib_per_hour``
    Of the straight line through all readings (Theil–Sen: the median of the slopes between pairs, which single
    peaks do not move).
``is_flat``
    The line rises by less than `FLAT_MIB` over the whole time.

Targets: capture, persist and bars each below 300 MiB and flat; the servers within what their settings allow
(``stack.kafka_memory_mib``, ``stack.cassandra_memory_mib``). ``lag_max`` tells that the pipeline kept up: the
most trades that were captured and not stored at any reading.
"""

from __future__ import annotations

import json
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import psutil

from benchmarks.harness import machine, servers
from benchmarks.plot import Line, plot
from benchmarks.stages import installation, server_processes, simulated, stage, wait_for, words
from ticktrail.config import Settings

__all__ = ["main", "told"]

RATE = 10_000
SECONDS = 1_800
WARM_UP_S = 120
SYMBOLS = 500
STAGE_MIB_MAX = 300
# Over the whole time: what one long poll takes, and hardly to be told from the collector's breath.
FLAT_MIB = 10
_LOOK_S = 5.0
_MIB = 1024**2
_COLORS = {
    "capture": "#1565c0",
    "persist": "#c62828",
    "bars": "#2e7d32",
    "exchange": "#78909c",
    "kafka": "#ef6c00",
    "cassandra": "#6a1b9a",
}

Series = npt.NDArray[np.float64]


def main(rate: int = RATE, seconds: int = SECONDS, svg: Path | None = None) -> str:
    """Run; give the JSON object.

    Parameters
    ----------
    rate
        Trades per second.
    seconds
        After the warm-up.
    svg
        Where to draw memory over time.
    """
    with servers() as settings:
        own = installation(settings, "steady")
        times_s, memory_mib, lags = _measure(own, rate, seconds)
        limits = {
            "kafka": settings.stack.kafka_memory_mib,
            "cassandra": settings.stack.cassandra_memory_mib,
        } | dict.fromkeys(("capture", "persist", "bars"), STAGE_MIB_MAX)
    if svg is not None:
        svg.write_text(_picture(memory_mib, rate, seconds), encoding="utf-8")
    result = {
        "name": "steady",
        "machine": machine(),
        "parameters": {"trades_per_s": rate, "seconds": seconds, "warm_up_s": WARM_UP_S, "symbols": SYMBOLS},
        "results": {name: told(times_s, series, limits.get(name)) for name, series in memory_mib.items()},
        "lag_max": max(lags),
    }
    return json.dumps(result, indent=2)


def told(times_s: Series, memory_mib: Series, limit_mib: int | None) -> dict[str, Any]:
    """Sum up one process; shapes ``(n,)``, n at least 2."""
    tenth = max(1, len(memory_mib) // 10)
    before, after = np.triu_indices(len(times_s), 1)
    slopes = (memory_mib[after] - memory_mib[before]) / (times_s[after] - times_s[before])
    slope = float(np.median(slopes))
    is_flat = slope * (times_s[-1] - times_s[0]) < FLAT_MIB
    most = float(memory_mib.max())
    result = {
        "first_mib": round(float(memory_mib[:tenth].mean()), 1),
        "last_mib": round(float(memory_mib[-tenth:].mean()), 1),
        "max_mib": round(most, 1),
        "slope_mib_per_hour": round(slope * 3_600, 2),
        "is_flat": bool(is_flat),
    }
    return result if limit_mib is None else {**result, "limit_mib": limit_mib, "is_within": most < limit_mib}


def _measure(settings: Settings, rate: int, seconds: int) -> tuple[Series, dict[str, Series], list[int]]:
    with ExitStack() as stack:
        bars = stack.enter_context(stage(settings, "bars"))
        wait_for(settings, "bars")
        stages = stack.enter_context(simulated(settings, rate, SYMBOLS))
        processes = {name: psutil.Process(each.pid) for name, each in (*stages.items(), ("bars", bars))}
        processes |= server_processes(settings)
        time.sleep(WARM_UP_S)
        begun = time.monotonic()
        times_s: list[float] = []
        readings: list[list[float]] = []
        lags = []
        while not times_s or times_s[-1] < seconds:
            times_s.append(time.monotonic() - begun)
            readings.append([process.memory_info().rss / _MIB for process in processes.values()])
            lags.append(_lag(settings))
            time.sleep(_LOOK_S)
    columns = np.array(readings).T
    return np.array(times_s), dict(zip(processes, columns, strict=True)), lags


def _lag(settings: Settings) -> int:
    found = words(settings)
    captured = found["capture"].total("ticktrail_capture_sent_records_total", kind="trade")
    return captured - found["persist"].total("ticktrail_persist_stored_records_total", table="trades")


def _picture(memory_mib: dict[str, Series], rate: int, seconds: int) -> str:
    lines = [Line(name, color, memory_mib[name].tolist()) for name, color in _COLORS.items()]
    note = f"{rate:,} trades/s; resident memory of each process, read every {_LOOK_S:g} s"
    return plot("Memory over time", note, lines, seconds / len(lines[0].values), "MiB")


if __name__ == "__main__":
    sys.stdout.write(main() + "\n")
