"""Reads rows back from Cassandra as anybody would: the plain driver and CQL, nothing of ticktrail's store."""

from __future__ import annotations

import threading
import time
from datetime import UTC, date, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile
from cassandra.policies import RoundRobinPolicy

from ticktrail.clock import NS_PER_SECOND, SystemClock
from ticktrail.config import StoreSettings

__all__ = ["ReadBack", "partition_of", "read_back"]

_EVERY_S = 0.01
# Asking all the time would take from the pipeline what is measured.
_BURST_S = 2.0
_BURST_EVERY_S = 10.0
# Trades sent in this first part of a burst count; the rest of it is for them to appear.
_WINDOW_NS = NS_PER_SECOND
# Rows do not appear in the order of their times: within a burst what is so much older than the newest one
# seen is asked for again, and by its first question everything since the last burst.
_LOOK_BACK_NS = NS_PER_SECOND
_LOOK_FAR_BACK_NS = 15 * NS_PER_SECOND
_SLOT_MINUTES = 15
_ZONE = ZoneInfo("America/New_York")
_QUERY = """SELECT ts, event_id, tick.ts_event_ns AS ts_event_ns FROM trades
    WHERE feed = 'sim' AND symbol = ? AND day = ? AND slot = ? AND ts > ?"""


def partition_of(ts_ns: int) -> tuple[date, int]:
    """Name a trade's day, the venue's date, and slot, the start of its quarter of an hour in UTC as hhmm."""
    instant = datetime.fromtimestamp(ts_ns // NS_PER_SECOND, UTC)
    return (
        instant.astimezone(_ZONE).date(),
        instant.hour * 100 + instant.minute // _SLOT_MINUTES * _SLOT_MINUTES,
    )


class ReadBack(NamedTuple):
    """What was read back.

    Parameters
    ----------
    ts_event_ns
        Shape ``(n,)``: each trade's own time.
    at_ns
        Shape ``(n,)``: when it was first read. Of a trade sent in a window that is right to a question's
        time, or too late, where it was not there by the end of the burst.
    windows_ns
        Shape ``(k, 2)``: begin and end of the times whose trades were waited for.
    """

    ts_event_ns: npt.NDArray[np.int64]
    at_ns: npt.NDArray[np.int64]
    windows_ns: npt.NDArray[np.int64]

    def is_watched(self, sent_ns: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Tell which trades were sent in a window; shapes ``(m,)``."""
        window = np.searchsorted(self.windows_ns[:, 0], sent_ns, side="right") - 1
        found: npt.NDArray[np.bool_] = (window >= 0) & (sent_ns < self.windows_ns[window, 1])
        return found


def read_back(store: StoreSettings, symbol: str, stop: threading.Event) -> ReadBack:
    """Ask for the newest trades of a symbol in bursts, until told to stop."""
    clock = SystemClock()
    seen: dict[tuple[int, int], tuple[int, int]] = {}
    windows: list[tuple[int, int]] = []
    profiles = {EXEC_PROFILE_DEFAULT: ExecutionProfile(load_balancing_policy=RoundRobinPolicy())}
    with Cluster([store.hosts], port=store.port, protocol_version=5, execution_profiles=profiles) as cluster:
        session = cluster.connect(store.keyspace)
        query = session.prepare(_QUERY)

        def ask(since_ns: int) -> int:
            newest_ns = since_ns
            for day, slot in {partition_of(since_ns), partition_of(clock.now_ns())}:
                rows = session.execute(query, (symbol, day, slot, since_ns)).all()
                now_ns = clock.now_ns()
                for row in rows:
                    seen.setdefault((row.ts, row.event_id), (row.ts_event_ns, now_ns))
                    newest_ns = max(newest_ns, row.ts)
            return newest_ns

        while not stop.is_set():
            begin = due = time.monotonic()
            newest_ns = ask(clock.now_ns() - _LOOK_FAR_BACK_NS)
            windows.append((clock.now_ns(), clock.now_ns() + _WINDOW_NS))
            while due < begin + _BURST_S and not stop.wait(max(0.0, due - time.monotonic())):
                due = max(due + _EVERY_S, time.monotonic())
                newest_ns = max(newest_ns, ask(newest_ns - _LOOK_BACK_NS))
            stop.wait(max(0.0, begin + _BURST_EVERY_S - time.monotonic()))
        ask(clock.now_ns() - _LOOK_FAR_BACK_NS)
    times = np.array(list(seen.values()), dtype=np.int64).reshape(-1, 2)
    return ReadBack(times[:, 0], times[:, 1], np.array(windows, dtype=np.int64))
