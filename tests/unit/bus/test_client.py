"""What is logged of librdkafka's troubles: each once in a while, and their end."""

from __future__ import annotations

import json
import logging

import pytest
import structlog
from confluent_kafka import KafkaError
from structlog.testing import capture_logs

from ticktrail.bus import client

ADDRESS = "kafka.example:9092"
REFUSED = KafkaError(KafkaError._TRANSPORT, "Connection refused")
ALL_DOWN = KafkaError(KafkaError._ALL_BROKERS_DOWN, "1/1 brokers are down")


@pytest.fixture(autouse=True)
def nothing_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_due_ns", {})
    monkeypatch.setattr(client, "_away", set())
    monkeypatch.setattr(client, "_causes", {})
    structlog.reset_defaults()  # or the level that another test has set would hold here


def statistics(*states: str) -> str:
    return json.dumps({"brokers": {str(number): {"state": state} for number, state in enumerate(states)}})


def test_an_outage_is_told_once_by_all_clients_together() -> None:
    first, second = client._Reporter(ADDRESS), client._Reporter(ADDRESS)
    with capture_logs() as logs:
        for _ in range(50):
            for reporter in (first, second):
                reporter(REFUSED)
                reporter(ALL_DOWN)
    assert [(log["event"], log["detail"]) for log in logs] == [("kafka.error", "Connection refused")]
    assert client.translated(ALL_DOWN, ADDRESS).why == "Connection refused"


def test_its_end_is_told_once_and_only_after_it() -> None:
    reporter = client._Reporter(ADDRESS)
    with capture_logs() as logs:
        reporter.look(statistics("UP"))
        reporter(ALL_DOWN)
        reporter.look(statistics("INIT", "DOWN"))
        reporter.look(statistics("DOWN", "UP"))
        reporter.look(statistics("UP", "UP"))
    assert [log["event"] for log in logs] == ["kafka.reachable"]


@pytest.mark.parametrize(("facility", "is_shown"), [("FAIL", False), ("GETPID", False), ("REQTMOUT", True)])
def test_librdkafka_says_itself_what_the_reporter_does_not(
    facility: str, is_shown: bool, caplog: pytest.LogCaptureFixture
) -> None:
    logging.getLogger("librdkafka").error("%s [%s] %s", facility, "rdkafka#producer-1", "[thrd:x]: y")
    assert bool(caplog.records) is is_shown
