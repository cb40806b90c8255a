"""Reads rows back from Cassandra as anybody would: the plain driver and CQL, nothing of ticktrail's store."""

from __future__ import annotations

import threading
import time
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile
from cassandra.policies import RoundRobinPolicy

from ticktrail.clock import NS_PER_MS, NS_PER_SECOND, SystemClock
from ticktrail.config import StoreSettings

__all__ = ["partition_of", "read_back"]

_EVERY_S = 0.01
# Rows do not appear in the order of their times: what is so much older than the newest one seen is asked for
# again each time, and what is older than that once in a while. Few rows are as late, and those count as later
# still; but reading fifty rows again and again would take from the pipeline what is measured.
_LOOK_BACK_NS = 200 * NS_PER_MS
_LOOK_FAR_BACK_NS = 5 * NS_PER_SECOND
_FAR_EVERY = 100
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


def read_back(
    store: StoreSettings, symbol: str, stop: threading.Event
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Ask for the newest trades of a symbol again and again.

    Returns
    -------
    Of each trade that was seen, its own time and when it was first read: shapes ``(n,)``, nanoseconds.
    """
    clock = SystemClock()
    seen: dict[tuple[int, int], tuple[int, int]] = {}
    profile = ExecutionProfile(load_balancing_policy=RoundRobinPolicy())
    profiles = {EXEC_PROFILE_DEFAULT: profile}
    with Cluster([store.hosts], port=store.port, protocol_version=5, execution_profiles=profiles) as cluster:
        session = cluster.connect(store.keyspace)
        query = session.prepare(_QUERY)
        newest_ns = clock.now_ns()
        due, turn = time.monotonic(), 0
        while not stop.wait(max(0.0, due - time.monotonic())):
            due = max(due + _EVERY_S, time.monotonic())
            turn += 1
            since_ns = newest_ns - (_LOOK_BACK_NS if turn % _FAR_EVERY else _LOOK_FAR_BACK_NS)
            for day, slot in {partition_of(since_ns), partition_of(clock.now_ns())}:
                rows = session.execute(query, (symbol, day, slot, since_ns)).all()
                now_ns = clock.now_ns()
                for row in rows:
                    seen.setdefault((row.ts, row.event_id), (row.ts_event_ns, now_ns))
                    newest_ns = max(newest_ns, row.ts)
    times = np.array(list(seen.values()), dtype=np.int64).reshape(-1, 2)
    return times[:, 0], times[:, 1]
