"""The connection to Cassandra, and its errors in ticktrail's own terms."""

from __future__ import annotations

import logging
import re
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cassandra import (
    AuthenticationFailed,
    ConfigurationException,
    ConsistencyLevel,
    DriverException,
    InvalidRequest,
    OperationTimedOut,
    Unauthorized,
    UnresolvableContactPoints,
)
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile, NoHostAvailable, Session
from cassandra.concurrent import execute_concurrent_with_args
from cassandra.connection import ConnectionException
from cassandra.policies import (
    DCAwareRoundRobinPolicy,
    ExponentialReconnectionPolicy,
    FallthroughRetryPolicy,
    HostStateListener,
    RoundRobinPolicy,
    TokenAwarePolicy,
)
from cassandra.pool import Host
from cassandra.protocol import ErrorMessage

from ticktrail.config import StoreSettings
from ticktrail.errors import (
    ConfigError,
    Overloaded,
    SchemaMismatch,
    TicktrailError,
    Unreachable,
    WriteRejected,
)
from ticktrail.telemetry import get_logger

__all__ = ["ServerLimits", "StoreSession", "connect", "translated"]

_log = get_logger("store")

# Cassandra 4 and 5 both speak version 5; 4 is what managed services offer.
_PROTOCOL_VERSIONS = (5, 4)
_RECONNECT_DELAY_S = (0.2, 5.0)
# Servers that do not show their settings (managed ones) get the value that Cassandra ships with.
_BATCH_BYTES_DEFAULT = 50 * 1024
_UNITS = {"B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
_OTHER_VERSION = re.compile(r"protocol.?version", re.IGNORECASE)
_MISSING = re.compile(r"unconfigured table|does not exist|undefined column|unknown type", re.IGNORECASE)


# Warnings that the server sends with answers and the driver logs, of things that are done on purpose:
# batches near the limit are what makes writing fast, and a session here only ever uses one keyspace.
_MEANT = re.compile(
    r"^Server warning: (Batch for|Unlogged batch covering|`USE <keyspace>` with prepared statements)"
)


# What `connect` raises, and need not be told before.
_RAISED = re.compile(r"^(\[control connection\] Error connecting|Control connection failed to connect)")


def _is_news(record: logging.LogRecord) -> bool:
    # The driver's own call stacks tell a user nothing; its sentences name host and cause.
    record.exc_info = None
    message = record.getMessage()
    return not _MEANT.match(message) and not _RAISED.match(message)


for _name in ("cluster", "connection", "pool", "protocol"):
    logging.getLogger(f"cassandra.{_name}").addFilter(_is_news)


@dataclass(frozen=True, kw_only=True)
class ServerLimits:
    """What the server allows.

    Parameters
    ----------
    batch_bytes_max
        ``batch_size_fail_threshold``: batches over several partitions must stay below it.
    """

    batch_bytes_max: int = _BATCH_BYTES_DEFAULT


@dataclass(frozen=True, kw_only=True)
class StoreSession:
    """An open connection to the store's keyspace.

    Parameters
    ----------
    driver
        The driver's session; only this room touches it.
    address
        For messages: the contact points.
    consistency
        Of reads and writes.
    limits
        What the server allows.
    """

    driver: Session
    address: str
    consistency: int
    limits: ServerLimits
    settings: StoreSettings

    @property
    def protocol_version(self) -> int:
        """Version of the native protocol that was agreed on."""
        version: int = self.driver.cluster.protocol_version
        return version

    def execute(self, statement: Any, parameters: Any = None) -> list[Any]:
        """Run a statement and fetch all its rows.

        Raises
        ------
        TicktrailError
            As `translated` has it.
        """
        try:
            return list(self.driver.execute(statement, parameters))
        except _DRIVER_ERRORS as error:
            raise translated(error, self.address) from error

    def execute_all(self, prepared: Any, rows: Sequence[Sequence[Any]], at_once: int) -> None:
        """Run a prepared statement for each row of values, so many side by side.

        Raises
        ------
        TicktrailError
            One of them failed; of the others some have run.
        """
        try:
            execute_concurrent_with_args(self.driver, prepared, rows, concurrency=at_once)
        except _DRIVER_ERRORS as error:
            raise translated(error, self.address) from error

    def execute_at(self, host: Any, statement: str) -> list[Any]:
        """Run a statement on one server of the cluster; raises as `execute` does."""
        try:
            return list(self.driver.execute(statement, host=host))
        except _DRIVER_ERRORS as error:
            raise translated(error, self.address) from error

    def prepare(self, statement: str) -> Any:
        """Prepare a statement; raises as `execute` does."""
        try:
            return self.driver.prepare(statement)
        except _DRIVER_ERRORS as error:
            raise translated(error, self.address) from error

    def close(self) -> None:
        """Close all connections."""
        self.driver.cluster.shutdown()


def connect(settings: StoreSettings) -> StoreSession:
    """Open a connection; the keyspace need not exist yet (`ticktrail.store.migrate`).

    Raises
    ------
    Unreachable
        Nobody answers at any contact point.
    ConfigError
        The user or password is wrong, or a setting is impossible.
    """
    hosts = [host.strip() for host in settings.hosts.split(",") if host.strip()]
    address = f"{settings.hosts}:{settings.port}"
    if not hosts:
        raise ConfigError(
            what="No Cassandra is known",
            why="store.hosts is empty and no embedded Cassandra is running",
            next_step="Start one with `ticktrail up`, or set TICKTRAIL_STORE__HOSTS.",
            key="store.hosts",
            source="default",
        )
    consistency = ConsistencyLevel.name_to_value.get(settings.consistency)
    if consistency is None:
        raise ConfigError(
            what=f"Unknown consistency level {settings.consistency!r}",
            next_step=f"Use one of {', '.join(sorted(ConsistencyLevel.name_to_value))}.",
            key="store.consistency",
            source="settings",
        )
    last: TicktrailError | None = None
    for version in _PROTOCOL_VERSIONS:
        cluster: Cluster | None = None
        try:
            cluster = _cluster(settings, hosts, consistency, version)
            driver = cluster.connect()
            limits = _read_limits(driver)
            cluster.register_listener(_Watch())
            break
        except (*_DRIVER_ERRORS, OSError) as error:
            last = _wrong_datacenter(cluster, settings.datacenter) or translated(error, address)
            if cluster is not None:
                cluster.shutdown()
            if not _OTHER_VERSION.search(str(error)):
                raise last from error
    else:
        assert last is not None
        raise last
    return StoreSession(
        driver=driver, address=address, consistency=consistency, limits=limits, settings=settings
    )


class _Watch(HostStateListener):  # type: ignore[misc]  # the driver has no types
    """Says that a server answers again; that it is gone, the driver says itself."""

    def on_up(self, host: Host) -> None:
        _log.info("store.reachable", host=str(host.endpoint))

    # Those of the base raise, and would keep the driver from connecting again.
    def on_down(self, host: Host) -> None:
        pass

    def on_add(self, host: Host) -> None:
        pass

    def on_remove(self, host: Host) -> None:
        pass


def _wrong_datacenter(cluster: Cluster | None, wanted: str) -> ConfigError | None:
    """Tell why no host is local: the driver itself only says that there is none."""
    known = {host.datacenter for host in cluster.metadata.all_hosts()} - {None} if cluster else set()
    if not wanted or not known or wanted in known:
        return None
    return ConfigError(
        what=f"Cassandra has no data centre {wanted!r}",
        why=f"it has {', '.join(sorted(known))}",
        next_step="Mend TICKTRAIL_STORE__DATACENTER, or leave it empty.",
        key="store.datacenter",
        source="settings",
    )


def _cluster(settings: StoreSettings, hosts: list[str], consistency: int, version: int) -> Cluster:
    local = (
        DCAwareRoundRobinPolicy(local_dc=settings.datacenter) if settings.datacenter else RoundRobinPolicy()
    )
    profile = ExecutionProfile(
        load_balancing_policy=TokenAwarePolicy(local),
        # Retrying is the runners' business: they know what may be repeated and tell the user.
        retry_policy=FallthroughRetryPolicy(),
        consistency_level=consistency,
        request_timeout=settings.timeout_s,
    )
    auth = PlainTextAuthProvider(settings.user, settings.password.reveal()) if settings.user else None
    return Cluster(
        contact_points=hosts,
        port=settings.port,
        auth_provider=auth,
        ssl_context=_tls_context(settings) if settings.tls else None,
        execution_profiles={EXEC_PROFILE_DEFAULT: profile},
        protocol_version=version,
        reconnection_policy=ExponentialReconnectionPolicy(*_RECONNECT_DELAY_S, max_attempts=None),
        # On one machine and in one data centre compressing costs more than it saves, and whether the
        # library for it happens to be installed should change nothing.
        compression=False,
        # Else the kernel holds back the end of a request until the server has acknowledged its beginning, for
        # up to 40 ms.
        sockopts=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
        connect_timeout=settings.timeout_s,
        control_connection_timeout=settings.timeout_s,
    )


def _tls_context(settings: StoreSettings) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=settings.tls_ca_file or None)
    except OSError as error:  # ssl.SSLError, where it holds no certificate, is one
        raise ConfigError(
            what=f"Cannot read certificates from {settings.tls_ca_file}",
            why=error.strerror or str(error),
            next_step="Set TICKTRAIL_STORE__TLS_CA_FILE to a file of PEM certificates.",
            key="store.tls_ca_file",
            source="settings",
        ) from error


def _read_limits(driver: Session) -> ServerLimits:
    try:
        rows = driver.execute(
            "SELECT value FROM system_views.settings WHERE name='batch_size_fail_threshold'"
        )
        text = rows.one().value
    except (InvalidRequest, Unauthorized, AttributeError):
        return ServerLimits()
    match = re.fullmatch(r"(\d+)(B|KiB|MiB|GiB)", text)
    return ServerLimits(batch_bytes_max=int(match[1]) * _UNITS[match[2]]) if match else ServerLimits()


_DRIVER_ERRORS = (ConnectionException, DriverException, ErrorMessage, NoHostAvailable)


def translated(error: Exception, address: str) -> TicktrailError:
    """Say a driver's error in ticktrail's terms.

    Returns
    -------
    `Unreachable` and `Overloaded` for what may pass; `ConfigError`, `SchemaMismatch` and `WriteRejected`
    for what will not.
    """
    why = _first_cause(error)
    for cause in _causes(error):
        if isinstance(cause, AuthenticationFailed):
            return translated(cause, address)
    if isinstance(error, AuthenticationFailed | Unauthorized):
        return ConfigError(
            what=f"Cassandra at {address} refused the login",
            why=why,
            next_step="Check TICKTRAIL_STORE__USER and TICKTRAIL_STORE__PASSWORD.",
            key="store.user",
            source="settings",
        )
    if isinstance(error, ConfigurationException):
        return ConfigError(
            what=f"Cassandra at {address} cannot make the keyspace as it is set",
            why=why,
            next_step="Check TICKTRAIL_STORE__DATACENTER and TICKTRAIL_STORE__REPLICATION_FACTOR.",
            key="store.replication_factor",
            source="settings",
        )
    # Values inside a frozen type are checked late, and the server then calls it an error of its own.
    if isinstance(error, InvalidRequest) or "MarshalException" in why:
        return _refusal(error, address)
    if isinstance(error, UnresolvableContactPoints):
        why = "none of these names has an address"
    if isinstance(
        error,
        NoHostAvailable | OperationTimedOut | ConnectionException | UnresolvableContactPoints | OSError,
    ):
        return Unreachable(
            what=f"Cannot reach Cassandra at {address}",
            why=why,
            next_step="Start it with `ticktrail up`, or set TICKTRAIL_STORE__HOSTS.",
            service="Cassandra",
            address=address,
        )
    return Overloaded(what=f"Cassandra at {address} cannot take the load now", why=why, service="Cassandra")


def _refusal(error: Exception, address: str) -> SchemaMismatch | WriteRejected:
    if _MISSING.search(str(error)):
        return SchemaMismatch(
            what=f"The tables in Cassandra at {address} are not those of this version",
            why=str(error),
            next_step="Any ticktrail command that writes creates what is missing; restart the stage.",
        )
    return WriteRejected(what=f"Cassandra at {address} refused the request", why=str(error))


def _first_cause(error: Exception) -> str:
    return str(next(iter(_causes(error)), error))


def _causes(error: Exception) -> list[Exception]:
    # The driver gives a mapping from hosts to errors, or only the hosts where it knows no more.
    errors = getattr(error, "errors", None)
    return list(errors.values()) if isinstance(error, NoHostAvailable) and isinstance(errors, dict) else []
