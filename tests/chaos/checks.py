"""What a scenario left behind, found by plain clients and compared with the exchange's own log."""

from __future__ import annotations

import itertools
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile
from cassandra.policies import RoundRobinPolicy
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from ticktrail.bus import Topics
from ticktrail.cli.verify import verify_run
from ticktrail.codec import decode
from ticktrail.config import Settings
from ticktrail.feeds.sim import read_log
from ticktrail.model import Correction, Gap, Heartbeat, Record, Trade

READ_TIMEOUT_S = 120.0

# Symbol and the exchange's own number of the trade.
Sent = tuple[str, int]


@dataclass
class Verdict:
    """What was compared, and what was wrong with it; nothing, if all is well.

    Parameters
    ----------
    sent, stored
        Trades: in the exchange's log, and rows of the table.
    excused
        Sent and not stored, within a window that the gap ledger names.
    problems
        One sentence each.
    """

    sent: int = 0
    stored: int = 0
    excused: int = 0
    bars: int = 0
    problems: list[str] = field(default_factory=list)

    def note(self, count: int, what: str) -> None:
        """Note a problem, if there is one."""
        if count:
            self.problems.append(f"{count} {what}")


def compare(settings: Settings, log_dir: Path) -> Verdict:
    """Hold the store against the exchange's log, record by record."""
    sent = sent_trades(log_dir)
    rows = stored_trades(settings)
    verdict = Verdict(sent=len(sent), stored=len(rows))
    found = Counter((row.symbol, int(row.tick.trade_id)) for row in rows)
    verdict.note(sum(count - 1 for count in found.values()), "trades are stored twice")
    verdict.note(len(found.keys() - sent.keys()), "stored trades were never sent")
    gaps = gap_windows(settings)
    missing = [trade for key, trade in sent.items() if key not in found]
    excused = [trade for trade in missing if any(a <= trade["sent_ns"] <= b for a, b in gaps)]
    verdict.excused = len(excused)
    verdict.note(len(missing) - len(excused), "trades were sent and are neither stored nor in a gap")
    verdict.note(sum(_differs(sent[key], row) for row in rows if (key := _key(row)) in sent), "trades differ")
    bars = verify_run(settings, log_dir)
    verdict.bars = bars.bars
    verdict.note(bars.bars_wrong, "bars differ from those computed from the exchange's log")
    verdict.note(_disordered(rows), "trades stand in another order than they were sent in")
    verdict.note(_unaccounted(settings, rows), "values in Kafka are neither stored nor dead letters")
    return verdict


def committed_but_not_stored(settings: Settings) -> int:
    """Count the trades before the committed offsets that the store does not have.

    There must be none at any time; once no persist runs, they are lost for ever, because nobody reads them
    again.
    """
    topic = Topics.of(settings.kafka).trades
    with closing(Consumer(_config(settings))) as consumer:
        partitions = [TopicPartition(topic, number) for number in range(settings.kafka.partitions)]
        ends = {each.partition: each.offset for each in consumer.committed(partitions, timeout=30)}
    stored = {_identity(row) for row in stored_trades(settings)}
    values = records_before(settings, topic, ends)
    return sum(_key_of(record) not in stored for record in values if isinstance(record, Trade))


def _unaccounted(settings: Settings, rows: list[Any]) -> int:
    """Count what went into persist and did not come out: neither a row, nor buried, nor a mere heartbeat."""
    topics = Topics.of(settings.kafka)
    stored = {_identity(row) for row in rows}
    corrected = {_identity(row) for row in _rows(settings, "SELECT symbol, ts, event_id FROM corrections")}
    homes: dict[type[Record], set[tuple[str, int, int]]] = {Trade: stored, Correction: corrected}
    values = records_before(settings, topics.trades, _ends(settings, topics.trades))
    taken = (record for record in values if not isinstance(record, Heartbeat))
    missing = sum(_key_of(record) not in homes.get(type(record), set()) for record in taken)
    return missing - len(_buried(settings, topics))


def _buried(settings: Settings, topics: Topics) -> set[tuple[bytes, bytes]]:
    """Find the places in the topic of trades whose values are dead letters."""
    places: set[tuple[bytes, bytes]] = set()
    for message in messages_before(settings, topics.dead_letters, _ends(settings, topics.dead_letters)):
        headers = dict(message.headers() or ())
        if headers.get("topic") == topics.trades.encode():
            places.add((headers["partition"], headers["offset"]))
    return places


def _identity(row: Any) -> tuple[str, int, int]:
    return (row.symbol, row.ts, row.event_id)


def _key_of(record: Any) -> tuple[str, int, int]:
    return (record.symbol, record.ts_ns, record.event_id)


def _ends(settings: Settings, topic: str) -> dict[int, int]:
    with closing(Consumer(_config(settings))) as consumer:
        return {
            number: consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=30)[1]
            for number in range(settings.kafka.partitions)
        }


def records_before(settings: Settings, topic: str, ends: Mapping[int, int]) -> Iterator[Record]:
    """Read the values of each partition from its start to before an offset."""
    return (decode(message.value()) for message in messages_before(settings, topic, ends))


def messages_before(settings: Settings, topic: str, ends: Mapping[int, int]) -> Iterator[Any]:
    """Read each partition from its start to before an offset; one at a time, as there may be millions."""
    with closing(Consumer(_config(settings))) as consumer:
        consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in ends])
        missing = {number for number, end in ends.items() if end > 0}
        deadline = time.monotonic() + READ_TIMEOUT_S
        while missing:
            assert time.monotonic() < deadline, f"{topic} cannot be read to its end"
            for message in consumer.consume(10_000, 0.2):
                assert message.error() is None, message.error()
                number, offset = message.partition(), message.offset()
                if offset < ends[number]:
                    yield message
                if offset + 1 >= ends[number]:
                    missing.discard(number)


def _config(settings: Settings) -> dict[str, Any]:
    return {
        "bootstrap.servers": settings.kafka.bootstrap_servers,
        "group.id": settings.persist.group,
        "enable.auto.commit": False,
    }


def sent_trades(log_dir: Path) -> dict[Sent, dict[str, Any]]:
    """Read the exchange's log: every trade that was handed to somebody, once."""
    table = read_log(log_dir)["trades"]
    rows = table.filter(pc.greater(table["recipients"], 0)).to_pylist()
    return {(row["symbol"], row["id"]): row for row in rows}


def stored_trades(settings: Settings) -> list[Any]:
    """Read all rows of the table."""
    return _rows(settings, "SELECT symbol, ts, event_id, tick FROM trades")


def _rows(settings: Settings, query: str) -> list[Any]:
    """Ask with the stock driver."""
    everywhere = ExecutionProfile(load_balancing_policy=RoundRobinPolicy(), request_timeout=60)
    cluster = Cluster(
        [settings.store.hosts],
        port=settings.store.port,
        protocol_version=5,
        execution_profiles={EXEC_PROFILE_DEFAULT: everywhere},
    )
    try:
        session = cluster.connect(settings.store.keyspace)
        return list(session.execute(query))
    finally:
        cluster.shutdown()


def gap_windows(settings: Settings) -> list[tuple[int, int]]:
    """Read the gap ledger from Kafka; the last word on each gap counts."""
    topic = Topics.of(settings.kafka).for_record(Gap)
    values = records_before(settings, topic, _ends(settings, topic))
    gaps = [record for record in values if isinstance(record, Gap)]
    latest = {(gap.feed, gap.channel, gap.from_ns, gap.cause): gap for gap in gaps}
    return [(gap.from_ns, gap.to_ns) for gap in latest.values() if gap.state != "covered"]


def _key(row: Any) -> Sent:
    return (row.symbol, int(row.tick.trade_id))


def _differs(sent: dict[str, Any], row: Any) -> bool:
    tick = row.tick
    return (sent["ts_event_ns"], sent["price"], float(sent["size"]), sent["conditions"]) != (
        tick.ts_event_ns,
        tick.price,
        tick.size,
        tick.conditions,
    )


def _disordered(rows: list[Any]) -> int:
    """Count falls of the exchange's numbers in the order of time; late prints have an older time."""
    by_symbol: dict[str, list[Any]] = defaultdict(list)
    for row in rows:
        if "Z" not in row.tick.conditions.split(","):
            by_symbol[row.symbol].append(row)
    falls = 0
    for own in by_symbol.values():
        own.sort(key=lambda row: (row.tick.ts_event_ns, row.event_id))
        numbers = [int(row.tick.trade_id) for row in own]
        falls += sum(after < before for before, after in itertools.pairwise(numbers))
    return falls
