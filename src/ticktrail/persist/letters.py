"""What persist itself says in Kafka: values that cannot be stored, with their original bytes, and gap rows.

Guarantee: `send` and `send_gap` return only after Kafka has acknowledged, so the offsets in question may be
committed.
"""

from __future__ import annotations

from collections.abc import Iterable

from ticktrail.bus import MESSAGE_BYTES_MAX, Producer, Topics, message_key
from ticktrail.codec import encode_record
from ticktrail.model import Gap
from ticktrail.persist.batch import Letter

__all__ = ["Letters"]

_FLUSH_TIMEOUT_S = 30.0
# Room for the headers below what the topic takes. Only strangers write values that large: Kafka's own limit
# is for what is compressed. Their beginning is kept.
_VALUE_BYTES_MAX = MESSAGE_BYTES_MAX - 64 * 1024


class Letters:
    """Writes the topics ``dead-letters`` and ``gaps.v1``."""

    def __init__(self, producer: Producer, topics: Topics) -> None:
        self._producer = producer
        self._topics = topics

    def send(self, letters: Iterable[Letter]) -> None:
        """Store letters.

        Raises
        ------
        TicktrailError
            Kafka did not take them all. Sending them again makes copies, and loses none.
        """
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
            self._producer.send_to_partition(self._topics.dead_letters, -1, value, headers, letter.key)
        self._producer.flush(_FLUSH_TIMEOUT_S)

    def send_gap(self, gap: Gap) -> None:
        """Enter a gap in the ledger; raises as `send` does."""
        key = message_key(gap.feed, gap.channel)
        self._producer.send(self._topics.for_record(Gap), [key], [encode_record(gap)])
        self._producer.flush(_FLUSH_TIMEOUT_S)
