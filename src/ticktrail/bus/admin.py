"""Makes the topics."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from contextlib import closing

from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec, TopicMetadata

from ticktrail.bus.batches import Partition
from ticktrail.bus.client import MESSAGE_BYTES_MAX, new_client, translated
from ticktrail.bus.positions import GroupPositions
from ticktrail.bus.topics import Topics
from ticktrail.clock import NS_PER_SECOND, SystemClock
from ticktrail.config import KafkaSettings
from ticktrail.errors import SchemaMismatch

__all__ = ["ensure_topics", "partition_counts", "uncommitted"]

_TIMEOUT_S = 30.0
# How long an unreachable Kafka is waited for, and how long a wait may keep Ctrl-C waiting.
_REACH_TIMEOUT_NS = 10 * NS_PER_SECOND
_SLICE_S = 1.0
_METADATA_PAUSE_S = 0.05
# Kept of the ledger of gaps at least, so that a capture that was off for weeks knows since when.
_LEDGER_HOURS = 90 * 24
_HOUR_MS = 3_600_000


def ensure_topics(
    settings: KafkaSettings, extra: Iterable[str] = (), stop: threading.Event | None = None
) -> None:
    """Create the topics that are missing; refuse those whose partition count differs.

    Parameters
    ----------
    extra
        Names of further topics, such as ``raw.<feed>``; like dead letters, their values may be large.
    stop
        Where it is set while Kafka does not answer, nothing is created.

    Raises
    ------
    SchemaMismatch
        A topic exists with another number of partitions: keys would move, and with them the order.
    Unreachable
        Kafka does not answer.
    """
    topics = Topics.of(settings)
    whole = {topics.dead_letters, *extra}
    wanted = [*topics.records, *sorted(whole)]
    admin = new_client(AdminClient, settings)
    if _topics(admin, settings, stop) is None:
        return
    config = {
        "message.timestamp.type": "LogAppendTime",
        "retention.ms": str(settings.retention_hours * _HOUR_MS),
        "cleanup.policy": "delete",
    }
    large = config | {"max.message.bytes": str(MESSAGE_BYTES_MAX)}
    lasting = config | {"retention.ms": str(max(settings.retention_hours, _LEDGER_HOURS) * _HOUR_MS)}
    futures = admin.create_topics(
        [
            NewTopic(
                name,
                settings.partitions,
                settings.replication_factor,
                config=large if name in whole else lasting if name == topics.gaps else config,
            )
            for name in wanted
        ],
        operation_timeout=_TIMEOUT_S,
        request_timeout=_TIMEOUT_S,
    )
    for future in futures.values():
        try:
            future.result()
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                admin.poll(0)  # hands over the cause
                raise translated(error, settings.bootstrap_servers) from error
    for name, count in _settled_counts(settings, wanted).items():
        if count != settings.partitions:
            raise SchemaMismatch(
                what=f"The topic {name} has {count} partitions, not {settings.partitions}",
                why="a topic's partition count is fixed for life: with another, records of one symbol would "
                "stand in two partitions and lose their order",
                next_step=f"Set kafka.partitions = {count}, or choose another kafka.topic_prefix.",
            )


def partition_counts(settings: KafkaSettings, names: Iterable[str]) -> dict[str, int]:
    """Count the partitions of each topic; 0 where it does not exist."""
    found = _topics(new_client(AdminClient, settings), settings) or {}
    return {name: len(found[name].partitions) if name in found else 0 for name in names}


def _settled_counts(settings: KafkaSettings, names: list[str]) -> dict[str, int]:
    """Count partitions once the broker's metadata has all topics; a new one may take it a moment."""
    clock = SystemClock()
    deadline_ns = clock.monotonic_ns() + int(_TIMEOUT_S * NS_PER_SECOND)
    never = threading.Event()  # its wait is a pause
    while not all((counts := partition_counts(settings, names)).values()):
        if clock.monotonic_ns() >= deadline_ns:
            break
        clock.wait(never, _METADATA_PAUSE_S)
    return counts


def _topics(
    admin: AdminClient, settings: KafkaSettings, stop: threading.Event | None = None
) -> Mapping[str, TopicMetadata] | None:
    """List the topics; None where `stop` was set before Kafka answered."""
    clock = SystemClock()
    deadline_ns = clock.monotonic_ns() + _REACH_TIMEOUT_NS
    while stop is None or not stop.is_set():
        try:
            found: Mapping[str, TopicMetadata] = admin.list_topics(timeout=_SLICE_S).topics
        except KafkaException as error:
            admin.poll(0)  # hands over the cause
            is_away = error.args[0].code() in (KafkaError._TRANSPORT, KafkaError._TIMED_OUT)
            if not is_away or clock.monotonic_ns() >= deadline_ns:
                raise translated(error, settings.bootstrap_servers) from error
        else:
            return found
    return None


def uncommitted(settings: KafkaSettings, group: str, topics: Iterable[str]) -> int:
    """Count the values of some topics that a group has not committed.

    Raises
    ------
    TicktrailError
        Kafka does not answer, or knows no such topic.
    """
    partitions = [
        TopicPartition(name, number)
        for name, count in partition_counts(settings, topics).items()
        for number in range(count)
    ]
    admin = new_client(AdminClient, settings)
    try:
        ends = {
            (at.topic, at.partition): future.result().offset
            for at, future in admin.list_offsets(
                {at: OffsetSpec.latest() for at in partitions}, request_timeout=_TIMEOUT_S
            ).items()
        }
    except KafkaException as error:
        raise translated(error, settings.bootstrap_servers) from error
    with closing(GroupPositions(settings, group)) as positions:
        committed = positions.read(Partition(at.topic, at.partition) for at in partitions)
    return sum(
        end - (committed[Partition(*at)].offset if Partition(*at) in committed else 0)
        for at, end in ends.items()
    )
