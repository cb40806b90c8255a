"""Values into Kafka as they happen: never given up, acknowledged by the batch.

Guarantee: idempotent, acknowledged by all in-sync replicas, in order per partition, tried for ever: no
time-out drops a value while Kafka is away. A value that Kafka refuses breaks the producer, rather than leave
a hole in its partition (``enable.gapless.guarantee``). So the values of a partition are acknowledged in the
order in which they were sent, and a count of them says which.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from confluent_kafka import KafkaError

from ticktrail.bus.client import MESSAGE_BYTES_MAX, WATCHED, is_news, new_client, translated
from ticktrail.bus.librdkafka import MESSAGE, NativeProducer
from ticktrail.bus.partitioner import partition_of
from ticktrail.config import KafkaSettings

__all__ = ["LiveProducer", "Receipt"]

# The client warns at every start that `enable.gapless.guarantee` counts as experimental; we mean it.
_logger = logging.getLogger("librdkafka.live")
_logger.addFilter(lambda record: is_news(record) and "CONFWARN" not in record.getMessage())

# Wider than what the outlet allows in flight, which is the real bound: these are never reached.
_QUEUE_MESSAGES_MAX = 1_000_000
_QUEUE_KIB_MAX = 512 * 1024
_POLL_S = 0.05

Counts = npt.NDArray[np.int64]


class Receipt(NamedTuple):
    """How many values had been sent to each partition of a topic; shape ``(partitions,)``."""

    topic: str
    sent: Counts


class _Tally:
    """How many values of a topic were sent and are acknowledged, by partition."""

    __slots__ = ("acknowledged", "sent")

    def __init__(self, partitions: int) -> None:
        self.sent = np.zeros(partitions, dtype=np.int64)
        self.acknowledged = np.zeros(partitions, dtype=np.int64)

    def send(self, counts: Counts) -> None:
        """Count values that are sent; `counts` is of shape ``(partitions,)`` or shorter."""
        self.sent[: len(counts)] += counts


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
        self._turn = 0
        self._tallies: dict[str, _Tally] = {}
        self._error: KafkaError | None = None
        self._producer = new_client(
            NativeProducer,
            settings,
            {
                **WATCHED,
                "enable.idempotence": True,
                "enable.gapless.guarantee": True,
                "logger": _logger,
                "acks": "all",
                "compression.type": "lz4",
                "linger.ms": settings.linger_ms,
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
        partitions: Sequence[int] = (),
        headers: Mapping[str, bytes] | None = None,
    ) -> Receipt:
        """Hand over values; returns at once.

        Parameters
        ----------
        keys
            One for each value.
        partitions
            Likewise; empty: as the keys have it, and those without take turns.
        headers
            Of every value. They cost a call for each.

        Raises
        ------
        TicktrailError
            Kafka refuses them, or refused an earlier value for good. Nothing can be sent any more.
        """
        tally = self._tally(topic)
        # A spool may be of an installation with more partitions: its values must not be refused for ever.
        places = np.array(partitions) % self._places.count if partitions else self._places_of(keys)
        tally.send(np.bincount(places))
        if headers:
            for place, key, value in zip(places.tolist(), keys, values, strict=True):
                self._note(self._producer.produce_one(topic, place, key, value, headers))
        else:
            self._send_batch(topic, places, keys, values)
        self.check()
        return Receipt(topic, tally.sent.copy())

    def has(self, receipt: Receipt) -> bool:
        """Tell whether all that had been sent to that topic by then is acknowledged."""
        return bool((self._tally(receipt.topic).acknowledged >= receipt.sent).all())

    def poll(self, *, wait: bool = False) -> None:
        """Take acknowledgements; wait a moment for the first one if told to.

        Raises
        ------
        TicktrailError
            Kafka refused a value for good.
        """
        for delivered in self._producer.poll(_POLL_S if wait else 0):
            self._note(delivered.error)
            if delivered.error is None:
                self._tally(delivered.topic).acknowledged[delivered.partition] += delivered.values
        self.check()

    def check(self) -> None:
        """Raise if Kafka refused a value for good."""
        if self._error is not None:
            raise translated(self._error, self._address)

    def close(self) -> None:
        """Forget what is not acknowledged."""
        self._producer.close()

    def _send_batch(
        self, topic: str, places: Counts, keys: Sequence[bytes | None], values: Sequence[bytes]
    ) -> None:
        messages = np.zeros(len(values), dtype=MESSAGE)
        # What the addresses point at lives until the end of this function.
        data, messages["payload"], messages["len"] = _joined(values)
        texts, messages["key"], messages["key_len"] = _joined([key or b"" for key in keys])
        messages["key"][[key is None for key in keys]] = 0
        # Stable: the values of a partition keep their order. One call for each spares librdkafka much.
        opaque = messages.view(f"V{MESSAGE.itemsize}")  # NumPy copies it as a whole
        messages = opaque.take(np.argsort(places, kind="stable")).view(MESSAGE)
        start = 0
        for place, count in enumerate(np.bincount(places).tolist()):
            if count:
                self._note(self._producer.produce(topic, place, messages[start : start + count]))
                start += count
        del data, texts

    def _places_of(self, keys: Sequence[bytes | None]) -> Counts:
        place_of = self._places.__getitem__
        if None in keys:
            return np.array([self._next_place() if key is None else place_of(key) for key in keys])
        return np.fromiter(map(place_of, keys), dtype=np.int64, count=len(keys))

    def _next_place(self) -> int:
        self._turn = (self._turn + 1) % self._places.count
        return self._turn

    def _tally(self, topic: str) -> _Tally:
        if topic not in self._tallies:
            self._tallies[topic] = _Tally(self._places.count)
        return self._tallies[topic]

    def _note(self, error: KafkaError | None) -> None:
        if error is not None and self._error is None:
            self._error = self._producer.cause_of(error)


def _joined(texts: Sequence[bytes]) -> tuple[bytes, Counts, Counts]:
    """Put texts behind one another; give that, and the address and length of each in it, shapes ``(n,)``."""
    data = b"".join((*texts, b"\0"))
    lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
    return data, np.frombuffer(data, dtype=np.uint8).ctypes.data + np.cumsum(lengths) - lengths, lengths
