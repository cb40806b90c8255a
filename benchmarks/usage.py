"""Processor time of processes and of the machine."""

from __future__ import annotations

import time
from collections.abc import Mapping

import psutil

__all__ = ["Usage", "cpu_s"]


class Usage:
    """Counts from when it is made.

    Parameters
    ----------
    processes
        By the names under which they are told.
    """

    def __init__(self, processes: Mapping[str, psutil.Process]) -> None:
        self._processes = dict(processes)
        self._begun = time.monotonic()
        self._before = {name: cpu_s(process) for name, process in self._processes.items()}
        self._busy_s = _busy_s()

    def cores(self) -> dict[str, float]:
        """Give the processor seconds per second of each; ``all`` is the whole machine, strangers included."""
        took_s = time.monotonic() - self._begun
        used_s = {name: cpu_s(each) - self._before[name] for name, each in self._processes.items()}
        used_s["all"] = _busy_s() - self._busy_s
        return {name: round(value / took_s, 3) for name, value in used_s.items()}


def cpu_s(process: psutil.Process) -> float:
    """Give the processor seconds of a process so far."""
    times = process.cpu_times()
    return float(times.user + times.system)


def _busy_s() -> float:
    times = psutil.cpu_times()
    # A guest's time is also the user's.
    idle = times.idle + getattr(times, "iowait", 0.0) + getattr(times, "guest", 0.0)
    return float(sum(times) - idle - getattr(times, "guest_nice", 0.0))
