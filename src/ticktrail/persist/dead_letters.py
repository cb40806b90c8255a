"""Values that cannot be stored, kept with their original bytes.

Guarantee: `send` returns only after Kafka has acknowledged the letters, so the offsets they came from may be
committed.
"""

from __future__ import annotations

from collections.abc import Iterable

from ticktrail.bus import MESSAGE_BYTES_MAX, Producer, Topics
from ticktrail.persist.batch import Letter

__all__ = ["DeadLetters"]

_FLUSH_TIMEOUT_S = 30.0
# Room for the headers below what the topic takes. Only strangers write values that large: Kafka's own limit
# is for what is compressed. Their beginning is kept.
_VALUE_BYTES_MAX = MESSAGE_BYTES_MAX - 64 * 1024


class DeadLetters:
    """Writes the topic ``dead-letters``."""

    def __init__(self, producer: Producer, topics: Topics) -> None:
        self._producer = producer
        self._topic = topics.dead_letters

    def send(self, letters: Iterable[Letter]) -> int:
        """Store letters; tell how many.

        Raises
        ------
        TicktrailError
            Kafka did not take them all. Sending them again makes copies, and loses none.
        """
        count = 0
        for letter in letters:
            headers = {
                "topic": letter.topic.encode(),
                "partition": str(letter.partition).encode(),
                "offset": str(letter.offset).encode(),
                "reason": letter.reason.encode(),
                "detail": letter.detail.encode(),
            }
            value = letter.value[:_VALUE_BYTES_MAX]
            if len(value) < len(letter.value):
                headers["cut_from_bytes"] = str(len(letter.value)).encode()
            self._producer.send_to_partition(self._topic, -1, value, headers, letter.key)
            count += 1
        if count:
            self._producer.flush(_FLUSH_TIMEOUT_S)
        return count
