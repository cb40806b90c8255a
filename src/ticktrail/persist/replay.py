"""Dead letters, tried again after a fix.

A letter that persist wrote goes back to the topic it came from, with its own key and value, if it can be
decoded now. One that capture wrote is parsed by its feed once more, and what comes out takes the usual way.
Either may be sent twice: records converge by their identity. A letter that is still dead is written again, at
the end of the topic, before its old place is committed: it waits there for the next replay, and none is lost.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ticktrail.bus import Consumer, Partition, PartitionBatch, Position, Producer, Topics, message_key
from ticktrail.clock import Clock
from ticktrail.codec import decode_columns, encode_columns
from ticktrail.config import Settings
from ticktrail.feeds import Feed, Frame
from ticktrail.model import Bar, Columns
from ticktrail.telemetry import get_logger

__all__ = ["ReplayReport", "replay_dead_letters"]

_log = get_logger("replay")

_POLL_RECORDS_MAX = 5_000
_FLUSH_TIMEOUT_S = 60.0
# A group's first values come within a second; without any for this long nothing is left.
_IDLE_TIMEOUT_NS = 15_000_000_000

# Makes a feed by its name, for its parser.
MakeFeed = Callable[[str], Feed]


@dataclass
class ReplayReport:
    """What became of the letters.

    Parameters
    ----------
    letters
        Read.
    replayed
        Sent to their topics again.
    still_dead
        Reason → letters written to the end of dead-letters again.
    records
        Sent for the letters replayed: of one frame many may come.
    """

    letters: int = 0
    replayed: int = 0
    records: int = 0
    still_dead: Counter[str] = field(default_factory=Counter)


def replay_dead_letters(
    settings: Settings, make_feed: MakeFeed, clock: Clock, stop: threading.Event
) -> ReplayReport:
    """Try all letters that are in the topic now, each once; progress is kept for the next call.

    Parameters
    ----------
    make_feed
        For the letters of capture; it may raise `TicktrailError` for a feed that is not there any more.
    stop
        Set it to end soon; what is left is replayed by the next call.

    Raises
    ------
    TicktrailError
        Kafka is away. Nothing is committed that was not sent.
    """
    return _Replay(settings, make_feed, clock).run(stop)


class _Replay:
    def __init__(self, settings: Settings, make_feed: MakeFeed, clock: Clock) -> None:
        self._settings = settings
        self._topics = Topics.of(settings.kafka)
        self._clock = clock
        self._make_feed = make_feed
        self._feeds: dict[str, Feed] = {}
        self._producer = Producer(settings.kafka, clock)
        self._report = ReplayReport()
        # Where each partition ended when it was first seen: what is written again lies behind it.
        self._ends: dict[Partition, int] = {}

    def run(self, stop: threading.Event) -> ReplayReport:
        settings = self._settings
        consumer = Consumer(
            settings.kafka,
            f"{settings.persist.group}-replay",
            [self._topics.dead_letters],
            lambda positions: None,
            lambda partitions: None,
        )
        try:
            self._ends = consumer.ends(self._topics.dead_letters)
            last_ns = self._clock.monotonic_ns()
            while self._ends and not stop.is_set():
                batches = consumer.poll(_POLL_RECORDS_MAX, with_headers=True)
                if batches:
                    last_ns = self._clock.monotonic_ns()
                    self._take(consumer, batches)
                self._leave_out_what_is_read(consumer)
                if self._clock.monotonic_ns() - last_ns > _IDLE_TIMEOUT_NS:
                    _log.warning("replay.idle", partitions=len(self._ends))
                    break
        finally:
            consumer.close()
        return self._report

    def _take(self, consumer: Consumer, batches: Sequence[PartitionBatch]) -> None:
        due: dict[Partition, Position] = {}
        for batch in batches:
            end = self._ends.get(batch.partition, 0)
            inside = int(np.searchsorted(batch.offsets, end))
            for row in range(inside):
                self._replay(batch.keys[row], batch.values[row], batch.headers[row])
            if inside:
                due[batch.partition] = Position(int(batch.offsets[inside - 1]) + 1)
        self._producer.flush(_FLUSH_TIMEOUT_S)
        consumer.commit(due)

    def _leave_out_what_is_read(self, consumer: Consumer) -> None:
        positions = consumer.positions()
        for partition, end in list(self._ends.items()):
            if positions.get(partition, -1) >= end or end == 0:
                del self._ends[partition]

    def _replay(self, key: bytes | None, value: bytes, headers: Mapping[str, bytes]) -> None:
        self._report.letters += 1
        if "cut_from_bytes" in headers:
            reason = "cut"
        elif "topic" in headers:
            reason = self._replay_record(headers["topic"].decode(), key, value)
        elif "feed" in headers:
            reason = self._replay_frame(headers["feed"].decode(), value, headers)
        else:
            reason = "unknown_origin"
        if reason:
            self._report.still_dead[reason] += 1
            self._producer.send_to_partition(self._topics.dead_letters, -1, value, headers, key)
        else:
            self._report.replayed += 1

    def _replay_record(self, topic: str, key: bytes | None, value: bytes) -> str:
        rejected = decode_columns([value]).rejected
        if rejected:
            return rejected[0][1].reason
        if topic not in self._topics.persisted:
            return "unknown_topic"
        self._producer.send(topic, [key], [value])
        self._report.records += 1
        return ""

    def _replay_frame(self, name: str, payload: bytes, headers: Mapping[str, bytes]) -> str:
        if name not in self._feeds:
            self._feeds[name] = self._make_feed(name)
        received_ns = int(headers.get("ts_recv_ns", b"0"))
        parsed = self._feeds[name].parse([Frame(received_ns, payload)])
        if parsed.rejected:
            return parsed.rejected[0].reason
        for columns in parsed.columns:
            self._send(columns)
        return ""

    def _send(self, columns: Columns[Any]) -> None:
        topic = self._topics.for_record(columns.record)
        if columns.record is Bar:
            topic = self._topics.vendor_bars
        pairs = zip(columns["feed"].tolist(), columns["symbol"].tolist(), strict=True)
        keys = [message_key(feed.decode(), symbol.decode()) for feed, symbol in pairs]
        self._producer.send(topic, keys, encode_columns(columns))
        self._report.records += len(columns)
