"""Kafka to Cassandra: micro-batches, checkpoints, dead letters and their replay."""

from ticktrail.persist.checkpoint import Checkpoint, Span
from ticktrail.persist.replay import ReplayReport, replay_dead_letters
from ticktrail.persist.runner import Persist

__all__ = ["Checkpoint", "Persist", "ReplayReport", "Span", "replay_dead_letters"]
