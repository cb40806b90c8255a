"""Floods of connections and messages, and messages that make no sense."""

from __future__ import annotations

import json
import socket
import time
from contextlib import ExitStack

import psutil
import pytest
from serve_kit import DEADLINE_S, Site, subscribed, until
from websockets.exceptions import ConnectionClosed

from ticktrail.dashboard.doorstep import CONNECTIONS_OF_ONE_MAX

pytestmark = [pytest.mark.servers, pytest.mark.timeout(400)]


def test_a_flood_of_connections_is_bounded_and_passes(site: Site) -> None:
    host, _, port = site.address.rpartition(":")
    with ExitStack() as opened:
        clients = [
            opened.enter_context(socket.create_connection((host, int(port)), DEADLINE_S))
            for _ in range(CONNECTIONS_OF_ONE_MAX + 100)
        ]
        refused = [client.recv(100) for client in clients[-50:]]
        assert all(each.startswith(b"HTTP/1.1 503") for each in refused)
        assert len(psutil.Process(site.pid).net_connections()) < CONNECTIONS_OF_ONE_MAX + 100


def test_a_flood_of_messages_ends_the_connection(site: Site) -> None:
    def send_and_read() -> None:
        for _ in range(500):
            flood.send('{"op":"subscribe","symbols":"*"}')
            flood.recv(DEADLINE_S)

    with site.live() as flood, site.live() as other:
        subscribed(other, every_ms=20)
        with pytest.raises(ConnectionClosed) as caught:
            send_and_read()
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 4029
        other.send('{"op": "ping", "t": 1}')
        assert json.loads(other.recv(DEADLINE_S)) == {"type": "pong", "t": 1}


def test_a_huge_message_ends_the_connection(site: Site) -> None:
    def send_and_read() -> None:
        one.send("x" * (5 * 1024**2))
        one.recv(DEADLINE_S)

    with site.live() as one, pytest.raises(ConnectionClosed) as caught:
        send_and_read()
    # It may hang up while the client still sends, which then reads no reason.
    assert caught.value.rcvd is None or caught.value.rcvd.code == 1009


def test_twenty_thousand_symbols_that_do_not_exist(site: Site) -> None:
    process = psutil.Process(site.pid)
    with ExitStack() as opened:
        sockets = [opened.enter_context(site.live()) for _ in range(5)]
        for each in sockets:
            names = [f"sim|{'X' * 100}{number}" for number in range(20_000)]
            assert subscribed(each, symbols=names, every_ms=20)["symbols"] == []
        begun_s, begun_cpu_s = time.monotonic(), process.cpu_times().user
        until(lambda: time.monotonic() - begun_s > 3, "some time has passed")
        # Nobody looks for them again as long as nothing new has come.
        assert process.cpu_times().user - begun_cpu_s < 1.5


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[" * 100_000,
        '{"op":"subscribe","symbols":' + "[" * 50_000,
        '{"op":"subscribe","symbols":["' + "x" * 131 + '"]}',
        json.dumps({"op": "subscribe", "symbols": ["x"] * 20_001}),
        '{"op":"subscribe","every_ms":0}',
        '{"op":"subscribe","every_ms":1e999}',
        '{"op":"ping","t":"x"}',
        '{"op":"subscribe","chart":{"feed":"x","symbol":"y","interval":"1y"}}',
        b"\xff\xfe\x00",
    ],
    ids=range(10),
)
def test_messages_that_make_no_sense(site: Site, text: str | bytes) -> None:
    with site.live() as one:
        one.send(text)
        assert json.loads(one.recv(DEADLINE_S))["type"] == "error"
        one.send('{"op": "ping", "t": 1}')
        assert json.loads(one.recv(DEADLINE_S))["type"] == "pong"
