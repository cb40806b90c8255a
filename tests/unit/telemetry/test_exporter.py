"""What Prometheus reads, parsed by Prometheus' own parser."""

from __future__ import annotations

import http.client
import sys
from collections.abc import Iterator

import numpy as np
import psutil
import pytest
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from ticktrail.errors import PortTaken
from ticktrail.telemetry import Counter, Gauge, Latency, MetricsServer, Sizes, isolated_registry
from ticktrail.telemetry.exporter import prometheus_registry

SENT = Counter("ticktrail_test_sent_bytes_total", "Sent.", labels=("topic",), unit="bytes")
LAG = Gauge("ticktrail_test_lag_records", "Lag.", unit="records")
DELAY = Latency("ticktrail_test_export_delay_seconds", "Delay.", labels=("stage",))
BATCH = Sizes("ticktrail_test_batch_records", "Batch.", unit="records")
TRIED = Counter("ticktrail_test_export_retries_total", "Retries.", unit="retries")


@pytest.fixture(autouse=True)
def _isolated() -> Iterator[None]:
    with isolated_registry():
        yield


def samples(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Give what is not zero: counters of other modules stand there as well."""
    return {key: value for key, value in all_samples(text).items() if value and "ticktrail_" in key[0]}


def all_samples(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def get(port: int, **headers: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/metrics", headers=headers)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def test_numbers() -> None:
    SENT.inc(10, topic="a")
    SENT.inc(5, topic="b")
    LAG.set(3)
    assert samples(generate_latest(prometheus_registry()).decode()) == {
        (SENT.name, frozenset({("topic", "a")})): 10.0,
        (SENT.name, frozenset({("topic", "b")})): 5.0,
        (LAG.name, frozenset()): 3.0,
    }


def test_a_latency_is_a_histogram_and_a_counter_of_the_negative() -> None:
    DELAY.observe_ns(np.array([-5, 500, 1_500, 3_000_000, 10**13]), stage="x")
    found = samples(generate_latest(prometheus_registry()).decode())
    stage = ("stage", "x")

    def at_most(bound: str) -> float:
        return found[DELAY.name + "_bucket", frozenset({stage, ("le", bound)})]

    assert at_most("1e-06") == 1
    assert at_most("2e-06") == 2
    assert at_most("0.004096") == 3
    assert at_most("+Inf") == 4
    assert found[DELAY.name + "_count", frozenset({stage})] == 4
    assert found[DELAY.name + "_sum", frozenset({stage})] == pytest.approx(10_000.003002)
    assert found["ticktrail_test_export_delay_negative_total", frozenset({stage})] == 1


def test_sizes_are_a_histogram() -> None:
    for size in (1, 3, 4, 500):
        BATCH.observe(size)
    found = all_samples(generate_latest(prometheus_registry()).decode())
    bounds = {"1.0": 1, "2.0": 1, "4.0": 3, "256.0": 3, "512.0": 4, "+Inf": 4}
    for bound, count in bounds.items():
        assert found[BATCH.name + "_bucket", frozenset({("le", bound)})] == count
    assert found[BATCH.name + "_sum", frozenset()] == 508
    assert found[BATCH.name + "_count", frozenset()] == 4


def test_a_counter_is_there_before_it_counts() -> None:
    """Else its first rise would be none to Prometheus."""
    assert all_samples(generate_latest(prometheus_registry()).decode())[TRIED.name, frozenset()] == 0
    TRIED.inc(2)
    assert all_samples(generate_latest(prometheus_registry()).decode())[TRIED.name, frozenset()] == 2


@pytest.mark.skipif(sys.platform != "linux", reason="read from /proc")
def test_the_process_tells_its_memory() -> None:
    found = all_samples(generate_latest(prometheus_registry()).decode())
    rss_bytes = psutil.Process().memory_info().rss
    assert found["process_resident_memory_bytes", frozenset()] == pytest.approx(rss_bytes, rel=0.2)


def test_the_server_serves_on_loopback() -> None:
    LAG.set(7)
    with MetricsServer(0) as server:
        status, text = get(server.port)
    assert status == 200
    assert samples(text) == {(LAG.name, frozenset()): 7.0}


@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"Origin": "http://evil.example"}])
def test_pages_of_others_cannot_read_it(headers: dict[str, str]) -> None:
    with MetricsServer(0) as server:
        assert get(server.port, **headers)[0] == 403


def test_a_taken_port() -> None:
    with MetricsServer(0) as server, pytest.raises(PortTaken) as caught:
        MetricsServer(server.port)
    assert caught.value.port == server.port


def test_the_port_is_free_after_closing() -> None:
    with MetricsServer(0) as server:
        port = server.port
    with MetricsServer(port) as again:
        assert again.port == port
