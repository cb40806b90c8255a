"""When the real Cassandra has proven that rows are on its disk."""

from __future__ import annotations

import time
from contextlib import closing

import pytest

from ticktrail.clock import NS_PER_SECOND, SystemClock
from ticktrail.store import StoreSession, SyncProver

pytestmark = pytest.mark.servers


def test_a_proof_comes_after_the_servers_lag_and_not_before(store_session: StoreSession) -> None:
    clock = SystemClock()
    with closing(SyncProver(store_session, clock)) as prover:
        acknowledged_ns = clock.monotonic_ns()
        deadline_ns = acknowledged_ns + 30 * NS_PER_SECOND
        while prover.proven_ns() < acknowledged_ns:
            prover.want()
            assert clock.monotonic_ns() < deadline_ns, "waited in vain for a proof"
            time.sleep(0.01)
        assert clock.monotonic_ns() - acknowledged_ns >= prover.lag_ns
        # The server of the tests syncs every second, and answers until one and a half have passed.
        assert 1.5 * NS_PER_SECOND <= prover.lag_ns <= 2 * NS_PER_SECOND
