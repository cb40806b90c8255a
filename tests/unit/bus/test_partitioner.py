"""Which partition a key belongs to, against the implementation that kafka-python ported from Java."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plain_kafka import plain_partition

from ticktrail.bus import partition_of


@given(st.binary(max_size=40), st.integers(1, 200))
def test_keys_go_where_other_clients_send_them(key: bytes, count: int) -> None:
    assert partition_of(key, count) == plain_partition(key, count)


# Apache Kafka, UtilsTest.testMurmur2.
@pytest.mark.parametrize(
    ("key", "murmur2"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_kafkas_own_examples(key: bytes, murmur2: int) -> None:
    count = 2**31 - 1  # so large that the remainder is the hash itself
    assert partition_of(key, count) == (murmur2 & 0x7FFFFFFF) % count
