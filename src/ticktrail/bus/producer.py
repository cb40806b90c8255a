"""Values into Kafka.

Guarantee: idempotent, acknowledged by all in-sync replicas, in order per partition. `flush` returns only
after every value handed over before has been acknowledged, or raises with the count of those that were not.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

from confluent_kafka import KafkaError, KafkaException, Message
from confluent_kafka import Producer as _Producer

from ticktrail.bus.client import MESSAGE_BYTES_MAX, new_client, translated
from ticktrail.clock import NS_PER_SECOND, Clock
from ticktrail.config import KafkaSettings
from ticktrail.errors import Unreachable

__all__ = ["Producer"]

# Values handed over and not yet acknowledged, at most: about two seconds at 60,000 a second. `send` waits
# while the queue is full, and so do all stages before it.
_QUEUE_MESSAGES_MAX = 120_000
_QUEUE_KIB_MAX = 64 * 1024
# librdkafka repeats by itself until then; after it the value counts as failed and `flush` raises.
_DELIVERY_TIMEOUT_MS = 300_000
_POLL_S = 0.05


class Producer:
    """Sends values; one thread may use it at a time.

    Parameters
    ----------
    settings
        How to reach Kafka.
    clock
        For the deadline of `flush`.
    """

    def __init__(self, settings: KafkaSettings, clock: Clock) -> None:
        self._address = settings.bootstrap_servers
        self._clock = clock
        self._failed = 0
        self._error: KafkaError | None = None
        self._lock = threading.Lock()
        self._deadline_ns: int | None = None
        self._producer = new_client(
            _Producer,
            settings,
            {
                "enable.idempotence": True,
                "acks": "all",
                "compression.type": "lz4",
                "linger.ms": settings.linger_ms,
                "partitioner": "murmur2_random",
                "queue.buffering.max.messages": _QUEUE_MESSAGES_MAX,
                "queue.buffering.max.kbytes": _QUEUE_KIB_MAX,
                "delivery.timeout.ms": _DELIVERY_TIMEOUT_MS,
                "message.max.bytes": MESSAGE_BYTES_MAX,
                # Only failures are of interest; a callback per acknowledged value would cost more than it.
                "delivery.report.only.error": True,
                "on_delivery": self._delivered,
            },
        )

    def send(self, topic: str, keys: Sequence[bytes | None], values: Sequence[bytes]) -> None:
        """Hand over values with their keys; waits while the queue is full.

        Raises
        ------
        TicktrailError
            An earlier value could not be delivered, or Kafka refuses this one.
        """
        produce = self._producer.produce
        for key, value in zip(keys, values, strict=True):
            while True:
                try:
                    produce(topic, value, key)
                    break
                except BufferError:
                    self._wait_for_room()
                except KafkaException as error:
                    raise translated(error, self._address) from error
        self.check()

    def send_to_partition(
        self,
        topic: str,
        partition: int,
        value: bytes,
        headers: Mapping[str, bytes] | None = None,
        key: bytes | None = None,
    ) -> None:
        """Hand over one value to a given partition (-1: as the key has it), with headers."""
        pairs = list(headers.items()) if headers else None
        while True:
            try:
                self._producer.produce(topic, value, key, partition, headers=pairs)
            except BufferError:
                self._wait_for_room()
            except KafkaException as error:
                raise translated(error, self._address) from error
            else:
                return

    def check(self) -> None:
        """Raise if values could not be delivered, once for each; call now and then."""
        self._producer.poll(0)
        with self._lock:
            failed, error = self._failed, self._error
            self._failed, self._error = 0, None
        if error is not None:
            cause = translated(error, self._address)
            cause.what = f"{failed} values were not delivered. {cause.what}"
            raise cause

    def hurry(self, timeout_s: float) -> None:
        """Let sending wait for room that long from now on, and raise `Unreachable` after it."""
        self._deadline_ns = self._clock.monotonic_ns() + int(timeout_s * NS_PER_SECOND)

    @property
    def queued(self) -> int:
        """How many values are not acknowledged yet."""
        return len(self._producer)

    def flush(self, timeout_s: float) -> None:
        """Wait until every value is acknowledged.

        Raises
        ------
        Unreachable
            The time is over and some are not.
        TicktrailError
            Some were refused.
        """
        deadline_ns = self._clock.monotonic_ns() + int(timeout_s * NS_PER_SECOND)
        while (left := self._producer.flush(_POLL_S)) and self._clock.monotonic_ns() < deadline_ns:
            self.check()
        self.check()
        if left:
            raise self._away(f"nothing came within {timeout_s:g} s")

    def _wait_for_room(self) -> None:
        self._producer.poll(_POLL_S)
        self.check()
        if self._deadline_ns is not None and self._clock.monotonic_ns() >= self._deadline_ns:
            raise self._away("it takes no more")

    def _away(self, why: str) -> Unreachable:
        return Unreachable(
            what=f"Kafka at {self._address} did not acknowledge {self.queued} values",
            why=why,
            next_step="See whether it runs with `ticktrail status`.",
            service="Kafka",
            address=self._address,
        )

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        del message
        if error is not None:
            with self._lock:
                self._failed += 1
                self._error = self._error or error
