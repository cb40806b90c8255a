"""Files that Java reads, and the memory each server may take."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from ticktrail.errors import ConfigError
from ticktrail.stack.cassandra import plan_cassandra, write_cassandra_config
from ticktrail.stack.kafka import plan_kafka, write_kafka_config
from ticktrail.stack.server import (
    Layout,
    Ports,
    ServerClassPath,
    java_properties,
    write_arguments,
)

JARS = ServerClassPath(version="1", class_path="a.jar:b.jar")
PORTS = Ports(kafka=1001, kafka_controller=1002, cassandra=1003, cassandra_storage=1004)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    made = Layout(tmp_path)
    made.conf_dir.mkdir()
    return made


def test_properties_escape_what_java_would_read_as_latin_1() -> None:
    text = java_properties("log.dirs=/home/José/📈")
    assert text == "log.dirs=/home/Jos\\u00e9/\\ud83d\\udcc8"
    assert (
        text.encode("ascii")
        .decode("unicode_escape")
        .encode("utf-16", "surrogatepass")
        .decode("utf-16")
        .endswith("/José/📈")
    )


def test_argument_files_quote_as_java_wants_it(tmp_path: Path) -> None:
    path = tmp_path / "a.args"
    arguments = ["-Da=b c", 'say "hi"', "back\\slash"]
    write_arguments(path, arguments)
    # Inside double quotes, Java's argument files and POSIX shells agree on these escapes.
    assert shlex.split(path.read_text()) == arguments


def flag_mib(flags: tuple[str, ...], prefix: str) -> int:
    (flag,) = [flag for flag in flags if flag.startswith(prefix)]
    return int(flag.removeprefix(prefix).removesuffix("m"))


@pytest.mark.parametrize("memory_mib", [750, 2000])
def test_kafka_heap_leaves_room_for_the_rest(layout: Layout, memory_mib: int) -> None:
    flags = plan_kafka(layout, JARS, PORTS, memory_mib).flags
    heap, direct = flag_mib(flags, "-Xmx"), flag_mib(flags, "-XX:MaxDirectMemorySize=")
    assert flag_mib(flags, "-Xms") <= heap
    assert heap + direct + 250 <= memory_mib


@pytest.mark.parametrize("memory_mib", [1500, 2800, 8000])
def test_cassandra_heap_leaves_room_for_the_rest(layout: Layout, memory_mib: int) -> None:
    flags = plan_cassandra(layout, JARS, PORTS, memory_mib).flags
    heap, direct = flag_mib(flags, "-Xmx"), flag_mib(flags, "-XX:MaxDirectMemorySize=")
    assert flag_mib(flags, "-Xms") <= heap
    assert heap + direct + 500 <= memory_mib


def test_too_little_memory_is_refused_by_its_setting(layout: Layout) -> None:
    with pytest.raises(ConfigError) as caught:
        plan_kafka(layout, JARS, PORTS, 300)
    assert caught.value.key == "stack.kafka_memory_mib"
    with pytest.raises(ConfigError) as caught:
        plan_cassandra(layout, JARS, PORTS, 1000)
    assert caught.value.key == "stack.cassandra_memory_mib"


def test_default_cassandra_heap_is_that_of_the_design(layout: Layout) -> None:
    assert 2000 <= flag_mib(plan_cassandra(layout, JARS, PORTS, 2800).flags, "-Xmx") <= 2100


def test_kafka_listens_on_loopback_only(layout: Layout) -> None:
    write_kafka_config(layout, PORTS)
    lines = (layout.conf_dir / "kafka.properties").read_text().splitlines()
    settings = dict(line.split("=", 1) for line in lines if "=" in line)
    assert settings["listeners"] == "PLAINTEXT://127.0.0.1:1001,CONTROLLER://127.0.0.1:1002"
    assert settings["advertised.listeners"] == "PLAINTEXT://127.0.0.1:1001"
    assert settings["auto.create.topics.enable"] == "false"
    assert int(settings["queued.max.request.bytes"]) >= int(settings["socket.request.max.bytes"])


def test_cassandra_keeps_what_the_store_relies_on(layout: Layout) -> None:
    write_cassandra_config(layout, PORTS, 2800)
    lines = [line.strip() for line in (layout.conf_dir / "cassandra.yaml").read_text().splitlines()]
    for expected in (
        "listen_address: 127.0.0.1",
        "rpc_address: 127.0.0.1",
        "native_transport_port: 1003",
        "storage_port: 1004",
        "commitlog_sync: periodic",
        "commitlog_sync_period: 1s",
        "selected_format: bti",
        "class_name: TrieMemtable",
        "storage_compatibility_mode: NONE",
    ):
        assert expected in lines
    # The store sizes its batches by the server's own limit.
    assert not any(line.startswith("batch_size_fail_threshold") for line in lines)
