"""Tells when a member of a group has stopped reading, though it should not have.

After a broker stood still for longer than its sessions last, librdkafka 2.16 may lose its place silently: it
never joins the group again, or never asks again for a partition whose leader was unknown for a moment
(confluentinc/librdkafka issue 5430). A new client has neither trouble, so whoever notices makes one.
"""

from __future__ import annotations

from collections.abc import Iterable

from ticktrail.clock import NS_PER_SECOND

__all__ = ["LOOK_EVERY_NS", "Standing"]

LOOK_EVERY_NS = 5 * NS_PER_SECOND
# Live feeds write heartbeats into every partition several times a second.
_QUIET_NS = 10 * NS_PER_SECOND
# A member may rightly have no partition, when there are more members than partitions; joining anew costs the
# group little, and ever less often.
_ALONE_NS = 30 * NS_PER_SECOND
_ALONE_NS_MAX = 600 * NS_PER_SECOND


class Standing:
    """The standing of one member; times are monotonic, in nanoseconds.

    Parameters
    ----------
    alone_ns
        After how long without a partition it is to join anew.
    """

    def __init__(self, now_ns: int, alone_ns: int = _ALONE_NS) -> None:
        self.alone_ns = alone_ns
        self._moved_ns: dict[tuple[str, int], int] = {}
        self._behind_at: dict[tuple[str, int], int] = {}
        self._alone_since_ns = now_ns

    def assigned(self, partitions: Iterable[tuple[str, int]], now_ns: int) -> None:
        """Note new partitions."""
        self.moved(partitions, now_ns)
        self.alone_ns = _ALONE_NS

    def revoked(self, partitions: Iterable[tuple[str, int]], now_ns: int) -> None:
        """Note that partitions are taken away."""
        for each in partitions:
            self._moved_ns.pop(each, None)
            self._behind_at.pop(each, None)
        self._alone_since_ns = now_ns

    def moved(self, partitions: Iterable[tuple[str, int]], now_ns: int) -> None:
        """Note that values came."""
        for each in partitions:
            self._moved_ns[each] = now_ns
            self._behind_at.pop(each, None)

    def excuse(self, now_ns: int) -> None:
        """Note that nothing can come now: it is paused, or Kafka is away."""
        self.moved(list(self._moved_ns), now_ns)
        self._alone_since_ns = now_ns

    def quiet(self, now_ns: int) -> list[tuple[str, int]]:
        """Name the partitions of which nothing has come for a while: ask the broker where they end."""
        return [each for each, moved_ns in self._moved_ns.items() if now_ns - moved_ns >= _QUIET_NS]

    def is_stalled(self, partition: tuple[str, int], position: int, end: int) -> bool:
        """Tell whether a quiet partition has stood at one position for two looks, with values behind it."""
        before = self._behind_at.pop(partition, None)
        if end > position:
            self._behind_at[partition] = position
        return end > position == before

    def is_alone(self, now_ns: int) -> bool:
        """Tell whether the member has had no partition for too long."""
        return not self._moved_ns and now_ns - self._alone_since_ns >= self.alone_ns

    def rejoined(self, now_ns: int) -> Standing:
        """Give the standing of the client that takes this one's place."""
        return Standing(now_ns, min(2 * self.alone_ns, _ALONE_NS_MAX))
