"""Trades encoded and produced per second, beside Kafka's own producer performance tool on the same broker.

``ticktrail``
    What capture does with parsed trades: columns to keys and values, and through its way out
    (`ticktrail.capture.outlet`) into Kafka, until every value is acknowledged.
``kafka_perf``
    ``org.apache.kafka.tools.ProducerPerformance`` with messages ready-made in memory: ours, key and value
    together, each byte cut to seven bits, as the tool takes text only. So the sizes are the same, and they
    compress about as well.
``kafka_perf_random``
    The same tool as it is mostly called, by ``--record-size``: it makes random letters for each message,
    which hardly compress.
``client_only``
    ``ticktrail`` without the encoding: keys and values ready-made, the same way out.
``encode_only``
    Our keys and values, thrown away: what encoding costs of ``ticktrail``.

All send to topics of their own of one broker, in turn. Acks, idempotence, compression, linger, batch size,
bytes in flight, partitions and bytes per message are the same. All sides are warm: of the tool its own
figure after its warm-up counts, without the start of its JVM, and the broker has compiled its code for small
batches (its processor time for a value falls to a quarter over the first five million). Not the same: our
messages have keys, whose partition is to be found, and go to all partitions at once; the tool's have none,
and fill one partition's batch after the other.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.harness import Contender, compare, report, servers, timed
from benchmarks.perf_tool import PerfTool
from benchmarks.trades import BEGIN_NS, SYMBOLS, Trades
from ticktrail.bus import LiveProducer, Topics, ensure_topics
from ticktrail.capture import Sender
from ticktrail.capture.batch import Batch
from ticktrail.capture.outlet import Outlet
from ticktrail.cli.memory import settled_memory
from ticktrail.clock import SystemClock
from ticktrail.config import CaptureSettings, KafkaSettings, Settings
from ticktrail.model import Columns, Trade

__all__ = ["main", "text_of"]

RECORDS = 1_000_000
ROUNDS = 9
# What capture hands over at once at such rates, and how many of these there are: they come again and again.
BATCH_RECORDS = 1_000
_BATCHES = 100
# As much as the tool needs until its rate no longer rises.
_WARM_UP_RECORDS = 1_000_000
# And ours, until the broker takes no less time for a value.
_WARM_UP_ROUNDS = 6
_FLUSH_TIMEOUT_S = 60.0
_TARGET = 0.8
# librdkafka's own batch size, which ours leaves as it is, and what the outlet allows in flight.
_BATCH_BYTES = 1_000_000
_FLIGHT_BYTES = 32 * 1024 * 1024


def main(rounds: int = ROUNDS, records: int = RECORDS) -> str:
    """Run; give the JSON object.

    Parameters
    ----------
    rounds
        How often each takes its turn.
    records
        That each sends in its turn.
    """
    trades = Trades()
    batches = [trades.take(BATCH_RECORDS) for _ in range(_BATCHES)]
    messages = list(_messages(batches))
    size = statistics.fmean(map(len, messages))
    with servers() as settings, settled_memory():  # as `ticktrail capture` does
        contenders = _contenders(settings, batches, messages, records)
        contenders["encode_only"]()
        for _ in range(_WARM_UP_ROUNDS // 2):
            contenders["ticktrail"]()  # the tool warms itself up
            contenders["client_only"]()
        rates = compare(contenders, rounds)
        logged = {name: _logged_bytes(settings, name) for name in rates}
    encode_only = rates.pop("encode_only")
    same = {
        "acks": "all",
        "idempotence": True,
        "compression": "lz4",
        "linger_ms": settings.kafka.linger_ms,
        "batch_bytes": _BATCH_BYTES,
        "flight_bytes": _FLIGHT_BYTES,
        "partitions": settings.kafka.partitions,
        "bytes_per_message": round(size, 1),
    }
    parameters = {"rounds": rounds, "records_per_round": records, "symbols": SYMBOLS, "same": same}
    result: dict[str, Any] = json.loads(report("produce", parameters, rates, ours="ticktrail"))
    for name, figures in result["results"].items():
        ours, tools = (rounds + _WARM_UP_ROUNDS // 2) * records, rounds * (records + _WARM_UP_RECORDS)
        sent = tools if name.startswith("kafka_perf") else ours
        figures["median_mb_per_s"] = round(figures["median_per_s"] * size / 1e6, 1)
        figures["bytes_per_record_in_the_log"] = round(logged[name] / sent, 1)
    result["results"]["encode_only"] = {
        "median_per_s": round(statistics.median(encode_only)),
        "rounds_per_s": [round(rate) for rate in encode_only],
        "median_mb_per_s": round(statistics.median(encode_only) * size / 1e6, 1),
    }
    ratio = result["ratios"]["kafka_perf"]
    result["targets"] = {"kafka_perf": {"at_least": _TARGET, "measured": ratio, "is_met": ratio >= _TARGET}}
    return json.dumps(result, indent=2)


def text_of(message: bytes) -> bytes:
    """Make a message of as many bytes that is one line of text, and compresses about as well."""
    return bytes(byte & 0x7F for byte in message).replace(b"\n", b"\v")


def _contenders(
    settings: Settings, batches: list[Columns[Trade]], messages: list[bytes], records: int
) -> dict[str, Contender]:
    kafka = {
        name: msgspec.structs.replace(settings.kafka, topic_prefix=name)
        for name in ("ticktrail", "client_only", "kafka_perf", "kafka_perf_random")
    }
    for each in kafka.values():
        ensure_topics(each)
    payloads = Path(settings.stack.data_dir) / "payloads"
    payloads.write_bytes(b"\n".join(map(text_of, messages)))
    size = round(statistics.fmean(map(len, messages)))
    sender, client = _sender(kafka["ticktrail"]), _sender(kafka["client_only"])
    ready = list(_encoded(batches, Topics.of(kafka["client_only"])))
    encoder = Sender(_Nowhere(), Topics.of(settings.kafka), "encode", settings.kafka.partitions)
    tool = PerfTool(settings.kafka, _java_properties(settings.kafka))

    def produce(name: str, *payload: str) -> Contender:
        topic = Topics.of(kafka[name]).trades
        return lambda: tool.run(topic, records, _WARM_UP_RECORDS, *payload)

    return {
        "ticktrail": lambda: timed(lambda: _send(sender, batches, records)),
        "kafka_perf": produce("kafka_perf", "--payload-file", str(payloads)),
        "kafka_perf_random": produce("kafka_perf_random", "--record-size", str(size)),
        "client_only": lambda: timed(lambda: _hand_over(client, ready, records)),
        "encode_only": lambda: timed(lambda: _send(encoder, batches, records)),
    }


def _sender(kafka: KafkaSettings) -> Sender:
    """Put together what capture has between parsed records and Kafka, but for a spool."""
    capture, clock, topics = CaptureSettings(), SystemClock(), Topics.of(kafka)
    outlet = Outlet(
        LiveProducer(kafka),
        None,
        feed="bench",
        stall_ms=capture.spool_after_ms,
        clock=clock,
    )
    return Sender(outlet, topics, "bench", kafka.partitions)


def _java_properties(kafka: KafkaSettings) -> dict[str, str]:
    return {
        "acks": "all",
        "enable.idempotence": "true",
        "compression.type": "lz4",
        "linger.ms": f"{kafka.linger_ms:g}",
        "batch.size": str(_BATCH_BYTES),
        "buffer.memory": str(_FLIGHT_BYTES),
    }


def _send(sender: Sender, batches: list[Columns[Trade]], records: int) -> int:
    for columns in islice(cycle(batches), records // BATCH_RECORDS):
        lost = sender.send(columns, BEGIN_NS)
        assert not lost, "Kafka takes nothing"
    return _flushed(sender, records)


def _hand_over(sender: Sender, batches: list[Batch], records: int) -> int:
    for batch in islice(cycle(batches), records // BATCH_RECORDS):
        assert sender.way_out.accept(batch), "Kafka takes nothing"
    return _flushed(sender, records)


def _flushed(sender: Sender, records: int) -> int:
    sender.way_out.flush(_FLUSH_TIMEOUT_S)
    if isinstance(sender.way_out, Outlet):
        assert sender.way_out.acknowledged == sender.way_out.accepted, "Kafka does not acknowledge"
    return records // BATCH_RECORDS * BATCH_RECORDS


def _messages(batches: list[Columns[Trade]]) -> Iterator[bytes]:
    """Give key and value of each trade, behind one another."""
    for batch in _encoded(batches, Topics(prefix="bench")):
        for key, value in zip(batch.keys, batch.values, strict=True):
            yield (key or b"") + value


def _encoded(batches: list[Columns[Trade]], topics: Topics) -> Iterator[Batch]:
    keep = _Nowhere()
    sender = Sender(keep, topics, "bench", 1)
    for columns in batches:
        sender.send(columns, BEGIN_NS)
        assert keep.last is not None
        yield keep.last


def _logged_bytes(settings: Settings, prefix: str) -> int:
    """Count what the broker wrote for a contender's trades, compressed."""
    directory = Path(settings.stack.data_dir) / "kafka"
    return sum(file.stat().st_size for file in directory.glob(f"{prefix}.trades.v1-*/*.log"))


class _Nowhere:
    """A way out that keeps the last batch only."""

    last: Batch | None = None

    def accept(self, batch: Batch) -> bool:
        self.last = batch
        return True

    def tick(self) -> None:
        """Nothing waits."""

    def hurry(self, timeout_s: float) -> None:
        """Nothing waits."""

    def flush(self, timeout_s: float) -> None:
        """Nothing waits."""

    def close(self) -> None:
        """Nothing waits."""


if __name__ == "__main__":
    sys.stdout.write(main() + "\n")
