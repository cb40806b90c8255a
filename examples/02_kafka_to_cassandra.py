"""The plain way, 2 of 3: read the trades from Kafka and write them into a Cassandra table.

Run 01_fetch_to_kafka.py first. Uses: kafka-python, cassandra-driver.
"""

import json
from datetime import datetime
from itertools import islice

from cassandra.cluster import Cluster
from cassandra.concurrent import execute_concurrent_with_args
from kafka import KafkaConsumer

from ticktrail.config import load

TOPIC = "plain.trades"
COUNT = 2_000

settings = load().settings
session = Cluster([settings.store.hosts], port=settings.store.port).connect()
session.execute(
    "CREATE KEYSPACE IF NOT EXISTS plain "
    "WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}"
)
# The partition key says which rows lie together, the clustering key how they are sorted and told apart.
session.execute(
    "CREATE TABLE IF NOT EXISTS plain.trades "
    "(symbol text, ts timestamp, id bigint, price double, size int, PRIMARY KEY ((symbol), ts, id))"
)
insert = session.prepare("INSERT INTO plain.trades (symbol, ts, id, price, size) VALUES (?, ?, ?, ?, ?)")

consumer = KafkaConsumer(
    TOPIC,
    bootstrap_servers=settings.kafka.bootstrap_servers,
    group_id="plain-to-cassandra",
    auto_offset_reset="earliest",
    enable_auto_commit=False,
    consumer_timeout_ms=20_000,  # gives up if 01 has sent nothing new
)
trades = [json.loads(message.value) for message in islice(consumer, COUNT)]
rows = [(t["S"], datetime.fromisoformat(t["t"]), t["i"], t["p"], t["s"]) for t in trades]
execute_concurrent_with_args(session, insert, rows, concurrency=100)
# Only now: had we died before, the same trades would be read and written again, onto the same rows.
consumer.commit()
consumer.close()
session.cluster.shutdown()
print(f"stored {len(rows)} trades in plain.trades")
