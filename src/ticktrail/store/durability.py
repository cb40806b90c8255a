"""When acknowledged rows are on the servers' disks.

Cassandra acknowledges a write before its commit log is synced (``commitlog_sync: periodic``): a server that
is killed forgets what it acknowledged in its last moments. `SyncProver` tells from when on that is over:

1. With periodic sync a server answers a write only while its last completed sync began no longer ago than
   ``periodic_commitlog_sync_lag_block`` (1.5 periods by default); else the write waits for the next one.
2. So if a probe was sent *lag* after some answers and acknowledged, a sync began after those answers and has
   completed, **if it was the same process that answered both**.
3. Whether it was is told by ``system.local.gossip_generation``, which every start of a server raises: it is
   read before the first write, and again after each probe.

With the modes ``batch`` and ``group`` an answer follows its sync, and the lag is 0. A probe is one row per
server, acknowledged by all replicas that are up.

Source: Cassandra 5.0, ``PeriodicCommitLogService.maybeWaitForSync``,
``AbstractCommitLogService.SyncRunnable``, ``DatabaseDescriptor.getPeriodicCommitLogSyncBlock``.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from typing import Any

from cassandra import ConsistencyLevel

from ticktrail.clock import NS_PER_MS, NS_PER_SECOND, Clock
from ticktrail.errors import SchemaMismatch, StoreRestarted, TicktrailError
from ticktrail.store.session import StoreSession
from ticktrail.telemetry import Counter, get_logger

__all__ = ["SyncProver"]

_log = get_logger("store")

_FAILED = Counter(
    "ticktrail_store_failed_probes_total",
    "Probes of the servers' commit logs that were not answered.",
    unit="probes",
)
_RESTARTED = Counter(
    "ticktrail_store_restarted_servers_total",
    "Servers that were seen to have been started again, or to have gone away.",
    unit="servers",
)

_PROBE_EVERY_S = 0.25
# The server's clock and ours may run apart by far less than this share.
_LAG_MARGIN = 1.1
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m)?")
_UNITS_NS = {"ms": NS_PER_MS, "s": NS_PER_SECOND, "m": 60 * NS_PER_SECOND, None: NS_PER_MS}
_PROBE_IDS_MAX = 10_000

# Address of a server → generation of its process.
Generations = Mapping[str, int]


class SyncProver:
    """Probes the servers on a thread of its own while there is something to prove.

    Parameters
    ----------
    session
        A migrated session, which all the writes in question go through.

    Raises
    ------
    TicktrailError
        The servers cannot be asked.
    """

    def __init__(self, session: StoreSession, clock: Clock) -> None:
        self._session = session
        self._clock = clock
        self._wanted = threading.Event()
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._proven_ns = -1
        self._lost: set[str] = set()
        self._away: set[str] = set()
        self._insert = session.prepare("INSERT INTO probes (id, written_ns) VALUES (?, ?)")
        self._generations: Generations = self._read_generations()
        self._lag_ns = max(int(_lag_ns(self._settings(host)) * _LAG_MARGIN) for host in self._hosts())
        self._thread = threading.Thread(target=self._run, name="sync-prover", daemon=True)
        self._thread.start()

    @property
    def lag_ns(self) -> int:
        """How long after an answer its proof can come at the earliest."""
        return self._lag_ns

    def want(self) -> None:
        """Say that there are answers to be proven."""
        self._wanted.set()

    def proven_ns(self) -> int:
        """Tell until when: what was acknowledged to us at or before this monotonic time is on disk.

        Returns
        -------
        Nanoseconds of `Clock.monotonic_ns`; -1 before the first proof.

        Raises
        ------
        StoreRestarted
            A server was started again or went away since the last call that raised: what was acknowledged
            and not proven may be lost, and has to be written again.
        """
        with self._lock:
            if self._lost:
                lost, self._lost = sorted(self._lost), set()
                self._proven_ns = -1
                raise _restarted(lost)
            return self._proven_ns

    def confirm(self) -> None:
        """Make sure that no server was started again so far, so that what was read had all acknowledged rows.

        Asks the servers, which takes a moment. To be called after the read in question.

        Raises
        ------
        StoreRestarted
            As `proven_ns`.
        TicktrailError
            The servers do not answer.
        """
        found = self._read_generations()
        with self._lock:
            self._compare(found)
        self.proven_ns()

    def close(self) -> None:
        """Stop probing."""
        self._closed.set()
        self._wanted.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._closed.is_set():
            self._wanted.wait()
            self._wanted.clear()
            if not self._closed.is_set():
                self._try_probe()
            self._clock.wait(self._closed, _PROBE_EVERY_S)

    def _try_probe(self) -> None:
        sent_ns = self._clock.monotonic_ns()
        try:
            self._probe()
            found = self._read_generations()
        except TicktrailError as error:
            # Proves nothing and loses nothing: the next probe proves more.
            _FAILED.inc()
            _log.debug("probe.failed", error=str(error))
            return
        with self._lock:
            if not self._compare(found) and not self._lost:
                self._proven_ns = sent_ns - self._lag_ns

    def _compare(self, found: Generations) -> bool:
        """Note the servers that are not the ones they were; tell whether there are any."""
        lost = {
            host
            for host, generation in self._generations.items()
            if found.get(host) != generation and not (host in self._away and host not in found)
        }
        self._away = self._generations.keys() - found.keys()
        # A server that is away keeps its number: should it come back with another, it was restarted.
        self._generations = {**self._generations, **found}
        if lost:
            _RESTARTED.inc(len(lost))
            self._lost |= lost
        return bool(lost)

    def _probe(self) -> None:
        for probe_id in self._probe_ids():
            statement = self._insert.bind((probe_id, self._clock.now_ns()))
            statement.consistency_level = self._consistency()
            self._session.execute(statement)

    def _hosts(self) -> list[Any]:
        """Give the servers that writes go to: those of our data centre that are up."""
        return [pool.host for pool in self._session.driver.get_pools()]

    def _consistency(self) -> int:
        """All replicas, while all are up. Else all of those that are, which for three is a quorum."""
        metadata = self._session.driver.cluster.metadata
        is_whole = len(self._hosts()) == len(metadata.all_hosts())
        return ConsistencyLevel.ALL if is_whole else self._session.consistency

    def _probe_ids(self) -> list[int]:
        """Choose rows that together have a replica on every server."""
        metadata = self._session.driver.cluster.metadata
        wanted = {str(host.endpoint) for host in self._hosts()}
        if len(wanted) == 1:
            return [0]
        chosen = []
        for probe_id in range(_PROBE_IDS_MAX):
            key = probe_id.to_bytes(4, "big")
            found = metadata.get_replicas(self._session.settings.keyspace, key)
            if wanted & (held := {str(host.endpoint) for host in found}):
                chosen.append(probe_id)
                wanted -= held
            if not wanted:
                break
        return chosen

    def _read_generations(self) -> Generations:
        generations = {}
        for host in self._hosts():
            rows = self._session.execute_at(host, "SELECT gossip_generation FROM system.local")
            generations[str(host.endpoint)] = int(rows[0].gossip_generation)
        return generations

    def _settings(self, host: Any) -> dict[str, str | None]:
        rows = self._session.execute_at(host, "SELECT name, value FROM system_views.settings")
        return {row.name: row.value for row in rows}


def _lag_ns(settings: Mapping[str, str | None]) -> int:
    """Find how far a server's answers may run ahead of its commit log's syncs."""
    mode = settings.get("commitlog_sync")
    if mode in ("batch", "group"):
        return 0
    block = settings.get("periodic_commitlog_sync_lag_block")
    if block is not None:
        return _duration_ns(block)
    period = settings.get("commitlog_sync_period") or settings.get("commitlog_sync_period_in_ms")
    if mode != "periodic" or period is None:
        raise SchemaMismatch(
            what="Cassandra does not say when it syncs its commit log",
            why=f"system_views.settings has commitlog_sync = {mode}, commitlog_sync_period = {period}",
            next_step="Use Apache Cassandra 4.0 or newer.",
        )
    return _duration_ns(period) * 3 // 2


def _duration_ns(text: str) -> int:
    match = _DURATION.fullmatch(text)
    if match is None:
        raise SchemaMismatch(what=f"Cassandra tells a duration that is none: {text!r}")
    return int(float(match[1]) * _UNITS_NS[match[2]])


def _restarted(hosts: list[str]) -> StoreRestarted:
    return StoreRestarted(
        what=f"Cassandra at {', '.join(hosts)} was started again or went away",
        why="what it acknowledged in its last moments may not have reached its disk",
        next_step="It is written again from Kafka.",
        service="Cassandra",
    )
