"""Kafka to Cassandra: micro-batches, checkpoints, dead letters."""

from ticktrail.persist.checkpoint import Checkpoint, Span
from ticktrail.persist.runner import Persist

__all__ = ["Checkpoint", "Persist", "Span"]
