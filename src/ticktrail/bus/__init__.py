"""Kafka. The only room that imports a Kafka client."""

from ticktrail.bus.admin import ensure_topics, partition_counts, uncommitted
from ticktrail.bus.batches import Partition, PartitionBatch, Position
from ticktrail.bus.client import MESSAGE_BYTES_MAX
from ticktrail.bus.consumer import Consumer
from ticktrail.bus.follower import Follower
from ticktrail.bus.lag import LagGauge
from ticktrail.bus.live import LiveProducer, Receipt
from ticktrail.bus.onlooker import Onlooker, Seen
from ticktrail.bus.partitioner import partition_of
from ticktrail.bus.positions import GroupPositions
from ticktrail.bus.producer import Producer
from ticktrail.bus.tail import Tail, Tailed
from ticktrail.bus.topics import Topics, message_key

__all__ = [
    "MESSAGE_BYTES_MAX",
    "Consumer",
    "Follower",
    "GroupPositions",
    "LagGauge",
    "LiveProducer",
    "Onlooker",
    "Partition",
    "PartitionBatch",
    "Position",
    "Producer",
    "Receipt",
    "Seen",
    "Tail",
    "Tailed",
    "Topics",
    "ensure_topics",
    "message_key",
    "partition_counts",
    "partition_of",
    "uncommitted",
]
