"""Events become lines: one JSON object each for machines, one readable line each for people."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from ticktrail.config import Secret
from ticktrail.errors import FeedRejected
from ticktrail.telemetry import configure_logging, get_logger
from ticktrail.testing import FakeClock


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def configured(log_format: str = "json", level: str = "info") -> io.StringIO:
    stream = io.StringIO()
    # 2026-01-05 14:30:00 UTC and 123 456 789 ns.
    clock = FakeClock(1_767_623_400_123_456_789)
    configure_logging(log_format=log_format, level=level, stream=stream, clock=clock)
    return stream


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_json_line_holds_the_event_its_fields_and_its_time() -> None:
    stream = configured()
    get_logger("capture").info("feed.connected", feed="alpaca", symbols=3)
    assert lines(stream) == [
        {
            "event": "feed.connected",
            "component": "capture",
            "level": "info",
            "timestamp": "2026-01-05T14:30:00.123456Z",
            "feed": "alpaca",
            "symbols": 3,
        }
    ]


def test_a_console_line_is_readable_and_colourless_unless_asked() -> None:
    stream = configured("console")
    get_logger("capture").warning("feed.disconnected", feed="alpaca", code=1006)
    line = stream.getvalue()
    assert "feed.disconnected" in line
    assert "feed=alpaca" in line
    assert "code=1006" in line
    assert "\x1b" not in line


@pytest.mark.parametrize(("level", "shown"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)])
def test_levels(level: str, shown: int) -> None:
    stream = configured(level=level)
    log = get_logger("x")
    log.debug("a.b")
    log.info("a.b")
    log.warning("a.b")
    log.error("a.b")
    assert len(lines(stream)) == shown


def test_a_logger_made_before_the_configuration_follows_it() -> None:
    log = get_logger("early")
    stream = configured()
    log.info("a.b")
    assert lines(stream)[0]["component"] == "early"


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_secrets_are_masked(log_format: str) -> None:
    stream = configured(log_format)
    get_logger("x").info("a.b", field=Secret("hunter2"), password="hunter2", api_key="hunter2")
    assert "hunter2" not in stream.getvalue()
    assert "***" in stream.getvalue()


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_traceback_shows_no_local_variables(log_format: str) -> None:
    stream = configured(log_format)
    hidden = "hunter2" + "hunter3"
    try:
        raise ValueError(len(hidden))
    except ValueError:
        get_logger("x").exception("stage.failed")
    assert "ValueError: 14" in stream.getvalue()
    assert hidden not in stream.getvalue()


def test_an_error_as_a_field_is_its_class_and_sentence() -> None:
    stream = configured()
    error = FeedRejected(what="Alpaca refused the key", feed="alpaca", code=402)
    get_logger("x").error("feed.rejected", error=error)
    assert lines(stream)[0]["error"] == "FeedRejected: Alpaca refused the key."


@pytest.mark.parametrize("library", ["cassandra.pool", "websockets.client"])
def test_libraries_speak_at_warning_and_above(library: str) -> None:
    stream = configured(level="debug")
    logging.getLogger(library).info("frame %s", "payload")
    logging.getLogger(library).warning("pool %s is %s", 1, "down")
    (line,) = lines(stream)
    assert (line["event"], line["component"], line["level"]) == ("pool 1 is down", library, "warning")


def test_a_library_that_repeats_itself_is_written_once_in_a_while() -> None:
    stream, clock = io.StringIO(), FakeClock()
    configure_logging(log_format="json", stream=stream, clock=clock)
    log = logging.getLogger("cassandra.pool")
    for port in (9042, 9043, 9042):
        log.warning("try again in %s s: port %s", clock.monotonic_ns(), port)
        log.warning("another")
    assert [line["event"].partition(" ")[0] for line in lines(stream)] == ["try", "another"]
    clock.advance(10)
    log.warning("another")
    assert len(lines(stream)) == 3


def test_a_later_configuration_replaces_an_earlier_one() -> None:
    first, second = configured(), configured()
    logging.getLogger("cassandra").warning("once")
    get_logger("x").info("a.b")
    assert first.getvalue() == ""
    assert len(lines(second)) == 2


def test_without_configuration_only_warnings_go_to_standard_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    structlog.reset_defaults()
    log = get_logger("library")
    log.info("a.quiet")
    log.warning("a.loud")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "a.loud" in captured.err
    assert "a.quiet" not in captured.err


def test_a_program_that_configured_structlog_itself_is_left_alone() -> None:
    structlog.configure(processors=[structlog.processors.JSONRenderer()])
    before = structlog.get_config()["processors"]
    get_logger("library")
    assert structlog.get_config()["processors"] is before
