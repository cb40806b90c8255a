"""How far persist has come: asked on a thread of its own, so that nobody waits for the answer."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping

from ticktrail.bus import GroupPositions, Partition
from ticktrail.clock import NS_PER_SECOND, Clock
from ticktrail.errors import TicktrailError
from ticktrail.telemetry import get_logger

__all__ = ["Patience", "PersistWatch"]

_log = get_logger("bars")

# Persist commits five times a second.
_ASK_EVERY_S = 0.2
# So long without a commit, while something waits for one, is worth a word.
_QUIET_NS = 30 * NS_PER_SECOND


class Patience:
    """Says once that persist does not move while something waits for it.

    Parameters
    ----------
    group
        Persist's group, for the message.
    now_ns
        Of a monotonic clock, as everywhere here.
    """

    def __init__(self, group: str, now_ns: int) -> None:
        self._group = group
        self._offsets: Mapping[Partition, int] = {}
        # Since when it has not moved; None if it was said.
        self._since_ns: int | None = now_ns

    def content(self, now_ns: int) -> None:
        """Note that nothing waits for persist."""
        self._since_ns = now_ns

    def wait(self, offsets: Mapping[Partition, int], waiting: int, now_ns: int) -> None:
        """Note how far persist is while so many windows wait for it."""
        if offsets != self._offsets:
            self._offsets, self._since_ns = dict(offsets), now_ns
        if self._since_ns is not None and self._since_ns < now_ns - _QUIET_NS:
            _log.warning(
                "bars.persist_is_quiet",
                group=self._group,
                dirty=waiting,
                mend="bars are rebuilt from what persist has stored: run `ticktrail persist`",
            )
            self._since_ns = None


class PersistWatch:
    """Knows what persist has committed, a moment ago. Asks only while somebody wants to know.

    Parameters
    ----------
    positions
        Of persist's group; closed with this.
    """

    def __init__(self, positions: GroupPositions, clock: Clock) -> None:
        self._positions = positions
        self._clock = clock
        self._wanted: frozenset[Partition] = frozenset()
        self._offsets: Mapping[Partition, int] = {}
        self._woken = threading.Event()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="persist-watch", daemon=True)
        self._thread.start()

    def offsets(self, partitions: Iterable[Partition]) -> Mapping[Partition, int]:
        """Give what was committed for these partitions when last asked; asks anew. Never waits."""
        self._wanted = frozenset(partitions)
        self._woken.set()
        return self._offsets

    def close(self) -> None:
        """Stop asking."""
        self._closed.set()
        self._woken.set()
        self._thread.join()
        self._positions.close()

    def _run(self) -> None:
        while not self._closed.is_set():
            self._woken.wait()
            self._woken.clear()
            if not self._closed.is_set():
                self._ask()
            self._clock.wait(self._closed, _ASK_EVERY_S)

    def _ask(self) -> None:
        try:
            found = self._positions.read(self._wanted)
        except TicktrailError as error:
            # What was committed stays committed, and the stage's own consumer tells of lasting trouble.
            _log.debug("bars.persist_not_asked", error=str(error))
            return
        self._offsets = {partition: position.offset for partition, position in found.items()}
