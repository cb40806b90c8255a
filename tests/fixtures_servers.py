"""The real Kafka and Cassandra, for the tests that need them.

They are started once per run, by ticktrail itself, in a temporary folder and on free ports, and end with
the run, however it ends. ``TICKTRAIL_TEST_SERVERS=KAFKA_HOST:PORT,CASSANDRA_HOST:PORT`` uses running ones.
Tests of one module share one installation (topics and keyspace) and nothing with other modules.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from ticktrail.bus import ensure_topics
from ticktrail.clock import SystemClock
from ticktrail.config import KafkaSettings, PersistSettings, Settings, StackSettings, StoreSettings
from ticktrail.config.settings import BarsSettings
from ticktrail.stack import Stack
from ticktrail.store import StoreSession, connect, migrate


@dataclass(frozen=True)
class Servers:
    """Where the servers of this run are."""

    kafka: str
    cassandra_host: str
    cassandra_port: int


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Give the servers, started on first use."""
    given = os.environ.get("TICKTRAIL_TEST_SERVERS")
    if given:
        kafka, cassandra = given.split(",")
        host, _, port = cassandra.rpartition(":")
        yield Servers(kafka, host, int(port))
        return
    data_dir = tmp_path_factory.mktemp("servers")
    with Stack(StackSettings(data_dir=str(data_dir)), SystemClock()).bound() as endpoints:
        yield Servers(endpoints.kafka_bootstrap, endpoints.cassandra_host, endpoints.cassandra_port)


def new_settings(servers: Servers, data_dir: Path) -> Settings:
    """Give settings for an installation of its own on the servers: other topics, keyspace and groups."""
    name = f"t{uuid.uuid4().hex[:10]}"
    return Settings(
        kafka=KafkaSettings(bootstrap_servers=servers.kafka, topic_prefix=name, partitions=2),
        store=StoreSettings(hosts=servers.cassandra_host, port=servers.cassandra_port, keyspace=name),
        stack=StackSettings(data_dir=str(data_dir)),
        persist=PersistSettings(group=f"{name}-persist"),
        bars=BarsSettings(group=f"{name}-bars"),
    )


def prepared(settings: Settings) -> Settings:
    """Make the topics and tables of an installation; gives the same settings."""
    ensure_topics(settings.kafka)
    with closing(connect(settings.store)) as session:
        migrate(session)
    return settings


def flags_of(settings: Settings) -> list[str]:
    """Say these settings as flags of the command line."""
    keys = (
        "kafka.bootstrap_servers",
        "kafka.topic_prefix",
        "kafka.partitions",
        "store.hosts",
        "store.port",
        "store.keyspace",
        "persist.group",
        "bars.group",
    )
    flags = ["--data-dir", settings.stack.data_dir]
    values = msgspec.structs.asdict
    for key in keys:
        section, name = key.split(".")
        flags += ["--set", f"{key}={values(getattr(settings, section))[name]}"]
    return flags


@pytest.fixture(scope="module")
def installation(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Give settings of an installation for one test module; topics and tables exist."""
    return prepared(new_settings(servers, tmp_path_factory.mktemp("installation")))


@pytest.fixture(scope="module")
def store_session(installation: Settings) -> Iterator[StoreSession]:
    """Give an open session on the module's keyspace."""
    session = connect(installation.store)
    migrate(session)
    yield session
    session.close()


@pytest.fixture(scope="module")
def kafka(installation: Settings) -> KafkaSettings:
    return installation.kafka


@pytest.fixture
def topic(kafka: KafkaSettings) -> str:
    """Make a topic for one test."""
    name = f"{kafka.topic_prefix}.{uuid.uuid4().hex[:8]}"
    ensure_topics(kafka, [name])
    return name
