"""What the stack says and refuses without a server."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from ticktrail.config.settings import StackSettings
from ticktrail.errors import UsageError
from ticktrail.stack import Stack
from ticktrail.stack.server import Layout, Ports
from ticktrail.stack.state import (
    Endpoints,
    ServerEndpoint,
    read_endpoints,
    read_ports,
    write_endpoints,
    write_ports,
)
from ticktrail.testing import FakeClock


def make_stack(data_dir: Path) -> Stack:
    return Stack(StackSettings(data_dir=str(data_dir), cache_dir=str(data_dir / "cache")), FakeClock())


def make_server(name: str, pid: int) -> ServerEndpoint:
    return ServerEndpoint(name=name, version="1", port=pid, pid=pid, process_started_s=1.0)


def test_stack_that_never_ran_is_down(tmp_path: Path) -> None:
    stack = make_stack(tmp_path / "none")
    status = stack.status()
    assert status.state == "down"
    assert [server.state for server in status.servers] == ["down", "down"]
    assert status.free_bytes > 0
    assert stack.find() is None
    assert stack.down().stopped == ()
    assert not (tmp_path / "none").exists()


def test_unknown_server_has_no_log(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="postgres"):
        next(make_stack(tmp_path).logs("postgres"))


def test_log_of_a_server_that_never_ran_is_empty(tmp_path: Path) -> None:
    assert list(make_stack(tmp_path).logs("kafka")) == []


def test_record_of_dead_processes_is_not_believed(tmp_path: Path) -> None:
    layout = Layout(tmp_path.resolve())
    record = Endpoints(
        kafka=make_server("kafka", 2**22 + 1),
        cassandra=make_server("cassandra", 2**22 + 2),  # above any process id of Linux
        data_dir=str(tmp_path),
        java="java",
    )
    write_endpoints(layout, record)
    assert read_endpoints(layout) == record
    stack = make_stack(tmp_path)
    assert stack.find() is None
    assert stack.status().state == "down"
    assert stack.down().stopped == ()
    assert not layout.endpoints_path.exists()


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"kafka": "x"}'])
def test_damaged_records_count_as_none(tmp_path: Path, damage: bytes) -> None:
    layout = Layout(tmp_path)
    layout.endpoints_path.write_bytes(damage)
    layout.ports_path.write_bytes(damage)
    assert read_endpoints(layout) is None
    assert read_ports(layout) == Ports()


def test_ports_are_remembered(tmp_path: Path) -> None:
    ports = Ports(kafka=1, kafka_controller=2, cassandra=3, cassandra_storage=4)
    write_ports(Layout(tmp_path), ports)
    assert read_ports(Layout(tmp_path)) == ports


def test_endpoints_speak_as_clients_want_them() -> None:
    endpoints = Endpoints(
        kafka=make_server("kafka", 1), cassandra=make_server("cassandra", 2), data_dir="d", java="j"
    )
    assert endpoints.kafka_bootstrap == "127.0.0.1:1"
    assert (endpoints.cassandra_host, endpoints.cassandra_port) == ("127.0.0.1", 2)
    assert msgspec.json.decode(msgspec.json.encode(endpoints), type=Endpoints) == endpoints
