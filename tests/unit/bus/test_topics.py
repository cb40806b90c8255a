"""Names of topics and keys."""

from __future__ import annotations

import pytest

from ticktrail.bus import Topics, message_key
from ticktrail.config import KafkaSettings
from ticktrail.model import KIND_OF, Bar, Correction, Gap, Heartbeat, Quote, Record, Status, Trade

TOPICS = Topics.of(KafkaSettings(topic_prefix="tt"))


@pytest.mark.parametrize(
    ("record", "topic"),
    [
        (Trade, "tt.trades.v1"),
        (Correction, "tt.trades.v1"),
        (Quote, "tt.quotes.v1"),
        (Status, "tt.status.v1"),
        (Bar, "tt.bars.v1"),
        (Gap, "tt.gaps.v1"),
    ],
)
def test_every_record_has_its_topic(record: type[Record], topic: str) -> None:
    assert TOPICS.for_record(record) == topic
    assert topic in TOPICS.records


def test_no_kind_is_forgotten() -> None:
    travelling = set(KIND_OF) - {Heartbeat}
    assert {TOPICS.for_record(record) for record in travelling} | {TOPICS.vendor_bars} == set(TOPICS.records)


def test_who_reads_what() -> None:
    assert set(TOPICS.timed) == {"tt.trades.v1", "tt.quotes.v1", "tt.status.v1"}
    assert set(TOPICS.persisted) == {*TOPICS.timed, "tt.vendor-bars.v1", "tt.gaps.v1"}
    assert TOPICS.gaps == "tt.gaps.v1"
    assert TOPICS.dead_letters not in TOPICS.records
    assert TOPICS.raw("alpaca") == "tt.raw.alpaca"


def test_keys() -> None:
    assert message_key("alpaca", "BRK.B") == b"alpaca|BRK.B"
    assert message_key("x", "Ü") == "x|Ü".encode()
