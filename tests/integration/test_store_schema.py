"""Connecting to the real Cassandra, and making its tables."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest
from fixtures_servers import Servers
from store_rows import NOON_NS, empty_keyspace, put, trades

from ticktrail.config import StoreSettings
from ticktrail.errors import ConfigError, SchemaMismatch, Unreachable
from ticktrail.store import SCHEMA_VERSION, TRADES, StoreSession, Writer, connect, migrate

pytestmark = pytest.mark.servers


@pytest.fixture
def empty(store_session: StoreSession) -> Iterator[StoreSession]:
    """Give a session on a keyspace that does not exist yet."""
    with empty_keyspace(store_session.settings) as session:
        yield session


# --- the schema --------------------------------------------------------------------------------------


def test_migrating_again_changes_nothing(empty: StoreSession) -> None:
    assert migrate(empty) == SCHEMA_VERSION
    put(Writer(empty, 4), TRADES, trades(1))
    assert migrate(empty) == 0
    assert len(empty.execute("SELECT * FROM trades")) == 1


def test_several_may_migrate_at_once(empty: StoreSession) -> None:
    sessions = [connect(empty.settings) for _ in range(3)]
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(migrate, sessions))
    for session in sessions:
        put(Writer(session, 4), TRADES, trades(2))
        session.close()
    migrate(empty)
    assert len(empty.execute("SELECT * FROM trades")) == 2
    assert len(empty.execute("SELECT * FROM layout")) == 4


def test_a_migration_that_was_cut_short_is_finished(empty: StoreSession) -> None:
    migrate(empty)
    empty.execute("DROP TABLE latest")
    empty.execute("UPDATE schema_version SET version = 0 WHERE id = 0")
    assert migrate(empty) == SCHEMA_VERSION
    assert empty.execute("SELECT * FROM latest") == []


def test_a_table_that_was_dropped_is_made_again_and_the_others_keep_their_rows(empty: StoreSession) -> None:
    migrate(empty)
    put(Writer(empty, 4), TRADES, trades(2))
    empty.execute("DROP TABLE latest")
    assert migrate(empty) == SCHEMA_VERSION
    assert empty.execute("SELECT * FROM latest") == []
    assert len(empty.execute("SELECT * FROM trades")) == 2
    assert migrate(empty) == 0


def test_a_newer_schema_is_left_alone(empty: StoreSession) -> None:
    migrate(empty)
    empty.execute("UPDATE schema_version SET version = 999 WHERE id = 0")
    with pytest.raises(SchemaMismatch, match=r"newer ticktrail.*999.*TICKTRAIL_STORE__KEYSPACE"):
        migrate(empty)


def test_slots_keep_the_width_they_were_made_with(empty: StoreSession) -> None:
    migrate(empty)
    empty.execute("UPDATE layout SET slot_minutes = 60 WHERE table_name = 'trades'")
    migrate(empty)
    at = NOON_NS + 47 * 60 * 10**9
    put(Writer(empty, 4), TRADES, trades(1, ts_ns=lambda _: at))
    (row,) = empty.execute("SELECT slot FROM trades")
    assert row.slot == 1200


@pytest.mark.parametrize("name", ["", "9lives", "a-b", "x" * 49, "a; DROP KEYSPACE system"])
def test_a_keyspace_needs_a_name(store_session: StoreSession, name: str) -> None:
    settings = msgspec.structs.replace(store_session.settings, keyspace=name)
    session = connect(settings)
    with pytest.raises(SchemaMismatch, match="TICKTRAIL_STORE__KEYSPACE"):
        migrate(session)
    session.close()


# --- connecting --------------------------------------------------------------------------------------


def test_limits_are_read_from_the_server(store_session: StoreSession) -> None:
    (row,) = store_session.execute(
        "SELECT value FROM system_views.settings WHERE name = 'batch_size_fail_threshold'"
    )
    units = {"B": 1, "KiB": 1024, "MiB": 1024**2}
    number = row.value.rstrip("KMiB")
    assert store_session.limits.batch_bytes_max == int(number) * units[row.value[len(number) :]]


def test_a_data_centre_that_does_not_exist_is_named(servers: Servers) -> None:
    settings = StoreSettings(
        hosts=servers.cassandra_host, port=servers.cassandra_port, datacenter="nowhere", timeout_s=5.0
    )
    with pytest.raises(ConfigError, match=r"nowhere.*datacenter1") as caught:
        connect(settings)
    assert caught.value.key == "store.datacenter"


def test_what_is_no_cassandra_is_not_reached(servers: Servers) -> None:
    host, _, port = servers.kafka.rpartition(":")
    with pytest.raises(Unreachable):
        connect(StoreSettings(hosts=host, port=int(port), timeout_s=1.0))
