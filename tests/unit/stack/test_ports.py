"""Loopback ports, with real sockets."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from ticktrail.errors import PortTaken
from ticktrail.stack.ports import choose_port, demand_port, is_free


@pytest.fixture
def listener() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_taken_port_is_not_free(listener: int) -> None:
    assert not is_free(listener)


def test_remembered_port_is_kept_while_free() -> None:
    port = choose_port(0, set())
    assert is_free(port)
    assert choose_port(port, set()) == port


def test_remembered_port_that_was_taken_gives_way(listener: int) -> None:
    assert choose_port(listener, set()) != listener


def test_one_start_never_gives_a_port_twice() -> None:
    port = choose_port(0, set())
    assert choose_port(port, {port}) != port


def test_given_port_that_is_taken_names_its_holder(listener: int) -> None:
    with pytest.raises(PortTaken) as caught:
        demand_port(listener, "Kafka", "stack.kafka_port")
    assert caught.value.port == listener
    assert f"(pid {os.getpid()})" in caught.value.why
    assert "stack.kafka_port" in caught.value.next_step
