"""Connecting to what is no Cassandra, or none that wants us. The real one: `integration/test_store.py`."""

from __future__ import annotations

from pathlib import Path

import pytest
from cassandra import (
    InvalidRequest,
    OperationTimedOut,
    Unauthorized,
    Unavailable,
    WriteTimeout,
    WriteType,
)
from cassandra.cluster import NoHostAvailable
from cassandra.connection import ConnectionShutdown
from cassandra.protocol import ServerError
from fakes.cql_server import refusing_cassandra

from ticktrail.config import Secret, StoreSettings
from ticktrail.errors import (
    ConfigError,
    Overloaded,
    SchemaMismatch,
    TicktrailError,
    Transient,
    Unreachable,
    WriteRejected,
)
from ticktrail.store import connect
from ticktrail.store.session import translated

PASSWORD = "hunter2-never-to-be-shown"


def refusal(settings: StoreSettings) -> TicktrailError:
    with pytest.raises(TicktrailError) as caught:
        connect(settings)
    return caught.value


def test_a_wrong_password_is_named_and_not_shown() -> None:
    with refusing_cassandra() as (port, logins):
        settings = StoreSettings(
            hosts="127.0.0.1", port=port, user="reader", password=Secret(PASSWORD), timeout_s=5.0
        )
        error = refusal(settings)
    assert set(logins) == {("reader", PASSWORD)}, "version 4 is spoken where 5 is not known"
    assert isinstance(error, ConfigError)
    assert error.key == "store.user"
    assert "TICKTRAIL_STORE__PASSWORD" in str(error)
    assert "incorrect" in str(error)
    assert PASSWORD not in f"{error} {error!r} {error.__cause__!r} {settings!r}"


def test_without_a_user_the_server_asks_for_one() -> None:
    with refusing_cassandra() as (port, logins):
        error = refusal(StoreSettings(hosts="127.0.0.1", port=port, timeout_s=5.0))
    assert logins == []
    assert isinstance(error, ConfigError)
    assert error.key == "store.user"


def test_nobody_at_the_door() -> None:
    error = refusal(StoreSettings(hosts="127.0.0.1", port=1, timeout_s=2.0))
    assert isinstance(error, Unreachable)
    assert (error.service, error.address) == ("Cassandra", "127.0.0.1:1")
    assert "ticktrail up" in str(error)


def test_a_name_without_address() -> None:
    error = refusal(StoreSettings(hosts="no-such-host.invalid", timeout_s=2.0))
    assert isinstance(error, Unreachable)
    assert "no-such-host.invalid" in str(error)


@pytest.mark.parametrize("hosts", ["", " , "])
def test_no_host_is_set(hosts: str) -> None:
    error = refusal(StoreSettings(hosts=hosts))
    assert isinstance(error, ConfigError)
    assert error.key == "store.hosts"
    assert "ticktrail up" in str(error)


def test_a_consistency_that_is_none() -> None:
    error = refusal(StoreSettings(hosts="127.0.0.1", consistency="MOST"))  # type: ignore[arg-type]
    assert isinstance(error, ConfigError)
    assert error.key == "store.consistency"
    assert "LOCAL_QUORUM" in str(error)


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_certificates_that_cannot_be_read(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    error = refusal(StoreSettings(hosts="127.0.0.1", port=1, tls=True, tls_ca_file=str(file)))
    assert isinstance(error, ConfigError)
    assert error.key == "store.tls_ca_file"
    assert str(file) in str(error)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (NoHostAvailable("no", {"h": ConnectionShutdown("gone")}), Unreachable),
        (NoHostAvailable("no", ["h"]), Unreachable),
        (OperationTimedOut({"h": "timed out"}, None), Unreachable),
        (ConnectionShutdown("gone"), Unreachable),
        (ConnectionResetError("reset"), Unreachable),
        (Unavailable("too few replicas"), Overloaded),
        (WriteTimeout("slow", write_type=WriteType.UNLOGGED_BATCH), Overloaded),
        (Unauthorized("no right to MODIFY"), ConfigError),
        (InvalidRequest("unconfigured table trades"), SchemaMismatch),
        (InvalidRequest("Keyspace 'x' does not exist"), SchemaMismatch),
        (InvalidRequest("table trades does not exist"), SchemaMismatch),
        (InvalidRequest("Batch too large"), WriteRejected),
        (ServerError(0, "MarshalException: String didn't validate.", None), WriteRejected),
        (ServerError(0, "java.lang.NullPointerException", None), Overloaded),
    ],
)
def test_what_may_pass_and_what_will_not(error: Exception, expected: type[TicktrailError]) -> None:
    said = translated(error, "h:9042")
    assert type(said) is expected
    assert isinstance(said, Transient) is (expected in {Unreachable, Overloaded})
    assert "h:9042" in str(said)
