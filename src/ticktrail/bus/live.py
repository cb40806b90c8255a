"""Values into Kafka as they happen: never given up, acknowledged by markers.

Guarantee: idempotent, acknowledged by all in-sync replicas, in order per partition, tried for ever: no
time-out drops a value while Kafka is away. A value that Kafka refuses breaks the producer, rather than leave
a hole in its partition (``enable.gapless.guarantee``); so once a value is acknowledged, all that were handed
over before it to the same partition are. A callback for every value would cost half as much again as sending
it, so only those have one that come with a `Receipt`: rare ones, and heartbeats, which go to every partition.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message
from confluent_kafka import Producer as _Producer

from ticktrail.bus.client import MESSAGE_BYTES_MAX, WATCHED, new_client, translated
from ticktrail.bus.partitioner import partition_of
from ticktrail.config import KafkaSettings

__all__ = ["LiveProducer", "Receipt"]

# The client warns at every start that `enable.gapless.guarantee` counts as experimental; we mean it.
_logger = logging.getLogger("librdkafka.live")
_logger.addFilter(lambda record: "CONFWARN" not in record.getMessage())

# Wider than what the outlet allows in flight, which is the real bound: these are never reached.
_QUEUE_MESSAGES_MAX = 1_000_000
_QUEUE_KIB_MAX = 512 * 1024
_POLL_S = 0.05


class Receipt:
    """Counts what is handed over and not acknowledged of the values it came with.

    Attributes
    ----------
    open
        How many these are.
    error
        Why one of them will never be acknowledged.
    """

    __slots__ = ("error", "open")

    def __init__(self) -> None:
        self.open = 0
        self.error: KafkaError | None = None

    def delivered(self, error: KafkaError | None, message: Message) -> None:
        """Note the end of one value; called by librdkafka inside `LiveProducer.poll`."""
        del message
        if error is None:
            self.open -= 1
        else:
            self.error = self.error or error


class _Places(dict[bytes | None, int]):
    """Keys and their partitions, computed once for each of the symbols of a market."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count

    def __missing__(self, key: bytes | None) -> int:
        place = self[key] = partition_of(key or b"", self.count)
        return place


class LiveProducer:
    """Sends values; one thread may use it at a time.

    Parameters
    ----------
    settings
        How to reach Kafka.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._address = settings.bootstrap_servers
        self._places = _Places(settings.partitions)
        self._producer = new_client(
            _Producer,
            settings,
            {
                **WATCHED,
                "enable.idempotence": True,
                "enable.gapless.guarantee": True,
                "logger": _logger,
                "acks": "all",
                "compression.type": "lz4",
                "linger.ms": settings.linger_ms,
                "partitioner": "murmur2_random",
                "queue.buffering.max.messages": _QUEUE_MESSAGES_MAX,
                "queue.buffering.max.kbytes": _QUEUE_KIB_MAX,
                "delivery.timeout.ms": 0,  # for ever
                "message.max.bytes": MESSAGE_BYTES_MAX,
            },
        )

    def send(
        self,
        topic: str,
        keys: Sequence[bytes | None],
        values: Sequence[bytes],
        receipt: Receipt | None = None,
    ) -> None:
        """Hand over values with their keys; returns at once.

        One call for all of a partition spares librdkafka most of its work on each.

        Raises
        ------
        TicktrailError
            Kafka refused an earlier value for good, or these. Nothing can be sent any more.
        """
        groups: list[list[dict[str, Any]]] = [[] for _ in range(self._places.count)]
        for key, value in zip(keys, values, strict=True):
            groups[self._places[key]].append({"key": key, "value": value})
        callback = {} if receipt is None else {"on_delivery": receipt.delivered}
        if receipt is not None:
            receipt.open += len(values)
        for number, group in enumerate(groups):
            if not group:
                continue
            try:
                self._producer.produce_batch(topic, group, number, **callback)
            except KafkaException as error:
                raise translated(error, self._address) from error
            for refused in (each["_error"] for each in group if "_error" in each):
                raise translated(refused, self._address)

    def send_to_partition(
        self,
        topic: str,
        partition: int,
        value: bytes,
        headers: Mapping[str, bytes],
        key: bytes | None,
        receipt: Receipt,
    ) -> None:
        """Hand over one value to a given partition (-1: as the key has it); raises as `send`."""
        receipt.open += 1
        try:
            self._producer.produce(
                topic, value, key, partition, headers=dict(headers) or None, on_delivery=receipt.delivered
            )
        except KafkaException as error:
            raise translated(error, self._address) from error

    def poll(self, *, wait: bool = False) -> None:
        """Take acknowledgements; wait a moment for the first one if told to."""
        self._producer.poll(_POLL_S if wait else 0)

    def check(self, receipt: Receipt) -> None:
        """Raise if a value of this receipt will never be acknowledged."""
        if receipt.error is not None:
            raise translated(receipt.error, self._address)

    def close(self) -> None:
        """Forget what is not acknowledged."""
        self._producer.purge()
        self._producer.poll(0)
