"""What counts as a proof that rows are on disk, over servers that restart and go away."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ticktrail.clock import SystemClock
from ticktrail.errors import SchemaMismatch, StoreRestarted, Unreachable
from ticktrail.store import StoreSession, SyncProver

DEADLINE_S = 10.0
AWAY = Unreachable(what="away", service="Cassandra", address="c:1")
PERIODIC = {"commitlog_sync": "periodic", "commitlog_sync_period": "20ms"}


class Servers:
    """Stands for a session on a few servers, whose generations a test sets."""

    def __init__(self, settings: Mapping[str, str | None] = PERIODIC, hosts: str = "a") -> None:
        self.generations = dict.fromkeys(hosts, 1)
        self.all_hosts = list(hosts)
        self.settings = SimpleNamespace(keyspace="k")
        self.consistency = 4
        self.address = "c:1"
        self.probed: list[tuple[int, int]] = []
        self.is_away = False
        self._settings = settings
        cluster = SimpleNamespace(
            metadata=SimpleNamespace(all_hosts=lambda: self.all_hosts, get_replicas=self._replicas)
        )
        self.driver = SimpleNamespace(get_pools=self._pools, cluster=cluster)

    def prepare(self, _statement: str) -> Any:
        return SimpleNamespace(bind=lambda values: SimpleNamespace(values=values, consistency_level=None))

    def execute(self, statement: Any) -> list[Any]:
        if self.is_away:
            raise AWAY
        self.probed.append((statement.values[0], statement.consistency_level))
        return []

    def execute_at(self, host: Any, statement: str) -> list[Any]:
        if self.is_away:
            raise AWAY
        if "gossip_generation" in statement:
            return [SimpleNamespace(gossip_generation=self.generations[host.endpoint])]
        return [SimpleNamespace(name=name, value=value) for name, value in self._settings.items()]

    def _pools(self) -> list[Any]:
        return [SimpleNamespace(host=SimpleNamespace(endpoint=name)) for name in self.generations]

    def _replicas(self, _keyspace: str, key: bytes) -> list[Any]:
        return [SimpleNamespace(endpoint=self.all_hosts[key[-1] % len(self.all_hosts)])]


@contextmanager
def proving(servers: Servers) -> Iterator[SyncProver]:
    prover = SyncProver(cast("StoreSession", servers), SystemClock())
    try:
        yield prover
    finally:
        prover.close()


def await_proof(prover: SyncProver, of_ns: int) -> None:
    clock, never = SystemClock(), threading.Event()
    deadline_ns = clock.monotonic_ns() + int(DEADLINE_S * 1e9)
    while prover.proven_ns() < of_ns:
        prover.want()
        assert clock.monotonic_ns() < deadline_ns, "waited in vain for a proof"
        clock.wait(never, 0.005)


@pytest.mark.parametrize(
    ("settings", "lag_ms"),
    [
        ({"commitlog_sync": "periodic", "commitlog_sync_period": "10000ms"}, 15_000),
        ({"commitlog_sync": "periodic", "commitlog_sync_period": "1s"}, 1_500),
        ({"commitlog_sync": "periodic", "commitlog_sync_period": "1m"}, 90_000),
        ({"commitlog_sync": "periodic", "commitlog_sync_period_in_ms": "1000"}, 1_500),
        (PERIODIC | {"periodic_commitlog_sync_lag_block": "7s"}, 7_000),
        ({"commitlog_sync": "batch"}, 0),
        ({"commitlog_sync": "group", "commitlog_sync_group_window": "1000ms"}, 0),
    ],
)
def test_the_lag_is_what_the_server_says_and_a_margin(settings: dict[str, str | None], lag_ms: int) -> None:
    with proving(Servers(settings)) as prover:
        assert prover.lag_ns == pytest.approx(lag_ms * 1.1e6)


@pytest.mark.parametrize("settings", [{}, {"commitlog_sync": "periodic"}, PERIODIC | {"commitlog_sync": "x"}])
def test_a_server_that_does_not_tell_is_refused(settings: dict[str, str | None]) -> None:
    with pytest.raises(SchemaMismatch), proving(Servers(settings)):
        pass


def test_a_proof_reaches_back_by_the_lag() -> None:
    clock = SystemClock()
    with proving(Servers()) as prover:
        assert prover.proven_ns() == -1
        acknowledged_ns = clock.monotonic_ns()
        await_proof(prover, acknowledged_ns)
        assert clock.monotonic_ns() - acknowledged_ns >= 30_000_000 * 1.1


def test_a_restart_is_told_once_and_then_proofs_come_again() -> None:
    servers = Servers()
    with proving(servers) as prover:
        await_proof(prover, SystemClock().monotonic_ns())
        servers.generations["a"] = 2
        with pytest.raises(StoreRestarted, match="Cassandra at a was started again"):
            await_proof(prover, SystemClock().monotonic_ns())
        await_proof(prover, SystemClock().monotonic_ns())


def test_a_server_that_is_away_proves_nothing_and_loses_nothing() -> None:
    servers = Servers()
    with proving(servers) as prover:
        servers.is_away = True
        prover.want()
        assert prover.proven_ns() == -1
        servers.is_away = False
        await_proof(prover, SystemClock().monotonic_ns())


def test_of_several_servers_each_is_probed_and_one_that_goes_is_told() -> None:
    servers = Servers(hosts="abc")
    with proving(servers) as prover:
        await_proof(prover, SystemClock().monotonic_ns())
        assert {probe for probe, _ in servers.probed} == {0, 1, 2}
        assert {consistency for _, consistency in servers.probed} == {5}, "ALL, while all are up"
        del servers.generations["b"]
        with pytest.raises(StoreRestarted, match="at b "):
            await_proof(prover, SystemClock().monotonic_ns())
        servers.probed.clear()
        await_proof(prover, SystemClock().monotonic_ns())  # it is still away, which is no news
        assert {consistency for _, consistency in servers.probed} == {servers.consistency}
        servers.generations["b"] = 2
        with pytest.raises(StoreRestarted, match="at b "):
            await_proof(prover, SystemClock().monotonic_ns())


def test_a_server_that_comes_back_as_it_was_is_no_news() -> None:
    servers = Servers(hosts="ab")
    with proving(servers) as prover:
        del servers.generations["b"]
        with pytest.raises(StoreRestarted):
            await_proof(prover, SystemClock().monotonic_ns())
        servers.generations["b"] = 1
        await_proof(prover, SystemClock().monotonic_ns())


def test_a_read_is_confirmed_by_asking_who_answered() -> None:
    servers = Servers(hosts="ab")
    with proving(servers) as prover:
        prover.confirm()
        servers.generations["b"] = 2
        with pytest.raises(StoreRestarted):
            prover.confirm()
        prover.confirm()
        servers.is_away = True
        with pytest.raises(Unreachable):
            prover.confirm()
