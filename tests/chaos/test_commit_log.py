"""Cassandra dies with acknowledged rows that never reached its disk.

Its commit log is compressed here: then everything since the last sync, up to a second, is lost with the
process. (Uncompressed, the system keeps what the process had written, but for the last moments.) Persist dies
with it, so that nobody writes anything again before it is counted.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from chaos.checks import Verdict, committed_but_not_stored, compare
from chaos.report import Report
from chaos.world import Scenario, ServerPair, World, until

from ticktrail.stack import cassandra

pytestmark = [pytest.mark.servers, pytest.mark.timeout(3_600)]

UNSAFE = Path(__file__).with_name("unsafe.py")
COMPRESSED = """
commitlog_compression:
  - class_name: LZ4Compressor
"""


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerPair]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cassandra, "YAML", cassandra.YAML + COMPRESSED)
        # Segments are direct buffers then, and no mapped files: up to four of 32 MiB each.
        patch.setattr(cassandra, "DIRECT_MIB", cassandra.DIRECT_MIB + 128)
        made = ServerPair(tmp_path_factory.mktemp("chaos-servers"))
        made.up()
        yield made
        made.down()


def test_what_is_committed_outlives_cassandra(scenario: Scenario) -> None:
    """Both die at once, so that nobody writes anything again before it is counted."""
    with scenario("kill -9 of Cassandra and persist at once") as world:
        world.run(world.random.uniform(0.5, 2.0))
        lose_both(world)
        assert committed_but_not_stored(world.settings) == 0
        world.stages["persist"].start()


def lose_both(world: World) -> None:
    world.kill("cassandra")
    world.stages["persist"].kill()
    world.revive()


@pytest.mark.chaos
def test_cassandra_dies_right_after_an_answer(scenario: Scenario) -> None:
    with scenario(
        "kill -9 of Cassandra and persist within 50 ms after an acknowledgement, 10 times"
    ) as world:
        for _ in range(10):
            world.run(world.random.uniform(0.2, 2.0))
            stored = world.stored()
            until(lambda stored=stored: world.stored() > stored, "something is acknowledged")  # type: ignore[misc]
            lose_both(world)
            assert committed_but_not_stored(world.settings) == 0
            world.stages["persist"].start()
            until(world.is_flowing, "trades are stored again")


@pytest.mark.chaos
def test_cassandra_dies_young(scenario: Scenario) -> None:
    """Seconds after its tables were made."""
    with scenario("kill -9 of Cassandra seconds after its schema was made") as world:
        lose_both(world)
        assert committed_but_not_stored(world.settings) == 0
        world.stages["persist"].start()


# --- the suite itself --------------------------------------------------------------------------------


@pytest.mark.chaos
def test_without_the_checkpoint_rule_the_loss_is_seen(
    pair: ServerPair, tmp_path: Path, request: pytest.FixtureRequest, chaos_report: Report
) -> None:
    seed: int = request.config.getoption("--chaos-seed")
    programs = {"persist": [str(UNSAFE)]}
    lost = 0
    begun = time.monotonic()
    world = World(pair, tmp_path, rate=chaos_report.rate, seed=seed, programs=programs)
    try:
        world.start()
        for _ in range(10):
            until(world.is_flowing, "trades are stored")
            world.run(world.random.uniform(0.5, 2.0))
            lose_both(world)
            lost = committed_but_not_stored(world.settings)
            if lost:
                break
            world.stages["persist"].start()
        assert lost, "ten kills of Cassandra, and the suite saw nothing of the missing rule"
        world.stages["persist"].start()
        world.settle()
        verdict = compare(world.settings, world.log_dir)
    finally:
        world.close()
        world.revive()
    assert any("neither stored nor in a gap" in problem for problem in verdict.problems)
    chaos_report.add(
        "the checkpoint rule switched off: the suite must see a loss",
        seed,
        time.monotonic() - begun,
        world.faults,
        Verdict(sent=verdict.sent, stored=verdict.stored),
        f"{lost:,} trades lost at kill {world.faults}, and seen",
    )
