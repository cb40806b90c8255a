"""A whole day's bars built again from the stored trades and corrections, and held against the stored bars.

The proof that live equals rebuilt, and the remedy where it does not: after a loss in the store, or where a
window was forgotten (`ticktrail_bars_forgotten_windows_total`).
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from ticktrail.bars.engine import ALL_CLOSED_NS, us_equities
from ticktrail.bars.ladder import NEVER_NS
from ticktrail.bars.progress import Progress
from ticktrail.bars.rebuild import Job, Rebuilder, Rebuilt
from ticktrail.bars.runner import kept_intervals
from ticktrail.bars.store_archive import StoreArchive
from ticktrail.bars.window import LEVELS, midnight_ns
from ticktrail.bus import GroupPositions, Partition, Position, Topics, message_key, partition_of
from ticktrail.clock import NS_PER_SECOND, Clock, SystemClock
from ticktrail.config import Settings
from ticktrail.errors import QueryError
from ticktrail.model import INTERVALS_NS
from ticktrail.store import BARS, TRADES, DayRef, Reader, dataset_of
from ticktrail.store.tables import bucket_days

__all__ = ["DayRebuild", "SymbolDay"]

# Both stages commit a second or two after they have read; which of them is ahead changes.
_PERSIST_TIMEOUT_NS = 30 * NS_PER_SECOND
_LOOK_S = 0.1


@dataclass(frozen=True, kw_only=True)
class SymbolDay:
    """What was found for one symbol.

    Parameters
    ----------
    rebuilt
        Its `revised` bars are those that the store should have instead; none where all is well.
    """

    symbol: str
    rebuilt: Rebuilt


class DayRebuild:
    """Rebuilds the bars of a feed's trading date, symbol by symbol. Reads only.

    Windows that the bars stage has not closed yet, by what it has committed, are left out: their bars are
    still to come.

    Parameters
    ----------
    reader
        Of the store.
    settings
        Tell the intervals, and where the bars stage's group is asked for.
    day
        Days since 1970-01-01.
    symbols
        Only these; None for all of which trades or bars are stored.

    Attributes
    ----------
    symbols
        Those that will be looked at, in their order.

    Raises
    ------
    QueryError
        Persist has not stored yet what the bars were built from.
    TicktrailError
        Store or Kafka do not answer; also while iterating.
    """

    def __init__(
        self,
        reader: Reader,
        settings: Settings,
        feed: str,
        day: int,
        symbols: Collection[str] | None = None,
        clock: Clock | None = None,
    ) -> None:
        intervals = kept_intervals(settings.bars).intervals
        self._feed = feed
        self._day = day
        self._partitions = settings.kafka.partitions
        self._progress = _read_progress(settings, clock or SystemClock())
        self._rebuilder = Rebuilder(StoreArchive(reader), intervals, us_equities)
        # Partitions of the shortest interval cover the fewest days.
        shortest = min(intervals, key=LEVELS.index)
        (bucket,) = bucket_days(shortest, np.array([day], dtype=np.int32)).tolist()
        refs = [DayRef(dataset_of(TRADES), feed, day), DayRef(dataset_of(BARS, shortest), feed, bucket)]
        self.symbols = sorted({ref.symbol for ref in reader.partitions(refs, symbols)})

    def __iter__(self) -> Iterator[SymbolDay]:
        """Rebuild one symbol after the other."""
        return (SymbolDay(symbol=symbol, rebuilt=self.rebuild(symbol)) for symbol in self.symbols)

    def rebuild(self, symbol: str) -> Rebuilt:
        """Rebuild the bars of one symbol."""
        market = us_equities(self._feed)
        first_ns, end_ns = midnight_ns(self._day, market), midnight_ns(self._day + 1, market)
        minutes_ns = np.arange(first_ns, end_ns, INTERVALS_NS["1m"], dtype=np.int64)
        closed_ns = self._closed_ns(symbol)
        return self._rebuilder.rebuild(
            Job(
                feed=self._feed,
                symbol=symbol,
                # A feed's own dates may be those of another zone.
                days=(self._day - 1, self._day, self._day + 1),
                date=self._day,
                minutes_ns=minutes_ns,
                complete_ns=np.full(len(minutes_ns), closed_ns),
                closed_ns=closed_ns,
            )
        )

    def _closed_ns(self, symbol: str) -> int:
        number = partition_of(message_key(self._feed, symbol), self._partitions)
        progress = self._progress.get(number)
        if progress is None:
            return ALL_CLOSED_NS  # nobody is building it
        open_days = progress.open.get(self._feed, {})
        if self._day in open_days:
            return open_days[self._day]
        newest = max([*open_days, *progress.done.get(self._feed, ())], default=self._day)
        is_done = progress.is_done(self._feed, self._day) or self._day < newest
        return ALL_CLOSED_NS if is_done else NEVER_NS


def _read_progress(settings: Settings, clock: Clock) -> Mapping[int, Progress]:
    """Read what the bars stage has committed, by partition, once persist has stored all that it had read."""
    topic = Topics.of(settings.kafka).trades
    partitions = [Partition(topic, number) for number in range(settings.kafka.partitions)]
    with closing(GroupPositions(settings.kafka, settings.bars.group)) as positions:
        found = {
            partition: Progress.from_text(position.state)
            for partition, position in positions.read(partitions).items()
            if position.state
        }
    with closing(GroupPositions(settings.kafka, settings.persist.group)) as positions:
        deadline_ns = clock.monotonic_ns() + _PERSIST_TIMEOUT_NS
        while behind := _behind(found, positions.read(found)):
            if clock.monotonic_ns() > deadline_ns:
                raise QueryError(
                    what="The bars cannot be rebuilt yet",
                    why=f"persist has yet to store {behind:,} records that they were built from",
                    next_step="Run `ticktrail persist` until it has caught up.",
                )
            clock.wait(threading.Event(), _LOOK_S)
    return {partition.number: progress for partition, progress in found.items()}


def _behind(read: Mapping[Partition, Progress], stored: Mapping[Partition, Position]) -> int:
    none = Position(0)
    return sum(max(0, each.next_offset - stored.get(at, none).offset) for at, each in read.items())
