"""A topic read without a group, for looking on."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from types import TracebackType
from typing import NamedTuple

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, KafkaException, TopicPartition
from confluent_kafka import Consumer as _Consumer

from ticktrail.bus.admin import partition_counts
from ticktrail.bus.client import new_client, translated
from ticktrail.config import KafkaSettings
from ticktrail.errors import SchemaMismatch

__all__ = ["Tail", "Tailed"]

_POLL_S = 0.2
_RECORDS_MAX = 1_000


class Tailed(NamedTuple):
    """A value, and what was written beside it: of dead letters where they come from, and why they are."""

    value: bytes
    headers: dict[str, str]


class Tail:
    """Iterates over a topic's values as they come, without end; leaves no trace in Kafka.

    Parameters
    ----------
    topic
        Its full name.
    from_start
        Begin at the start of the log instead of its end.

    Raises
    ------
    SchemaMismatch
        There is no such topic.
    """

    def __init__(self, settings: KafkaSettings, topic: str, *, from_start: bool) -> None:
        self._address = settings.bootstrap_servers
        count = partition_counts(settings, [topic])[topic]
        if not count:
            raise SchemaMismatch(
                what=f"Kafka at {self._address} has no topic {topic}",
                next_step="Start a feed with `ticktrail run`, or see the names with `ticktrail tail --help`.",
            )
        start = OFFSET_BEGINNING if from_start else OFFSET_END
        self._consumer = new_client(
            _Consumer,
            settings,
            # A group's name is demanded, but without subscription and commits the broker never hears it.
            {"group.id": f"tail-{uuid.uuid4()}", "enable.auto.commit": False, "fetch.wait.max.ms": 50},
        )
        self._consumer.assign([TopicPartition(topic, number, start) for number in range(count)])

    def __enter__(self) -> Iterator[Tailed]:
        return self._values()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._consumer.close()

    def _values(self) -> Iterator[Tailed]:
        while True:
            # One is waited for; `consume` would wait for all of a number.
            messages = self._consumer.consume(1, _POLL_S)
            for message in messages and [*messages, *self._consumer.consume(_RECORDS_MAX, 0)]:
                trouble = message.error()
                if trouble is not None:
                    raise translated(KafkaException(trouble), self._address)
                headers = {
                    name: (value or b"").decode("utf-8", "replace") for name, value in message.headers() or ()
                }
                yield Tailed(message.value() or b"", headers)
