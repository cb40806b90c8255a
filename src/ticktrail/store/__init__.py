"""Cassandra: tables, writing, reading. The only room that imports a Cassandra driver."""

from ticktrail.store.alert_table import ALERTS_SCHEMA
from ticktrail.store.alerts import EVERY_ALERT, AlertStore, StoredAlert, StoredRule, Wanted
from ticktrail.store.batches import sql_schema
from ticktrail.store.durability import SyncProver
from ticktrail.store.gaps import GAPS_SCHEMA
from ticktrail.store.latest import LATEST_SCHEMA
from ticktrail.store.migrate import SCHEMA_VERSION, migrate
from ticktrail.store.partitions import (
    DayRef,
    PartitionRef,
    SpanNs,
    bucket_end,
    day_span_ns,
    slot_spans_ns,
    slots_of_day,
)
from ticktrail.store.reader import Read, Reader
from ticktrail.store.session import ServerLimits, StoreSession, connect
from ticktrail.store.tables import (
    BARS,
    CORRECTIONS,
    GAPS,
    LATEST_QUOTES,
    LATEST_TRADES,
    QUOTES,
    STATUS,
    TABLE_OF,
    TABLES,
    TRADES,
    Table,
    dataset_of,
)
from ticktrail.store.writer import Writer

__all__ = [
    "ALERTS_SCHEMA",
    "BARS",
    "CORRECTIONS",
    "EVERY_ALERT",
    "GAPS",
    "GAPS_SCHEMA",
    "LATEST_QUOTES",
    "LATEST_SCHEMA",
    "LATEST_TRADES",
    "QUOTES",
    "SCHEMA_VERSION",
    "STATUS",
    "TABLES",
    "TABLE_OF",
    "TRADES",
    "AlertStore",
    "DayRef",
    "PartitionRef",
    "Read",
    "Reader",
    "ServerLimits",
    "SpanNs",
    "StoreSession",
    "StoredAlert",
    "StoredRule",
    "SyncProver",
    "Table",
    "Wanted",
    "Writer",
    "bucket_end",
    "connect",
    "dataset_of",
    "day_span_ns",
    "migrate",
    "slot_spans_ns",
    "slots_of_day",
    "sql_schema",
]
