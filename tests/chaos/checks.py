"""What a scenario left behind, found by plain clients and compared with the exchange's own log."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile
from cassandra.policies import RoundRobinPolicy
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from ticktrail.bus import Topics
from ticktrail.cli.verify import verify_run
from ticktrail.codec import decode
from ticktrail.config import Settings
from ticktrail.feeds.sim import read_log
from ticktrail.model import Correction, Gap, Record, Trade

READ_TIMEOUT_S = 900.0
# Objects of Python alive at a time, while they become columns: a scenario may leave ten million trades.
_CHUNK_ROWS = 50_000

_IDENTITY = {"symbol": pa.string(), "ts": pa.int64(), "event_id": pa.int64()}
_STORED = pa.schema(
    _IDENTITY
    | {
        "id": pa.int64(),
        "ts_event_ns": pa.int64(),
        "price": pa.float64(),
        "size": pa.float64(),
        "conditions": pa.string(),
    }
)
_CORRECTED = pa.schema(_IDENTITY)
_VALUES = pa.schema({"kind": pa.string()} | _IDENTITY)
_GAPS = pa.schema({"from_ns": pa.int64(), "to_ns": pa.int64()})

# The exchange's log names a trade by its symbol and a number; the copies that a faulty feed sends are in it.
_SENT = "CREATE TABLE sent AS SELECT DISTINCT ON (symbol, id) * FROM log WHERE recipients > 0"
_MISSING = "CREATE TABLE missing AS SELECT * FROM sent ANTI JOIN stored USING (symbol, id)"
_EXCUSED = (
    "SELECT count(*) FROM missing WHERE {} (SELECT 1 FROM gaps WHERE sent_ns BETWEEN from_ns AND to_ns)"
)
_PROBLEMS = {
    "trades are stored twice": "SELECT count(*) - count(DISTINCT (symbol, id)) FROM stored",
    "stored trades were never sent": "SELECT count(*) FROM stored ANTI JOIN sent USING (symbol, id)",
    "trades were sent and are neither stored nor in a gap": _EXCUSED.format("NOT EXISTS"),
    "trades differ": """
        SELECT count(*) FROM stored JOIN sent USING (symbol, id)
        WHERE (stored.ts_event_ns, stored.price, stored.size, stored.conditions)
            IS DISTINCT FROM (sent.ts_event_ns, sent.price, sent.size::DOUBLE, sent.conditions)""",
    # Falls of the exchange's numbers in the order of time; late prints have an older time.
    "trades stand in another order than they were sent in": """
        SELECT count(*) FROM (
            SELECT id < lag(id) OVER (PARTITION BY symbol ORDER BY ts_event_ns, event_id) AS is_fall
            FROM stored
            WHERE NOT list_contains(string_split(conditions, ','), 'Z')
        ) WHERE is_fall""",
}
_UNSTORED = "SELECT count(*) FROM values_ ANTI JOIN {} USING (symbol, ts, event_id) WHERE kind = '{}'"
_FOREIGN = "SELECT count(*) FROM values_ WHERE kind NOT IN ('Trade', 'Correction', 'Heartbeat')"


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
    topic = Topics.of(settings.kafka).trades
    with closing(duckdb.connect()) as database:
        database.register("log", read_log(log_dir)["trades"])
        database.register("stored", stored_trades(settings))
        database.register("gaps", gap_windows(settings))
        for statement in (_SENT, _MISSING):
            database.execute(statement)
        verdict = Verdict(
            sent=_count(database, "SELECT count(*) FROM sent"),
            stored=_count(database, "SELECT count(*) FROM stored"),
            excused=_count(database, _EXCUSED.format("EXISTS")),
        )
        for what, query in _PROBLEMS.items():
            verdict.note(_count(database, query), what)
        database.register("values_", identities_before(settings, topic, _ends(settings, topic)))
        verdict.note(_unaccounted(settings, database), "values in Kafka are neither stored nor dead letters")
    bars = verify_run(settings, log_dir)
    verdict.bars = bars.bars
    verdict.note(bars.bars_wrong, "bars differ from those computed from the exchange's log")
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
    with closing(duckdb.connect()) as database:
        # First what was read, then the store: what is committed later is not asked for.
        database.register("values_", identities_before(settings, topic, ends))
        database.register("stored", stored_trades(settings))
        return _count(database, _UNSTORED.format("stored", "Trade"))


def _unaccounted(settings: Settings, database: duckdb.DuckDBPyConnection) -> int:
    """Count what went into persist and did not come out: neither a row, nor buried, nor a mere heartbeat."""
    rows = _rows(settings, "SELECT symbol, ts, event_id FROM corrections")
    database.register("corrected", _table(rows, _CORRECTED))
    queries = (_UNSTORED.format("stored", "Trade"), _UNSTORED.format("corrected", "Correction"), _FOREIGN)
    missing = sum(_count(database, query) for query in queries)
    return missing - len(_buried(settings, Topics.of(settings.kafka)))


def _count(database: duckdb.DuckDBPyConnection, query: str) -> int:
    ((number,),) = database.execute(query).fetchall()
    return int(number)


def _buried(settings: Settings, topics: Topics) -> set[tuple[bytes, bytes]]:
    """Find the places in the topic of trades whose values are dead letters."""
    places: set[tuple[bytes, bytes]] = set()
    for message in messages_before(settings, topics.dead_letters, _ends(settings, topics.dead_letters)):
        headers = dict(message.headers() or ())
        if headers.get("topic") == topics.trades.encode():
            places.add((headers["partition"], headers["offset"]))
    return places


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


def identities_before(settings: Settings, topic: str, ends: Mapping[int, int]) -> pa.Table:
    """Read the kind and the identity of each value; a heartbeat has only a kind."""
    records = records_before(settings, topic, ends)
    return _table(((type(each).__name__, *_identity(each)) for each in records), _VALUES)


def _identity(record: Record) -> tuple[str, int, int]:
    if isinstance(record, Trade | Correction):
        return record.symbol, record.ts_ns, record.event_id
    return "", 0, 0


def stored_trades(settings: Settings) -> pa.Table:
    """Read all rows of the table."""
    rows = _rows(settings, "SELECT symbol, ts, event_id, tick FROM trades")
    return _table(
        (
            (
                row.symbol,
                row.ts,
                row.event_id,
                int(row.tick.trade_id),
                row.tick.ts_event_ns,
                row.tick.price,
                row.tick.size,
                row.tick.conditions,
            )
            for row in rows
        ),
        _STORED,
    )


def _rows(settings: Settings, query: str) -> Iterator[Any]:
    """Ask with the stock driver, page by page."""
    everywhere = ExecutionProfile(load_balancing_policy=RoundRobinPolicy(), request_timeout=60)
    cluster = Cluster(
        [settings.store.hosts],
        port=settings.store.port,
        protocol_version=5,
        execution_profiles={EXEC_PROFILE_DEFAULT: everywhere},
    )
    try:
        yield from cluster.connect(settings.store.keyspace).execute(query)
    finally:
        cluster.shutdown()


def _table(rows: Iterable[tuple[Any, ...]], schema: pa.Schema) -> pa.Table:
    left = iter(rows)
    chunks = iter(lambda: list(itertools.islice(left, _CHUNK_ROWS)), [])
    batches = [
        pa.record_batch(list(map(pa.array, zip(*chunk, strict=True), schema.types)), schema=schema)
        for chunk in chunks
    ]
    return pa.Table.from_batches(batches, schema=schema)


def gap_windows(settings: Settings) -> pa.Table:
    """Read the gap ledger from Kafka; the last word on each gap counts."""
    topic = Topics.of(settings.kafka).for_record(Gap)
    values = records_before(settings, topic, _ends(settings, topic))
    gaps = [record for record in values if isinstance(record, Gap)]
    latest = {(gap.feed, gap.channel, gap.from_ns, gap.cause): gap for gap in gaps}
    return _table(((gap.from_ns, gap.to_ns) for gap in latest.values() if gap.state != "covered"), _GAPS)
