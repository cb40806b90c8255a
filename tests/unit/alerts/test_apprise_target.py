"""Notifications through apprise to a real HTTP server."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import msgspec
import pytest

from ticktrail.alerts.targets import Target, targets_of
from ticktrail.config import AlertsSettings, AlertTarget, Secret
from ticktrail.errors import ConfigError, Unreachable
from ticktrail.model import Alert
from ticktrail.testing import FakeClock

# Of Python 3.11, which apprise supports beside newer ones.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")

KEY = "hidden-key"
PASSWORD = "hidden-password"
ALERT = Alert(
    id="132aebb6822c60c0-9ca8c41526d93523915f",
    rule="AAPL at 190",
    rule_kind="price_crosses",
    feed="sim",
    symbol="AAPL",
    ts_ns=5,
    recorded_ns=6,
    value=190.5,
    threshold=190.0,
    severity="critical",
    message="AAPL <b>rose</b> to 190.5 & é",
)


@contextmanager
def receiver(code: int = 200) -> Iterator[tuple[str, list[Any]]]:
    """Give the address, with its secrets, of a server that answers so, and what it got."""
    got: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(code)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"json://me:{PASSWORD}@127.0.0.1:{server.server_port}/{KEY}/hook", got
        finally:
            server.shutdown()
            thread.join()


def target(url: str) -> Target:
    settings = AlertsSettings(targets=(AlertTarget(name="chat", url=Secret(url)),))
    (found,) = targets_of(settings, FakeClock())
    return found


def has_a_secret(text: str) -> bool:
    return KEY in text or PASSWORD in text


def test_the_service_gets_the_alert_with_its_id() -> None:
    with receiver() as (url, got):
        target(url).send(ALERT)
    ((path, body),) = got
    assert path.rstrip("/") == f"/{KEY}/hook"
    content = json.loads(body)
    assert content["title"] == "critical: AAPL at 190"
    # What a rule's author wrote is passed on as it is.
    assert content["message"].splitlines() == ["AAPL <b>rose</b> to 190.5 & é", ALERT.id]


@pytest.mark.parametrize(
    ("severity", "kind"), [("info", "info"), ("warning", "warning"), ("critical", "failure")]
)
def test_severities_become_the_kinds_of_apprise(severity: str, kind: str) -> None:
    with receiver() as (url, got):
        target(url).send(msgspec.structs.replace(ALERT, severity=severity))
    ((_, body),) = got
    assert json.loads(body)["type"] == kind


@pytest.mark.parametrize("code", [500, 503])
def test_a_server_in_trouble_is_tried_again_and_no_secret_is_told(
    code: int, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        caplog.at_level(logging.INFO),
        receiver(code) as (url, got),
        pytest.raises(Unreachable, match="chat took no notification") as caught,
    ):
        target(url).send(ALERT)
    assert got
    assert (caught.value.service, caught.value.address) == ("chat", "chat")
    assert not has_a_secret(f"{caught.value} {caught.value!r}")
    assert not has_a_secret(caplog.text)


def test_nobody_there_is_tried_again_and_no_secret_is_told(caplog: pytest.LogCaptureFixture) -> None:
    with receiver() as (url, _):
        pass
    with (
        caplog.at_level(logging.INFO),
        pytest.raises(Unreachable, match="chat took no notification") as caught,
    ):
        target(url).send(ALERT)
    assert not has_a_secret(f"{caught.value} {caught.value!r}")
    assert not has_a_secret(caplog.text)


@pytest.mark.parametrize("url", [f"nonsense://{KEY}/{PASSWORD}", f"json://?{KEY}", f"{KEY} {PASSWORD}"])
def test_an_address_that_apprise_does_not_know_is_refused_and_not_told(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO), pytest.raises(ConfigError, match="no such address") as caught:
        target(url)
    assert not has_a_secret(f"{caught.value} {caught.value!r}")
    assert not has_a_secret(caplog.text)
