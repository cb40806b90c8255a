"""The examples and the README's commands do what they say, on the real servers."""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from cassandra import InvalidRequest
from cassandra.cluster import Cluster, Session
from confluent_kafka import Consumer, TopicPartition
from fixtures_servers import Servers, flags_of, new_settings

from ticktrail.config import Settings
from ticktrail.config.section import variable_of

pytestmark = pytest.mark.servers

ROOT = Path(__file__).resolve().parents[2]
PROGRAM_TIMEOUT_S = 120
PLAIN_TRADES = 2_000


@pytest.fixture(scope="module")
def settings(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return new_settings(servers, tmp_path_factory.mktemp("examples"))


@pytest.fixture(scope="module")
def environment(settings: Settings) -> dict[str, str]:
    return environment_of(settings)


def environment_of(settings: Settings) -> dict[str, str]:
    assignments = [flag.partition("=") for flag in flags_of(settings) if "=" in flag]
    variables = {variable_of(key): value for key, _, value in assignments}
    variables[variable_of("stack.data_dir")] = settings.stack.data_dir
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return os.environ | variables | {"PATH": path}


@pytest.fixture(scope="module")
def exchange_url(environment: dict[str, str]) -> Iterator[str]:
    """The simulated exchange that the tutorial starts in its second terminal."""
    command = [sys.executable, "-m", "ticktrail", "exchange", "--symbols", "20", "--rate", "500"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.terminate()
        process.communicate()


@pytest.fixture(scope="module")
def cassandra(servers: Servers) -> Iterator[Session]:
    """A session of the stock driver, so that nothing is counted by the code under test."""
    cluster = Cluster([servers.cassandra_host], port=servers.cassandra_port)
    yield cluster.connect()
    cluster.shutdown()


@pytest.fixture(scope="module")
def simulated(environment: dict[str, str]) -> str:
    """What example 4 prints; it fills the installation that the tests behind it read."""
    return run_example("04_with_ticktrail.py", environment)


def run_example(name: str, environment: dict[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / name],
        env=environment,
        capture_output=True,
        text=True,
        timeout=PROGRAM_TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def messages_in(kafka: str, topic: str) -> int:
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": "counting"})
    try:
        known = consumer.list_topics(timeout=30).topics
        numbers = known[topic].partitions if topic in known else ()
        marks = [consumer.get_watermark_offsets(TopicPartition(topic, number)) for number in numbers]
        return sum(high - low for low, high in marks)
    finally:
        consumer.close()


def plain_rows(cassandra: Session) -> int:
    try:
        return int(cassandra.execute("SELECT count(*) FROM plain.trades").one()[0])
    except InvalidRequest:  # nobody has made it yet
        return 0


def stored(cassandra: Session, settings: Settings, table: str) -> int:
    """Count the rows of a table by asking for every partition that the catalogue names."""
    cassandra.set_keyspace(settings.store.keyspace)
    days = cassandra.execute("SELECT feed, day FROM days WHERE dataset = %s", (table,)).all()
    total = 0
    for feed, day in days:
        partitions = cassandra.execute(
            "SELECT symbol, slot FROM partitions WHERE dataset = %s AND feed = %s AND day = %s",
            (table, feed, day),
        )
        for symbol, slot in partitions.all():
            count = cassandra.execute(
                f"SELECT count(*) FROM {table} WHERE feed = %s AND symbol = %s AND day = %s AND slot = %s",
                (feed, symbol, day, slot),
            )
            total += count.one()[0]
    return total


def number(pattern: str, text: str) -> int:
    """Find the one group of a pattern, as a number."""
    found = re.search(pattern, text)
    assert found is not None, text
    return int(found[1])


def test_the_plain_way_brings_every_trade_it_fetched_into_cassandra(
    servers: Servers, environment: dict[str, str], exchange_url: str, cassandra: Session
) -> None:
    environment = environment | {variable_of("feeds.sim.url"): exchange_url}
    messages, rows = messages_in(servers.kafka, "plain.trades"), plain_rows(cassandra)

    assert "sent 2000 trades" in run_example("01_fetch_to_kafka.py", environment)
    assert messages_in(servers.kafka, "plain.trades") - messages == PLAIN_TRADES

    assert "stored 2000 trades" in run_example("02_kafka_to_cassandra.py", environment)
    assert plain_rows(cassandra) - rows == PLAIN_TRADES

    printed = run_example("03_query_cassandra.py", environment)
    of_spy = cassandra.execute("SELECT price, size FROM plain.trades WHERE symbol = 'SPY'").all()
    assert f"SPY has {len(of_spy)} trades" in printed
    volumes = [int(line.split()[-1]) for line in printed.splitlines()[2:]]
    assert sum(volumes) == sum(row.size for row in of_spy)


def test_ticktrail_stores_every_record_it_received(
    simulated: str, cassandra: Session, settings: Settings
) -> None:
    received, kept = number(r"received (\d+)", simulated), number(r"stored (\d+)", simulated)
    tables = ("trades", "quotes", "status", "corrections")
    assert received == kept == sum(stored(cassandra, settings, table) for table in tables)
    of_spy = "feed = 'sim' AND symbol = 'SPY' AND interval = '1s' AND bucket = %s"
    days = cassandra.execute("SELECT day FROM days WHERE dataset = 'bars:1s'").all()
    counts = [
        cassandra.execute(f"SELECT count(*) FROM bars WHERE {of_spy}", (day,)).one()[0] for (day,) in days
    ]
    assert f"SPY has {sum(counts)} bars of a second" in simulated


def test_a_plain_consumer_reads_every_trade_with_decode(
    simulated: str, environment: dict[str, str], cassandra: Session, settings: Settings
) -> None:
    assert simulated
    printed = run_example("05_read_ticktrail_topic.py", environment)
    assert number(r"(\d+) trades", printed) == stored(cassandra, settings, "trades")
    assert number(r"(\d+) corrections", printed) == stored(cassandra, settings, "corrections")
    assert number(r"(\d+) heartbeats", printed) > 0


def readme_commands(start: str) -> list[str]:
    blocks = re.findall(r"```bash\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.startswith(f"ticktrail {start}")]


def test_the_readme_has_five_cql_queries() -> None:
    assert len(readme_commands("cqlsh -e")) == 5


@pytest.mark.parametrize(
    "command", readme_commands("cqlsh -e"), ids=lambda command: shlex.split(command)[-1].split(" WHERE")[0]
)
def test_the_readmes_cql_finds_rows(
    command: str, simulated: str, environment: dict[str, str], cassandra: Session, settings: Settings
) -> None:
    assert simulated
    cassandra.set_keyspace(settings.store.keyspace)
    (day,) = cassandra.execute("SELECT day FROM days WHERE dataset = 'trades' AND feed = 'sim'").one()
    key = "dataset = 'trades' AND feed = 'sim' AND day = %s AND symbol = 'SPY'"
    (slot,) = cassandra.execute(f"SELECT slot FROM partitions WHERE {key}", (day,)).one()
    done = subprocess.run(
        ["bash", "-c", command],
        env=environment | {"DAY": str(day), "SLOT": str(slot)},
        capture_output=True,
        text=True,
        timeout=PROGRAM_TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert number(r"(\d+) rows", done.stdout) > 0, done.stdout


def test_the_readmes_stages_run_by_hand(servers: Servers, tmp_path: Path) -> None:
    environment = environment_of(new_settings(servers, tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    stages = ("exchange", "capture", "persist", "bars")
    lines = [line.replace("8765", str(port)) for stage in stages for line in readme_commands(stage)]
    assert len(lines) == len(stages)
    trades_query, bars_query = readme_commands("sql")
    (tail,) = readme_commands("tail")
    with ExitStack() as running:
        processes = [
            running.enter_context(started(line, environment, tmp_path / f"{stage}.txt"))
            for stage, line in zip(stages, lines, strict=True)
        ]
        # A minute's bar would take a minute.
        for query in (trades_query, bars_query.replace("'1m'", "'1s'")):
            rows = rows_in_time(f"{query} --json", environment)
            assert len(rows) == 5, [(tmp_path / f"{stage}.txt").read_text() for stage in stages]
        tailed = subprocess.run(
            shlex.split(tail), env=environment, capture_output=True, timeout=PROGRAM_TIMEOUT_S, check=True
        )
        assert len(tailed.stdout.splitlines()) == 3
        for process in processes:
            process.send_signal(signal.SIGINT)
        codes = [process.wait(PROGRAM_TIMEOUT_S) for process in processes]
    assert codes == [0] * len(stages), [(tmp_path / f"{stage}.txt").read_text() for stage in stages]


@contextmanager
def started(line: str, environment: dict[str, str], output: Path) -> Iterator[subprocess.Popen[bytes]]:
    with (
        output.open("wb") as file,
        subprocess.Popen(shlex.split(line), env=environment, stdout=file, stderr=file) as process,
    ):
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def rows_in_time(line: str, environment: dict[str, str]) -> list[str]:
    """Ask until there are as many rows as the query may give, for a minute at most."""
    deadline_s = time.monotonic() + PROGRAM_TIMEOUT_S / 2
    while True:
        done = subprocess.run(
            shlex.split(line),
            env=environment,
            capture_output=True,
            text=True,
            timeout=PROGRAM_TIMEOUT_S,
            check=False,
        )
        rows = done.stdout.splitlines()
        if len(rows) == 5 or time.monotonic() > deadline_s:
            return rows
