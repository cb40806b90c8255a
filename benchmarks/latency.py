"""How old a trade is when it can be used, from the exchange's send on, at 10,000 trades/s for 10 minutes.

Simulated exchange → websocket → capture → Kafka → persist → Cassandra with real processes, everything on this
machine and by its one clock, after a warm-up. The exchange keeps a log of when it handed each trade to its
sockets, just before it encoded it; that is where all but ``cassandra_acknowledged`` begin. Trades leave in a
steady stream, whether the pipeline keeps up or not.

``kafka``
    Until a consumer has the value that asks for each at once, in a group of its own: every trade.
``cassandra_read_back``
    Until a plain Cassandra driver, sharing no code with ticktrail, has read the row: the trades of one symbol
    (some 50 a second), whose newest rows it asks for every 10 ms. Waiting for the next question and the
    question itself are part of it, so rows are readable up to some 10 ms before. It does so in bursts, one
    second's trades out of ten, since asking takes processor time from what is measured.
``cassandra_acknowledged``
    Until persist has Cassandra's acknowledgement, after which a row can be read: every trade, by persist's
    own histogram (within 3.2 %). It begins when the trade fell due, which is up to one step of the exchange
    (5 ms) before it was sent.
``exchange_wait``
    From when a trade fell due until it was sent: what the exchange itself adds.

All that was sent in the measured time is waited for; no target is met while a trade is missing. Targets are
held against the worse of the two figures for Cassandra.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from benchmarks.harness import machine, servers
from benchmarks.latency_probe import ReadBack, read_back
from benchmarks.percentiles import (
    Summary,
    histogram_over_time,
    histogram_summary,
    over_time,
    summary,
)
from benchmarks.plot import Line, plot
from benchmarks.stages import installation, simulated, words
from ticktrail.bus import Consumer, Topics
from ticktrail.clock import SystemClock
from ticktrail.codec import decode_columns
from ticktrail.config import Settings
from ticktrail.feeds.sim import SimSettings, Universe, read_log
from ticktrail.model import Trade
from ticktrail.telemetry import LatencyHistogram

__all__ = ["Sent", "interval_s", "main", "targets"]

RATE = 10_000
SECONDS = 600
# The servers compile their code under load for about so long.
WARM_UP_S = 60
SYMBOLS = 500
# Of the symbol that is read back: enough for a p99.9, few enough to ask for often.
PROBED_RATE = 50
_INTERVALS_MAX = 60
# What was sent last is waited for so long; what comes later counts as not seen.
_SETTLE_S = 5.0
_POLL_RECORDS_MAX = 10_000
_POLL_S = 0.001
_DECODE_AT = 1_000
_ACKNOWLEDGED = "ticktrail_persist_event_to_stored_seconds"

Times = npt.NDArray[np.int64]


class Seen(NamedTuple):
    """Trades at the end of their way.

    Parameters
    ----------
    ts_event_ns
        Shape ``(n,)``: when each fell due.
    at_ns
        Shape ``(n,)``: when it was there.
    """

    ts_event_ns: Times
    at_ns: Times


class Sent(NamedTuple):
    """What the exchange sent, by its own log, in the order of time.

    Parameters
    ----------
    ts_event_ns, sent_ns
        Shape ``(n,)``: when each trade fell due, and when it was handed to the sockets. Trades of one instant
        are sent together.
    is_probed
        Shape ``(n,)``: whether it is of the symbol that is read back.
    """

    ts_event_ns: Times
    sent_ns: Times
    is_probed: npt.NDArray[np.bool_]

    @staticmethod
    def read(directory: Path, symbol: str) -> Sent:
        """Read the exchange's log; only what was handed to a client."""
        trades = read_log(directory, sent_only=True)["trades"]
        ts_event_ns = trades["ts_event_ns"].to_numpy()
        order = np.argsort(ts_event_ns, kind="stable")
        return Sent(
            ts_event_ns[order],
            trades["sent_ns"].to_numpy()[order],
            pc.equal(trades["symbol"].cast("string"), symbol).to_numpy()[order],
        )

    def between(self, begin_ns: int, end_ns: int) -> Sent:
        """Keep what was sent in a time."""
        return self.of((self.sent_ns >= begin_ns) & (self.sent_ns < end_ns))

    def of(self, chosen: npt.NDArray[np.bool_]) -> Sent:
        """Keep some; shape ``(n,)``."""
        return Sent(self.ts_event_ns[chosen], self.sent_ns[chosen], self.is_probed[chosen])

    def latencies(self, seen: Seen) -> tuple[Times, Times]:
        """Match trades by their time, which the exchange gives them; others than these are left out.

        Returns
        -------
        When each was sent, and how long it took: shapes ``(m,)``, nanoseconds.
        """
        if not len(self.ts_event_ns):
            return np.empty(0, np.int64), np.empty(0, np.int64)
        place = np.searchsorted(self.ts_event_ns, seen.ts_event_ns)
        place = np.minimum(place, len(self.ts_event_ns) - 1)
        known = self.ts_event_ns[place] == seen.ts_event_ns
        sent_ns = self.sent_ns[place[known]]
        return sent_ns, seen.at_ns[known] - sent_ns


class _Watched(NamedTuple):
    """The measured time: its intervals' bounds, and persist's histogram at each."""

    bounds_ns: list[int]
    histograms: list[LatencyHistogram]


def main(rate: int = RATE, seconds: int = SECONDS, svg: Path | None = None) -> str:
    """Run; give the JSON object.

    Parameters
    ----------
    rate
        Trades per second.
    seconds
        After the warm-up.
    svg
        Where to draw the percentiles over time.
    """
    symbol = _probed_symbol(rate)
    with servers() as settings:
        own = installation(settings, "latency")
        log_dir = Path(own.stack.data_dir) / "sent"
        watched, in_kafka, in_store = _measure(own, rate, seconds, log_dir, symbol)
        sent = Sent.read(log_dir, symbol).between(watched.bounds_ns[0], watched.bounds_ns[-1])
    probed = sent.of(sent.is_probed & in_store.is_watched(sent.sent_ns))
    from_kafka = sent.latencies(in_kafka)
    from_store = probed.latencies(Seen(in_store.ts_event_ns, in_store.at_ns))
    wait_ns = sent.sent_ns - sent.ts_event_ns
    results = {
        "cassandra_read_back": summary(from_store[1]),
        "cassandra_acknowledged": histogram_summary(watched.histograms[-1] - watched.histograms[0]),
        "kafka": summary(from_kafka[1]),
        "exchange_wait": summary(wait_ns),
    }
    # Sent in the measured time, and not seen until after it.
    missing = {
        "cassandra_read_back": len(probed.sent_ns) - len(from_store[1]),
        "kafka": len(sent.sent_ns) - len(from_kafka[1]),
    }
    intervals = {
        "cassandra_read_back": over_time(*from_store, watched.bounds_ns),
        "cassandra_acknowledged": histogram_over_time(watched.histograms),
        "kafka": over_time(*from_kafka, watched.bounds_ns),
    }
    if svg is not None:
        svg.write_text(_picture(intervals, rate, interval_s(seconds)), encoding="utf-8")
    result = {
        "name": "latency",
        "machine": machine(),
        "parameters": {
            "trades_per_s": rate,
            "seconds": seconds,
            "warm_up_s": WARM_UP_S,
            "symbols": SYMBOLS,
            "read_back_symbol": symbol,
        },
        "results": results,
        "missing": missing,
        "targets": targets(results, is_complete=not any(missing.values())),
        "over_time": {"interval_s": interval_s(seconds), **intervals},
    }
    return json.dumps(result, indent=2)


def targets(results: dict[str, Summary], *, is_complete: bool) -> dict[str, dict[str, Any]]:
    """Hold the results against what they should be; none counts while trades are missing in them."""
    limits = {
        "cassandra_p50_ms": (50, ("cassandra_read_back", "cassandra_acknowledged"), "p50_ms"),
        "cassandra_p99_ms": (200, ("cassandra_read_back", "cassandra_acknowledged"), "p99_ms"),
        "kafka_p99_ms": (30, ("kafka",), "p99_ms"),
    }
    told = {}
    for name, (below_ms, sources, quantile) in limits.items():
        values = [results[source][quantile] for source in sources]
        known = [value for value in values if value is not None]
        worst_ms = max(known) if len(known) == len(values) else None
        is_met = is_complete and worst_ms is not None and worst_ms < below_ms
        told[name] = {"below": below_ms, "measured": worst_ms, "is_met": is_met}
    return told


def interval_s(seconds: int) -> int:
    """Cut a run into about as many intervals as a picture can show."""
    return max(1, -(-seconds // _INTERVALS_MAX))


def _probed_symbol(rate: int) -> str:
    universe = Universe.of(SimSettings().seed, SYMBOLS)
    return universe.symbols[int(np.abs(universe.share * rate - PROBED_RATE).argmin())]


def _measure(
    settings: Settings, rate: int, seconds: int, log_dir: Path, symbol: str
) -> tuple[_Watched, Seen, ReadBack]:
    stop = threading.Event()
    # Late prints are dated long before they are sent: they would count as seconds on the way.
    log = ("--log-dir", str(log_dir), "--set", "feeds.sim.late_per_million=0")
    with ThreadPoolExecutor(2) as pool:
        readers: list[Future[Any]] = []
        try:
            with simulated(settings, rate, SYMBOLS, *log):
                readers += [pool.submit(_consume, settings, stop)]
                readers += [pool.submit(read_back, settings.store, symbol, stop)]
                time.sleep(WARM_UP_S)
                watched = _watch(settings, seconds, readers)
                time.sleep(_SETTLE_S)
        finally:
            stop.set()
        return watched, readers[0].result(), readers[1].result()


def _watch(settings: Settings, seconds: int, readers: Sequence[Future[Any]]) -> _Watched:
    """Note persist's histogram at each interval's bound; it is up to half a second old there."""
    clock = SystemClock()
    begun = time.monotonic()
    bounds_ns, histograms = [clock.now_ns()], [_acknowledged(settings)]
    step_s = interval_s(seconds)
    for until_s in [*range(step_s, seconds, step_s), seconds]:
        time.sleep(max(0.0, begun + until_s - time.monotonic()))
        for reader in readers:
            if reader.done():
                reader.result()  # raises: neither ends by itself
        bounds_ns.append(clock.now_ns())
        histograms.append(_acknowledged(settings))
    return _Watched(bounds_ns, histograms)


def _acknowledged(settings: Settings) -> LatencyHistogram:
    return words(settings)["persist"].latency(_ACKNOWLEDGED)


def _consume(settings: Settings, stop: threading.Event) -> Seen:
    """Read all trades from Kafka, each at once, and note when it was there."""
    clock = SystemClock()
    topic = Topics.of(settings.kafka).trades
    consumer = Consumer(settings.kafka, "latency-reader", [topic], lambda _: None, lambda _: None, batch_ms=0)
    parts: list[Seen] = []
    values: list[bytes] = []
    times: list[int] = []
    try:
        while not stop.is_set():
            for batch in consumer.poll(_POLL_RECORDS_MAX, _POLL_S):
                now_ns = clock.now_ns()
                values += batch.values
                times += [now_ns] * len(batch.values)
            if len(values) >= _DECODE_AT:
                parts.append(_trades(values, times))
                values, times = [], []
    finally:
        consumer.close()
    parts.append(_trades(values, times))
    return Seen(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _trades(values: list[bytes], times: list[int]) -> Seen:
    found = decode_columns(values).kinds.get(Trade)
    if found is None:
        return Seen(np.empty(0, np.int64), np.empty(0, np.int64))
    return Seen(found.columns["ts_event_ns"], np.array(times, dtype=np.int64)[found.rows])


def _picture(intervals: dict[str, dict[str, list[float | int | None]]], rate: int, step_s: int) -> str:
    store, kafka = intervals["cassandra_acknowledged"], intervals["kafka"]
    lines = [
        Line("Cassandra p99", "#c62828", store["p99_ms"]),
        Line("Cassandra p50", "#c62828", store["p50_ms"], is_dashed=True),
        Line("Kafka consumer p99", "#1565c0", kafka["p99_ms"]),
        Line("Kafka consumer p50", "#1565c0", kafka["p50_ms"], is_dashed=True),
    ]
    note = f"{rate:,} trades/s, everything on one machine; each point stands for the trades of {step_s} s"
    return plot("From the exchange to Cassandra and to a Kafka consumer", note, lines, step_s)


if __name__ == "__main__":
    sys.stdout.write(main() + "\n")
