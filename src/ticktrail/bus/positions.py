"""What a consumer group has committed, asked from outside of it."""

from __future__ import annotations

from collections.abc import Iterable

from confluent_kafka import Consumer, KafkaException, TopicPartition

from ticktrail.bus.batches import Partition, Position
from ticktrail.bus.client import new_client, translated
from ticktrail.config import KafkaSettings

__all__ = ["GroupPositions"]

_TIMEOUT_S = 10.0


class GroupPositions:
    """Asks for a group's positions, over one connection that is kept. Never joins the group.

    By a consumer and not by the admin client, which in librdkafka 2.16 crashes in
    `list_consumer_group_offsets` where the broker's answer is an error, as while a group moves.

    Parameters
    ----------
    settings
        How to reach Kafka.
    group
        The group's id.
    """

    def __init__(self, settings: KafkaSettings, group: str) -> None:
        self._address = settings.bootstrap_servers
        self._consumer = new_client(Consumer, settings, {"group.id": group, "enable.auto.commit": False})

    def read(self, partitions: Iterable[Partition]) -> dict[Partition, Position]:
        """Read what is committed for these partitions; those without a position are left out.

        Raises
        ------
        TicktrailError
            Kafka does not answer, or refuses.
        """
        asked = [TopicPartition(partition.topic, partition.number) for partition in partitions]
        try:
            found = self._consumer.committed(asked, timeout=_TIMEOUT_S)
        except KafkaException as error:
            raise translated(error, self._address) from error
        for at in found:
            if at.error is not None:
                raise translated(at.error, self._address)
        return {
            Partition(at.topic, at.partition): Position(at.offset, at.metadata or "")
            for at in found
            if at.offset >= 0
        }

    def close(self) -> None:
        """Disconnect."""
        self._consumer.close()
