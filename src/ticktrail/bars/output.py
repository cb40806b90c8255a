"""Bars into the store and into Kafka."""

from __future__ import annotations

import threading

import numpy as np

from ticktrail.bars import metrics
from ticktrail.bus import Producer, Topics, message_key
from ticktrail.clock import NS_PER_US, Backoff, Clock
from ticktrail.codec import encode_columns
from ticktrail.errors import Transient
from ticktrail.model import Bar, Columns
from ticktrail.store import BARS, Writer
from ticktrail.telemetry import get_logger

__all__ = ["BarOutput"]

_log = get_logger("bars")

_BACKOFF_S = (0.1, 10.0)
# Together about half a minute: while it waits the stage does not poll, and after five minutes of that the
# group would take it for dead.
_TRIES_MAX = 8
_FLUSH_TIMEOUT_S = 60.0


class BarOutput:
    """Writes bars, and returns when they are acknowledged.

    Parameters
    ----------
    stop
        Ends waiting for a store that is away.
    """

    def __init__(
        self, writer: Writer, producer: Producer, topics: Topics, clock: Clock, stop: threading.Event
    ) -> None:
        self._writer = writer
        self._producer = producer
        self._topic = topics.for_record(Bar)
        self._clock = clock
        self._stop = stop

    def put(self, bars: Columns[Bar]) -> None:
        """Store and publish bars that have closed.

        Raises
        ------
        TicktrailError
            Where that is not possible for long, or when told to stop meanwhile. Doing it again is safe.
        """
        self._store(bars)
        self._publish(bars)

    def revise(self, bars: Columns[Bar]) -> None:
        """Publish and store bars with new revisions; raises as `put`.

        In this order, because a rebuild compares with the store: should this process die in between, the next
        one finds the bar unchanged there and publishes it again. The other way round nobody would.
        """
        self._publish(bars)
        self._store(bars)

    def _publish(self, bars: Columns[Bar]) -> None:
        feeds, symbols = bars["feed"].tolist(), bars["symbol"].tolist()
        keys = [message_key(f.decode(), s.decode()) for f, s in zip(feeds, symbols, strict=True)]
        self._producer.send(self._topic, keys, encode_columns(bars))
        self._producer.flush(_FLUSH_TIMEOUT_S)
        is_first = bars["revision"] == 0
        for counter, rows in ((metrics.BARS, is_first), (metrics.REVISED, ~is_first)):
            intervals, counts = np.unique(bars["interval"][rows], return_counts=True)
            for interval, count in zip(intervals.tolist(), counts.tolist(), strict=True):
                counter.inc(count, interval=interval.decode())

    def _store(self, bars: Columns[Bar]) -> None:
        backoff = Backoff(*_BACKOFF_S)
        # A later revision must win, whenever it is written: time and revision decide, not the clock.
        write_ts_us = bars["ts_close_ns"] // NS_PER_US + bars["revision"]
        while True:
            try:
                self._writer.write(BARS, bars, write_ts_us)
            except Transient as error:
                if self._stop.is_set() or backoff.tries >= _TRIES_MAX:
                    raise
                delay_s = backoff.next_s()
                _log.warning("bars.retry", error=str(error), delay_s=round(delay_s, 2), bars=len(bars))
                metrics.RETRIES.inc()
                self._clock.wait(self._stop, delay_s)
            else:
                return
