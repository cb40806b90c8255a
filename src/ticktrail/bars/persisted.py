"""How far persist has come: asked on a thread of its own, so that nobody waits for the answer."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping

from ticktrail.bus import GroupPositions, Partition
from ticktrail.clock import Clock
from ticktrail.errors import TicktrailError
from ticktrail.telemetry import get_logger

__all__ = ["PersistWatch"]

_log = get_logger("bars")

# Persist commits five times a second.
_ASK_EVERY_S = 0.2


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
