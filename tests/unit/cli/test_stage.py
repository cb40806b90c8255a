"""What every stage's process does besides its work."""

from __future__ import annotations

import json
import logging
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
import structlog

from ticktrail.cli.stage import stage
from ticktrail.clock import SystemClock
from ticktrail.config import Settings, StackSettings, TelemetrySettings
from ticktrail.errors import UsageError
from ticktrail.telemetry import MetricsServer, run_dir


@pytest.fixture(autouse=True)
def process_as_before() -> Iterator[None]:
    signals = {signum: signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)}
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    for signum, handler in signals.items():
        signal.signal(signum, handler)
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def settings(tmp_path: Path, **telemetry: Any) -> Settings:
    return Settings(stack=StackSettings(data_dir=str(tmp_path)), telemetry=TelemetrySettings(**telemetry))


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_signals_set_the_event_and_tell_who_does_not_watch_it(tmp_path: Path, signum: signal.Signals) -> None:
    told = threading.Event()
    with stage("one", settings(tmp_path), SystemClock(), on_stop=told.set) as stop:
        assert not stop.is_set()
        signal.raise_signal(signum)
        assert stop.wait(10)
        assert told.is_set()


def test_metrics_are_served_while_the_stage_works(tmp_path: Path) -> None:
    with MetricsServer(0) as server:
        port = server.port  # free again after this
    with (
        stage("one", settings(tmp_path, metrics_port=port), SystemClock()),
        urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer,
    ):
        assert b"\nticktrail_failed_snapshots_total 0.0\n" in answer.read()
    with MetricsServer(port):
        pass  # it is not taken any more


def test_the_last_word_is_said_also_after_an_error(tmp_path: Path) -> None:
    view = {"phase": "working"}

    def work() -> None:
        with stage("one", settings(tmp_path), SystemClock(), view=lambda: view):
            view["phase"] = "broken"
            raise LookupError("a bug")

    with pytest.raises(LookupError):
        work()
    content = json.loads((run_dir(tmp_path) / "one.json").read_text())
    assert "broken" in json.dumps(content)


def test_processes_of_a_stage_take_the_first_free_name(tmp_path: Path) -> None:
    options = settings(tmp_path), SystemClock()
    with stage("one", *options), stage("one", *options):
        with stage("one", *options):
            pass
        with stage("one", *options):  # the third name is free again
            pass
    assert {path.stem for path in run_dir(tmp_path).glob("*.json")} == {"one", "one-2", "one-3"}


def test_a_name_that_was_given_belongs_to_one_process(tmp_path: Path) -> None:
    options = settings(tmp_path), SystemClock()
    with (
        stage("one", *options, name="mine"),
        pytest.raises(UsageError, match="mine already runs"),
        stage("one", *options, name="mine"),
    ):
        pass
    with stage("one", *options, name="mine"):
        pass
