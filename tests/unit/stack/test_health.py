"""The probes, against sockets that answer as the protocol guides say, or otherwise."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from ticktrail.stack.health import cassandra_answers, kafka_answers
from ticktrail.stack.ports import choose_port

Serve = Callable[[Callable[[bytes], bytes]], int]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start a server that gives one answer to one request."""
    threads: list[threading.Thread] = []

    def start(answer: Callable[[bytes], bytes]) -> int:
        server = socket.create_server(("127.0.0.1", 0))

        def run() -> None:
            with server:
                connection, _ = server.accept()
                with connection:
                    connection.sendall(answer(connection.recv(1024)))

        threads.append(threading.Thread(target=run))
        threads[-1].start()
        return int(server.getsockname()[1])

    yield start
    for thread in threads:
        thread.join(5)


def kafka_reply(request: bytes, brokers: int) -> bytes:
    body = request[8:12] + brokers.to_bytes(4) + bytes(20)
    return len(body).to_bytes(4) + body


def test_kafka_with_itself_as_broker_answers(serve: Serve) -> None:
    requests: list[bytes] = []

    def answer(request: bytes) -> bytes:
        requests.append(request)
        return kafka_reply(request, 1)

    assert kafka_answers(serve(answer))
    # size, key 3 (Metadata), version 1, correlation id, null client id, no topics
    assert requests[0][:8] == bytes.fromhex("0000000e 0003 0001")
    assert requests[0][12:] == bytes.fromhex("ffff 00000000")


def test_kafka_that_no_controller_let_in_does_not(serve: Serve) -> None:
    assert not kafka_answers(serve(lambda request: kafka_reply(request, 0)))


@pytest.mark.parametrize(
    "reply", [b"", b"\x00\x00", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x00\x00\x00\x04abcd"]
)
def test_what_is_not_kafka_does_not(serve: Serve, reply: bytes) -> None:
    assert not kafka_answers(serve(lambda _request: reply))


def test_cassandra_that_supports_cql_answers(serve: Serve) -> None:
    requests: list[bytes] = []

    def answer(request: bytes) -> bytes:
        requests.append(request)
        return bytes.fromhex("84 00 0001 06 00000002 0000")

    assert cassandra_answers(serve(answer))
    assert requests == [bytes.fromhex("04 00 0001 05 00000000")]


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        bytes.fromhex("84 00 0001 00 00000000"),
    ],  # the last is an ERROR
)
def test_what_is_not_a_ready_cassandra_does_not(serve: Serve, reply: bytes) -> None:
    assert not cassandra_answers(serve(lambda _request: reply))


def test_nobody_does_not_answer() -> None:
    port = choose_port(0, set())
    assert not kafka_answers(port)
    assert not cassandra_answers(port)
