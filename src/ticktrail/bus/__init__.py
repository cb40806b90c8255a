"""Kafka. The only room that imports a Kafka client."""

from ticktrail.bus.admin import ensure_topics, partition_counts
from ticktrail.bus.consumer import Consumer, Partition, PartitionBatch, Position
from ticktrail.bus.partitioner import partition_of
from ticktrail.bus.producer import Producer
from ticktrail.bus.tail import Tail
from ticktrail.bus.topics import Topics, message_key

__all__ = [
    "Consumer",
    "Partition",
    "PartitionBatch",
    "Position",
    "Producer",
    "Tail",
    "Topics",
    "ensure_topics",
    "message_key",
    "partition_counts",
    "partition_of",
]
