"""Webhooks against a real HTTP server, checked as a receiver would."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from ticktrail.alerts.targets import Webhook, targets_of
from ticktrail.config import AlertsSettings, AlertTarget, Secret
from ticktrail.errors import ConfigError, Unreachable
from ticktrail.model import Alert
from ticktrail.testing import FakeClock

ALERT = Alert(
    id="132aebb6822c60c0-9ca8c41526d93523915f",
    rule="r <b>",
    rule_kind="lag",
    feed="sim",
    symbol="A",
    ts_ns=5,
    recorded_ns=6,
    value=1.5,
    threshold=float("nan"),
    message="é",
)


@contextmanager
def receiver(code: int = 200, location: str = "") -> Iterator[tuple[str, list[Any]]]:
    got: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append((dict(self.headers), self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(code)
            if location:
                self.send_header("Location", location)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/hook?key=hidden", got
        finally:
            server.shutdown()
            thread.join()


def webhook(url: str, secret: str = "s3") -> Webhook:
    return Webhook("ops", Secret(url), Secret(secret), FakeClock())


@pytest.mark.parametrize(("secret", "key"), [("s3é", "s3é".encode()), ("whsec_AQID", b"\x01\x02\x03")])
def test_a_receiver_can_check_the_signature(secret: str, key: bytes) -> None:
    with receiver() as (url, got):
        webhook(url, secret).send(ALERT)
    ((headers, body),) = got
    headers = {name.lower(): value for name, value in headers.items()}
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert headers["webhook-id"] == ALERT.id
    assert headers["webhook-timestamp"] == str(FakeClock().now_ns() // 10**9)
    content = json.loads(body)
    assert (content["id"], content["rule"], content["threshold"]) == (ALERT.id, "r <b>", None)


@pytest.mark.parametrize("code", [500, 503, 429, 408])
def test_a_server_in_trouble_is_tried_again(code: int) -> None:
    with receiver(code) as (url, _), pytest.raises(Unreachable) as caught:
        webhook(url).send(ALERT)
    assert str(code) in str(caught.value)
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("code", [400, 401, 404, 410])
def test_a_refusal_is_not_tried_again(code: int) -> None:
    with receiver(code) as (url, _), pytest.raises(ConfigError, match=str(code)):
        webhook(url).send(ALERT)


def test_redirects_are_not_followed() -> None:
    with receiver() as (other, stolen), receiver(302, other) as (url, _), pytest.raises(Unreachable):
        webhook(url).send(ALERT)
    assert stolen == []


def test_nobody_there() -> None:
    with receiver() as (url, _):
        pass
    with pytest.raises(Unreachable, match="ops took no notification"):
        webhook(url).send(ALERT)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://h/", "nonsense", "http://"])
def test_only_http(url: str) -> None:
    with pytest.raises(ConfigError, match="http"):
        webhook(url)


def test_targets_come_from_the_settings(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("whsec_AQID\n")
    hook = AlertTarget(
        name="hook", kind="webhook", url=Secret("http://h/"), secret_file=str(tmp_path / "secret")
    )
    assert [target.name for target in targets_of(AlertsSettings(targets=(hook,)), FakeClock())] == ["hook"]
    with pytest.raises(ConfigError, match="two of this name"):
        targets_of(AlertsSettings(targets=(hook, hook)), FakeClock())
    with pytest.raises(ValueError, match="either url or url_file"):
        AlertTarget(name="x")
    with pytest.raises(ValueError, match="webhooks need a secret"):
        AlertTarget(name="x", kind="webhook", url=Secret("http://h/"))
