"""A broker that knows only the classic group protocol, as those before Kafka 4.0 do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from unittest import mock

import pytest
from confluent_kafka.admin import AdminClient
from fixtures_servers import Servers, new_settings, prepared
from persist_kit import identities, is_committed, persisting, send, stored, trades, until

from ticktrail.clock import SystemClock
from ticktrail.config import Settings, StackSettings
from ticktrail.stack import Stack, start
from ticktrail.stack.kafka import format_flags
from ticktrail.stack.server import Layout
from ticktrail.store import connect
from ticktrail.telemetry import isolated_registry

pytestmark = pytest.mark.servers


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    """Give an installation on servers of its own, with the new protocol's feature switched off."""

    def without_feature(layout: Layout, class_path: str) -> list[str]:
        return [*format_flags(layout, class_path), "--feature", "group.version=0"]

    stack = Stack(StackSettings(data_dir=str(tmp_path)), SystemClock())
    with mock.patch.object(start, "format_flags", without_feature), stack.bound() as at:
        servers = Servers(at.kafka_bootstrap, at.cassandra_host, at.cassandra_port)
        yield prepared(new_settings(servers, tmp_path))


def test_members_share_the_work_there_too(settings: Settings) -> None:
    with isolated_registry(), persisting(settings) as first:
        send(settings, trades(0, 1_000))
        until(lambda: is_committed(settings), "one of them stores alone")
        with persisting(settings):
            for start_at in range(1_000, 4_000, 500):
                send(settings, trades(start_at, 500))
            until(lambda: is_committed(settings), "both store together")
            first.set()  # one leaves, the other takes over
            send(settings, trades(4_000, 500))
            until(lambda: is_committed(settings), "the other takes over")
    with closing(connect(settings.store)) as session:
        session.driver.set_keyspace(settings.store.keyspace)
        assert set(stored(session.driver)) == identities(trades(0, 4_500))
    admin = AdminClient({"bootstrap.servers": settings.kafka.bootstrap_servers})
    group = admin.describe_consumer_groups([settings.persist.group])[settings.persist.group].result()
    assert group.type.name == "CLASSIC"
