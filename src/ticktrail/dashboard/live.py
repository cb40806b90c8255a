"""The thread that reads Kafka for the page, and hands everything to the event loop.

Guarantee: what the loop has not taken yet is at most one poll; a busy loop slows this thread down, and
nothing piles up but in Kafka. While Kafka is away the page stands still and says so; then it goes on where it
stood.
"""

from __future__ import annotations

import asyncio
import threading

from ticktrail.bus import Onlooker, Partition, Topics
from ticktrail.clock import NS_PER_SECOND, Backoff, Clock
from ticktrail.codec import Decoded, decode_columns
from ticktrail.config import KafkaSettings
from ticktrail.dashboard.hub import Hub
from ticktrail.dashboard.metrics import LAG, LATENCY_RECV, REJECTED, SKIPPED, VALUES
from ticktrail.dashboard.minutes import KEPT
from ticktrail.errors import StageFailed, TicktrailError, Transient
from ticktrail.model import Alert, Bar, Flag, Quote, Record, Status, Trade
from ticktrail.telemetry import get_logger

__all__ = ["LiveReader"]

_log = get_logger("serve")

_RECORDS_MAX = 20_000
_POLL_S = 0.1
_BATCH_MS = 10
# What is read again at the start: open minutes' trades, quotes of symbols that are traded at all, the bars of
# the window that is kept, the day's alerts, and halts, which may last for days.
_SINCE_S: dict[type[Record], int] = {
    Trade: 180,
    Quote: 60,
    Bar: KEPT * 60,
    Status: 10 * 86_400,
    Alert: 86_400,
}
_LAG_EVERY_NS = NS_PER_SECOND


class LiveReader:
    """Reads until it is stopped; made and started by the event loop's thread.

    Parameters
    ----------
    hub
        Belongs to the loop.
    loop
        Where the hub lives.

    Attributes
    ----------
    trouble
        Why nothing comes at the moment; None while all is well.
    has_caught_up
        Set once what was there at the start is read.
    """

    def __init__(
        self, settings: KafkaSettings, hub: Hub, loop: asyncio.AbstractEventLoop, clock: Clock
    ) -> None:
        self._settings = settings
        self._hub = hub
        self._loop = loop
        self._clock = clock
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="live", daemon=True)
        self._next_lag_ns = 0
        # What comes from there on has not been taken.
        self._positions: dict[Partition, int] = {}
        self.trouble: TicktrailError | None = None
        self.has_caught_up = threading.Event()

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; returns at once."""
        self._stop.set()

    def _run(self) -> None:
        backoff = Backoff(0.2, 10.0)
        while not self._stop.is_set():
            begun_ns = self._clock.monotonic_ns()
            try:
                self._read()
            except Exception as error:  # noqa: BLE001  (a thread that died would look like a quiet market)
                self.trouble = error if isinstance(error, TicktrailError) else _bug(error)
                lasted_s = (self._clock.monotonic_ns() - begun_ns) / NS_PER_SECOND
                delay_s = backoff.next_s(lasted_s)
                level = _log.warning if isinstance(error, Transient) else _log.error
                is_bug = not isinstance(error, TicktrailError)
                level(
                    "serve.kafka_trouble",
                    error=str(error),
                    delay_s=round(delay_s, 2),
                    exc_info=is_bug or None,
                )
                self._clock.wait(self._stop, delay_s)

    def _read(self) -> None:
        topics, now_ns = Topics.of(self._settings), self._clock.now_ns()
        since_ns = {
            topics.for_record(record): now_ns - seconds * NS_PER_SECOND
            for record, seconds in _SINCE_S.items()
        }
        # After trouble not from the start again: trades of open minutes would count twice.
        onlooker = Onlooker(self._settings, since_ns, _BATCH_MS, self._positions)
        skipped = 0
        try:
            self.trouble = None
            while not self._stop.is_set():
                values = [value for seen in onlooker.poll(_RECORDS_MAX, _POLL_S) for value in seen.values]
                if values:
                    self._hand_over(decode_columns(values), len(values))
                # librdkafka connects again by itself; meanwhile the page must not look as if it were live.
                self.trouble = onlooker.away
                self._positions = dict(onlooker.positions)
                SKIPPED.inc(onlooker.skipped - skipped)
                skipped = onlooker.skipped
                self._look(onlooker)
        finally:
            onlooker.close()

    def _hand_over(self, decoded: Decoded, count: int) -> None:
        VALUES.inc(count)
        REJECTED.inc(len(decoded.rejected))
        taken = threading.Event()

        def take() -> None:
            try:
                self._hub.take(decoded)
            finally:
                taken.set()

        self._loop.call_soon_threadsafe(take)
        while not taken.wait(_POLL_S) and not self._stop.is_set():
            pass
        if (trades := decoded.kinds.get(Trade)) is not None:
            columns = trades.columns
            is_live = (columns["flags"] & Flag.NO_RECV_TIME) == 0
            LATENCY_RECV.observe_ns(self._clock.now_ns() - columns["ts_recv_ns"][is_live])

    def _look(self, onlooker: Onlooker) -> None:
        now_ns = self._clock.monotonic_ns()
        if now_ns < self._next_lag_ns:
            return
        self._next_lag_ns = now_ns + _LAG_EVERY_NS
        lag = onlooker.lag()
        LAG.set(lag)
        if lag < _RECORDS_MAX:
            self.has_caught_up.set()


def _bug(error: Exception) -> TicktrailError:
    return StageFailed(
        what="What is live cannot be read",
        why=f"a bug: {type(error).__name__}",
        next_step="The log has the details.",
        stage="serve",
        code=1,
    )
