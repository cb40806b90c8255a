"""What Kafka deleted before it was stored: told long before, and kept in the gap ledger when it happens."""

from __future__ import annotations

from collections.abc import Mapping

from ticktrail.bus import Partition
from ticktrail.clock import NS_PER_MS, NS_PER_SECOND, Clock
from ticktrail.errors import RecordsLost
from ticktrail.model import MISSING_UNKNOWN, Gap
from ticktrail.telemetry import get_logger

__all__ = ["LagWatch", "gap_of"]

_log = get_logger("persist")

_WARN_AGAIN_NS = 600 * NS_PER_SECOND
_NS_PER_DAY = 86_400 * NS_PER_SECOND


def gap_of(loss: RecordsLost, state: str, now_ns: int) -> Gap:
    """Make the gap row of records that a partition lost.

    Parameters
    ----------
    state
        What was committed beside the last position: the log's time of the record before it, in milliseconds
        since 1970, or empty.
    now_ns
        When the loss was found: the lost records are older.

    Returns
    -------
    A permanent gap of all feeds, on the channel ``topic/partition``. Which feeds and symbols were in it
    nobody can tell any more.
    """
    from_ns = int(state) * NS_PER_MS if state.isdigit() else 0
    is_truncated = loss.end < loss.first
    return Gap(
        feed="*",
        channel=f"{loss.topic}/{loss.partition}",
        day=from_ns // _NS_PER_DAY,
        from_ns=from_ns,
        to_ns=now_ns,
        ts_recv_ns=now_ns,
        missing=MISSING_UNKNOWN if is_truncated else loss.end - loss.first,
        cause="truncation" if is_truncated else "retention",
        state="permanent",
        detail=f"offset {loss.first} was to be read next, the log goes on at {loss.end}",
    )


class LagWatch:
    """Knows the age of what is read, and warns when that passes half of what Kafka keeps.

    Parameters
    ----------
    retention_hours
        How long Kafka keeps records.
    """

    def __init__(self, retention_hours: int, clock: Clock) -> None:
        self._limit_ns = retention_hours * 3_600 * NS_PER_SECOND // 2
        self._clock = clock
        self._taken_ms: dict[Partition, int] = {}
        self._due_ns: int | None = None

    def take(self, partition: Partition, append_ts_ms: int) -> None:
        """Note the log's time of the last record read of a partition."""
        self._taken_ms[partition] = append_ts_ms

    def age_s(self, lags: Mapping[Partition, int]) -> float:
        """Tell how old the oldest record is that stands last read in a partition with more to read.

        Parameters
        ----------
        lags
            Records not read yet, per partition that is ours.
        """
        self._taken_ms = {each: taken_ms for each, taken_ms in self._taken_ms.items() if each in lags}
        behind_ms = [taken_ms for each, taken_ms in self._taken_ms.items() if lags[each] > 0]
        if not behind_ms:
            return 0.0
        age_ns = max(0, self._clock.now_ns() - min(behind_ms) * NS_PER_MS)
        if age_ns > self._limit_ns:
            self._warn(age_ns)
        return age_ns / NS_PER_SECOND

    def _warn(self, age_ns: int) -> None:
        now_ns = self._clock.monotonic_ns()
        if self._due_ns is not None and now_ns < self._due_ns:
            return
        self._due_ns = now_ns + _WARN_AGAIN_NS
        _log.error(
            "persist.behind",
            detail=f"what is read now is {age_ns / 3.6e12:.1f} hours old, and Kafka deletes it after "
            f"{self._limit_ns / 1.8e12:.0f}: start more processes of persist, or raise kafka.retention_hours",
        )
