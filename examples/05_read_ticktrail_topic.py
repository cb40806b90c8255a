"""Read what ticktrail writes to Kafka with a client of your own.

Run 04_with_ticktrail.py first. Uses: kafka-python with lz4 (`pip install 'kafka-python[lz4]'`), because
ticktrail compresses its messages with lz4.
"""

from collections import Counter

from kafka import KafkaConsumer, TopicPartition

import ticktrail
from ticktrail.config import load
from ticktrail.model import Trade

settings = load().settings
topic = f"{settings.kafka.topic_prefix}.trades.v1"  # ticktrail.trades.v1

consumer = KafkaConsumer(bootstrap_servers=settings.kafka.bootstrap_servers, enable_auto_commit=False)
partitions = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic)]
consumer.assign(partitions)
consumer.seek_to_beginning()
ends = consumer.end_offsets(partitions)

kinds: Counter[str] = Counter()
last: dict[str, float] = {}
while any(consumer.position(partition) < ends[partition] for partition in partitions):
    for messages in consumer.poll(timeout_ms=1_000).values():
        for message in messages:
            # A trade; or a correction, or a heartbeat: it says that time passes where nothing trades.
            record = ticktrail.decode(message.value)
            kinds[type(record).__name__] += 1
            if isinstance(record, Trade):
                last[record.symbol] = record.price
consumer.close()

print(
    f"{kinds['Trade']} trades, {kinds['Correction']} corrections, {kinds['Heartbeat']} heartbeats in {topic}"
)
print(f"last price of SPY: {last.get('SPY')}")
