"""Processes die, freeze and come back under load; nothing is lost, nothing doubled.

`make test` runs a short selection. `make chaos` runs everything (``--chaos``) and writes docs/reliability.md.
Everything random follows from a seed, which a failure tells: ``--chaos-seed`` repeats it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from chaos.checks import Verdict, committed_but_not_stored, compare
from chaos.report import Report
from chaos.world import ServerPair, World, until

pytestmark = [pytest.mark.servers, pytest.mark.timeout(1_800)]

UNSAFE = Path(__file__).with_name("unsafe.py")
SERVERS = ("kafka", "cassandra")
STAGES = ("capture", "persist", "bars")

Scenario = Callable[..., Any]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerPair]:
    made = ServerPair(tmp_path_factory.mktemp("chaos-servers"))
    made.up()
    yield made
    made.down()


@pytest.fixture
def scenario(
    pair: ServerPair, tmp_path: Path, request: pytest.FixtureRequest, chaos_report: Report
) -> Scenario:
    """Give what runs a scenario: the block does the harm; before and after it is what belongs to all."""
    seed: int = request.config.getoption("--chaos-seed")

    @contextmanager
    def run(name: str, **world_options: Any) -> Iterator[World]:
        options = {"rate": chaos_report.rate} | world_options
        world = World(pair, tmp_path, seed=seed, **options)
        begun = time.monotonic()
        try:
            world.start()
            until(world.is_flowing, "trades are stored")
            yield world
            until(world.is_flowing, "trades are stored again")
            world.settle()
            verdict = compare(world.settings, world.log_dir)
        finally:
            world.close()
            world.revive()
        chaos_report.add(name, seed, time.monotonic() - begun, world.faults, verdict)
        assert not verdict.problems, f"{name}, seed {seed}: {verdict}"

    return run


def kill_and_revive(world: World, name: str) -> None:
    """Kill at a random instant, and go on when trades are stored again."""
    world.run(world.random.uniform(0.2, 2.0))
    world.kill(name)
    world.run(world.random.uniform(0.0, 1.0))
    world.revive()
    until(world.is_flowing, f"trades are stored again after {name} died")


# --- the short selection -----------------------------------------------------------------------------


def test_each_process_dies_once(scenario: Scenario) -> None:
    with scenario("kill -9 of each process, once") as world:
        for name in world.random.sample([*SERVERS, *STAGES], 5):
            kill_and_revive(world, name)


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
            second = world.add("persist-2", "persist")
            world.run(world.random.uniform(0.5, 4.0))
            second.kill()
            world.run(world.random.uniform(0.5, 4.0))
            until(world.is_flowing, "trades are stored again")


@pytest.mark.chaos
def test_a_feed_full_of_faults(scenario: Scenario) -> None:
    faults = ("duplicate_per_million=20000", "reorder_per_million=20000", "garbage_per_million=2000")
    with scenario("a duplicate, reordered, garbage-ridden feed", faults=faults) as world:
        world.run(20)


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
    chaos_report.add(
        f"the checkpoint rule switched off: {lost} trades lost at kill {world.faults}, as it must be",
        seed,
        time.monotonic() - begun,
        world.faults,
        Verdict(sent=verdict.sent, stored=verdict.stored),
    )
    assert any("neither stored nor in a gap" in problem for problem in verdict.problems)
