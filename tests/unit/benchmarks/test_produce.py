"""What the comparison with Kafka's tool rests on."""

from __future__ import annotations

import pytest

from benchmarks.perf_tool import steady_rate_of
from benchmarks.produce import text_of

# As the tool of Kafka 4.3.1 prints it.
OUTPUT = """\
600000 records sent, 176626.435090 records/sec (23.58 MB/sec), 104.63 ms avg latency, 764.00 ms max latency, \
20 ms 50th, 630 ms 95th, 751 ms 99th, 761 ms 99.9th.
400000 steady state records sent, 328947.368421 records/sec (43.92 MB/sec), 17.85 ms avg latency, 55.00 ms \
max latency, 14 ms 50th, 42 ms 95th, 50 ms 99th, 54 ms 99.9th.
"""


def test_the_rate_is_that_after_the_warm_up() -> None:
    records, seconds = steady_rate_of(OUTPUT)
    assert records == 400_000
    assert seconds == pytest.approx(1.216)


def test_a_tool_that_says_nothing_is_no_result() -> None:
    with pytest.raises(AssertionError):
        steady_rate_of("600000 records sent, 176626.435090 records/sec")


def test_a_message_as_text_is_one_line_of_as_many_bytes() -> None:
    message = bytes(range(256))
    text = text_of(message)
    assert len(text) == len(message)
    assert text.isascii()
    assert b"\n" not in text
