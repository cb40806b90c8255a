"""More requests than a client may make: over the real server, by a clock that the test moves."""

from __future__ import annotations

import asyncio
import http.client
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import uvicorn
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from ticktrail.cli.listen import listen
from ticktrail.config import ServeSettings, Settings
from ticktrail.dashboard.app import make_app
from ticktrail.dashboard.doorstep import Doorstep
from ticktrail.dashboard.guard import Guard
from ticktrail.dashboard.metrics import REFUSED
from ticktrail.dashboard.service import Service
from ticktrail.telemetry import isolated_registry
from ticktrail.testing import FakeClock

DEADLINE_S = 60.0
PER_S = 5
# Three seconds' worth at once, as the settings promise.
AT_ONCE = 15
PROBLEM = {"error": {"what": "Too many requests", "why": "", "next_step": "Wait a moment."}}


class Door:
    """The server as one client sees it."""

    def __init__(self, port: int, token: str, clock: FakeClock) -> None:
        self.address = f"127.0.0.1:{port}"
        self.token = token
        self.clock = clock

    def ask(self, path: str = "/healthz", **headers: str) -> tuple[int, Any, Any]:
        connection = http.client.HTTPConnection(self.address, timeout=DEADLINE_S)
        try:
            connection.request(
                "GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()}
            )
            answer = connection.getresponse()
            return answer.status, answer.headers, json.loads(answer.read())
        finally:
            connection.close()

    def statuses(self, count: int, **headers: str) -> list[int]:
        return [self.ask(**headers)[0] for _ in range(count)]


@contextmanager
def serving() -> Iterator[Door]:
    """Serve in a thread of its own; nothing is read from Kafka."""
    clock = FakeClock()
    serve = ServeSettings(requests_per_s=PER_S)
    guard = Guard(serve, clock)
    listener = listen("127.0.0.1", 0)
    listener.listen()
    made: list[uvicorn.Server] = []

    async def run() -> None:
        app = make_app(Service(Settings(serve=serve), clock), guard, clock)
        config = uvicorn.Config(
            app,
            log_config=None,
            http=Doorstep,
            ws="websockets-sansio",
            lifespan="off",
            proxy_headers=False,
            timeout_graceful_shutdown=1,
        )
        made.append(uvicorn.Server(config))
        await made[0]._serve([listener])

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    try:
        # The listener takes connections already; they are answered once the server has started.
        yield Door(listener.getsockname()[1], guard.run_token or "", clock)
    finally:
        deadline = time.monotonic() + DEADLINE_S
        while not (made and made[0].started) and thread.is_alive() and time.monotonic() < deadline:
            time.sleep(0.01)  # the pause of a wait with a deadline
        for server in made:
            server.should_exit = True
        thread.join(DEADLINE_S)
        assert not thread.is_alive()


@pytest.fixture
def door() -> Iterator[Door]:
    with isolated_registry(), serving() as found:
        yield found


def refused() -> int:
    return REFUSED.labels(reason="rate").value


def test_beyond_the_burst_the_answer_is_429_with_the_problem(door: Door) -> None:
    assert door.statuses(AT_ONCE) == [200] * AT_ONCE
    status, headers, body = door.ask()
    assert (status, body) == (429, PROBLEM)
    assert headers["content-type"] == "application/json"
    assert headers["retry-after"] == "1"
    assert headers["x-content-type-options"] == "nosniff"
    assert refused() == 1


def test_the_budget_comes_back_with_time_and_not_beyond_the_burst(door: Door) -> None:
    assert door.statuses(AT_ONCE + 20) == [200] * AT_ONCE + [429] * 20
    door.clock.advance(1.0)
    # Five a second, less the one that was owed: who went on asking is not shut out for longer.
    assert door.statuses(8) == [200] * (PER_S - 1) + [429] * 4
    door.clock.advance(3_600.0)
    assert door.statuses(AT_ONCE + 2) == [200] * AT_ONCE + [429] * 2
    assert refused() == 20 + 4 + 2


def test_who_keeps_to_the_pace_is_never_refused(door: Door) -> None:
    for _ in range(12):
        assert door.statuses(PER_S) == [200] * PER_S
        door.clock.advance(1.0)
    assert refused() == 0


def test_a_wrong_token_and_a_forwarded_address_give_no_other_budget(door: Door) -> None:
    for number in range(AT_ONCE):
        status, _, _ = door.ask(
            "/api/v1/info", authorization=f"Bearer guess-{number}", x_forwarded_for=f"10.0.0.{number}"
        )
        assert status == 401
    status, _, body = door.ask(
        "/api/v1/info", authorization=f"Bearer {door.token}", x_forwarded_for="10.0.1.1"
    )
    assert (status, body) == (429, PROBLEM)


def test_the_live_stream_counts_too_and_is_closed_with_a_code(door: Door) -> None:
    url = f"ws://{door.address}/api/v1/live?token={door.token}"
    assert door.statuses(AT_ONCE - 1) == [200] * (AT_ONCE - 1)
    with connect(url) as last:
        last.send('{"op":"ping","t":5}')
        assert json.loads(last.recv(DEADLINE_S)) == {"type": "pong", "t": 5}
        # It is let in, and so told why it cannot stay.
        with connect(url) as further, pytest.raises(ConnectionClosed) as caught:
            further.recv(DEADLINE_S)
        assert caught.value.rcvd is not None
        assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (4029, "Too many requests")
        # Messages of a stream that is open are no requests.
        last.send('{"op":"ping","t":6}')
        assert json.loads(last.recv(DEADLINE_S)) == {"type": "pong", "t": 6}
