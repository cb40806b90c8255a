"""`ticktrail serve` as a process of its own, and how tests ask it."""

from __future__ import annotations

import http.client
import json
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fixtures_servers import flags_of
from websockets.sync.client import connect as connect_websocket

from ticktrail.config import Settings

# The machine may be slow; waiting ends as soon as what is waited for is there.
DEADLINE_S = 120.0
TICKTRAIL = (sys.executable, "-m", "ticktrail")


class Site:
    """The server, and how to ask it."""

    def __init__(self, url: str, token: str = "", pid: int = 0) -> None:
        found = re.fullmatch(r"http://([^/]+)/(?:\?token=(\S+))?", url)
        assert found is not None, url
        self.address: str = found[1]
        self.token: str = token or found[2]
        self.pid = pid
        self.last_headers: Any = None

    def ask(self, path: str, body: Any = None, method: str | None = None, **headers: str) -> tuple[int, Any]:
        """Send a request with the token, unless the headers say otherwise; give status and JSON."""
        data = None if body is None else json.dumps(body).encode()
        status, found = self.send(path, data, method, **headers)
        return status, json.loads(found) if found else None

    def send(
        self, path: str, data: bytes | None = None, method: str | None = None, **headers: str
    ) -> tuple[int, bytes]:
        """Send a request; give status and body."""
        sent = {"authorization": f"Bearer {self.token}", "content-type": "application/json", **headers}
        sent = {name.replace("_", "-"): value for name, value in sent.items()}
        request = urllib.request.Request(f"http://{self.address}{path}", data, sent, method=method)
        try:
            with urllib.request.urlopen(request, timeout=DEADLINE_S) as answer:
                self.last_headers = answer.headers
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                self.last_headers = error.headers
                return error.code, error.read()

    def raw(self, method: str, path: str, headers: dict[str, str] | None = None) -> tuple[int, Any, bytes]:
        """Send a request as it is written, with the token; give status, headers and body."""
        host, _, port = self.address.rpartition(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=DEADLINE_S)
        try:
            connection.request(
                method, path, headers={"authorization": f"Bearer {self.token}", **(headers or {})}
            )
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def get(self, path: str) -> Any:
        status, found = self.ask(path)
        assert status == 200, found
        return found

    def bytes(self, path: str) -> bytes:
        status, found = self.send(path)
        assert status == 200, found
        return found

    def rows(self, sql: str) -> list[list[Any]]:
        """Give the rows of a question in SQL."""
        status, found = self.ask("/api/v1/sql", {"sql": sql, "scan_all": True})
        assert status == 200, found
        rows: list[list[Any]] = found["rows"]
        return rows

    def live(self, **options: Any) -> Any:
        return connect_websocket(
            f"ws://{self.address}/api/v1/live?token={self.token}", max_size=None, **options
        )


def until(condition: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + DEADLINE_S
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(0.1)  # the pause of a wait with a deadline
    return found


def flags_of_alerts(settings: Settings) -> list[str]:
    """Say what `flags_of` does not: the group of the alerts."""
    group = f"{settings.kafka.topic_prefix}-alerts"
    return [*flags_of(settings), "--set", f"alerts.group={group}", "--set", "alerts.snapshot_ms=500"]


@contextmanager
def serving(settings: Settings, *more: str, token: str = "", log: Path | None = None) -> Iterator[Site]:
    """Run the server; it must end in order."""
    command = [*TICKTRAIL, "serve", *flags_of_alerts(settings), "--set", "serve.port=0", *more]
    errors = None if log is None else log.open("wb")
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, stderr=errors, text=True
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert "http" in line, "the server did not start"
        yield Site(line.split()[-1], token, process.pid)
    finally:
        process.terminate()
        code = process.wait(DEADLINE_S)
        process.stdout.close()
        if errors is not None:
            errors.close()
    assert code == 0


@contextmanager
def pipeline(settings: Settings, *options: str) -> Iterator[None]:
    """Run capture, persist, bars and alerts over the simulated exchange; they must end in order."""
    command = [*TICKTRAIL, "run", "--feed", "sim", "--headless", "--no-page", *options]
    process = subprocess.Popen(
        [*command, *flags_of_alerts(settings)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield
    finally:
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0, errors[-3_000:]


def subscribed(socket: Any, **wanted: Any) -> dict[str, Any]:
    """Ask for the live stream; give the snapshot."""
    socket.send(json.dumps({"op": "subscribe", "id": 1, **wanted}))
    while (message := json.loads(socket.recv(DEADLINE_S)))["type"] != "snapshot":
        pass
    snapshot: dict[str, Any] = message
    return snapshot


def heard(socket: Any, find: Callable[[dict[str, Any]], Any]) -> Any:
    """Read the live stream until something is found in a message."""
    deadline = time.monotonic() + DEADLINE_S
    while not (found := find(json.loads(socket.recv(DEADLINE_S)))):
        assert time.monotonic() < deadline, "it was never heard"
    return found
