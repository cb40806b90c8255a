"""Processes die, freeze and come back under load; nothing is lost, nothing doubled.

`make test` runs a short selection. `make chaos` runs everything (``--chaos``) and writes docs/reliability.md.
Everything random follows from a seed, which a failure tells: ``--chaos-seed`` repeats it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from chaos.world import Scenario, ServerPair, World, until

pytestmark = [pytest.mark.servers, pytest.mark.timeout(3_600)]

SERVERS = ("kafka", "cassandra")
STAGES = ("capture", "persist", "bars")
STEPPED = Path(__file__).with_name("stepped.py")


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerPair]:
    made = ServerPair(tmp_path_factory.mktemp("chaos-servers"))
    made.up()
    yield made
    made.down()


def kill_and_revive(world: World, name: str) -> None:
    """Kill at a random instant, and go on when trades are stored again."""
    world.run(world.random.uniform(0.2, 2.0))
    world.kill(name)
    world.run(world.random.uniform(0.0, 1.0))
    world.revive()
    until(world.is_flowing, f"trades are stored again after {name} died")
    until(world.is_up_to_date, f"bars have caught up after {name} died")


# --- the short selection -----------------------------------------------------------------------------


def test_each_process_dies_once(scenario: Scenario) -> None:
    with scenario("kill -9 of each process, once") as world:
        for name in world.random.sample([*SERVERS, *STAGES], 5):
            kill_and_revive(world, name)


# --- everything --------------------------------------------------------------------------------------

KILLS = 20


@pytest.mark.chaos
@pytest.mark.parametrize("name", [*SERVERS, *STAGES])
def test_kill_9_again_and_again(scenario: Scenario, name: str) -> None:
    with scenario(f"kill -9 of {name}, {KILLS} times") as world:
        for _ in range(KILLS):
            kill_and_revive(world, name)


@pytest.mark.chaos
@pytest.mark.parametrize("name", [*SERVERS, *STAGES])
def test_a_process_stands_still(scenario: Scenario, name: str) -> None:
    with scenario(f"SIGSTOP of {name} for 20 s") as world, world.frozen(name):
        world.run(20)


@pytest.mark.chaos
def test_kafka_is_away_for_a_minute(scenario: Scenario) -> None:
    with scenario("Kafka away for 60 s") as world:
        world.kill("kafka")
        world.run(60)
        world.revive()


@pytest.mark.chaos
def test_one_of_two_persists_dies_during_a_rebalance(scenario: Scenario) -> None:
    with scenario("one of two persist processes killed during a rebalance, 5 times") as world:
        for _ in range(5):
            world.add("persist-2", "persist")
            world.run(world.random.uniform(0.5, 4.0))
            world.kill("persist-2")
            world.stages.pop("persist-2").kill()
            world.run(world.random.uniform(0.5, 4.0))
            until(world.is_flowing, "trades are stored again")


@pytest.mark.chaos
def test_the_clock_is_stepped(scenario: Scenario, tmp_path: Path) -> None:
    offset = tmp_path / "offset"
    offset.write_text("0", "ascii")
    programs = {name: [str(STEPPED), str(offset)] for name in STAGES}
    with scenario(
        "the wall clock of all stages stepped by 15 s, 30 s back, and right", programs=programs
    ) as world:
        for seconds in (15, -15, 0):
            offset.write_text(str(seconds), "ascii")
            world.faults += 1
            world.run(10)


@pytest.mark.chaos
def test_a_feed_full_of_faults(scenario: Scenario) -> None:
    faults = ("duplicate_per_million=20000", "reorder_per_million=20000", "garbage_per_million=2000")
    with scenario("a duplicate, reordered, garbage-ridden feed", faults=faults) as world:
        world.run(20)
