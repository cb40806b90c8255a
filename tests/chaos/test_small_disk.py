"""Disks run full under load, and get room again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from chaos.small_disk import SmallDisk, small_disk
from chaos.world import Scenario, ServerPair, until

pytestmark = [pytest.mark.servers, pytest.mark.timeout(1_800), pytest.mark.chaos]

# Room for the commit log and the tables of these tests, and little more.
_CASSANDRA_MIB = 1_024
_SPOOL_MIB = 3


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallDisk]:
    with small_disk(tmp_path_factory.mktemp("small") / "cassandra", _CASSANDRA_MIB) as made:
        yield made


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, disk: SmallDisk) -> Iterator[ServerPair]:
    data_dir = tmp_path_factory.mktemp("chaos-servers")
    (data_dir / "cassandra").symlink_to(disk.path)
    made = ServerPair(data_dir)
    made.up()
    yield made
    made.down()


def test_cassandra_s_disk_is_full(scenario: Scenario, disk: SmallDisk) -> None:
    with scenario("the disk of Cassandra full, until it ended") as world:
        disk.fill()
        world.faults += 1
        until(lambda: not world.servers.runs("cassandra"), "Cassandra ends rather than lose what it takes")
        world.run(5)
        disk.clear()
        world.revive()


def test_the_spool_s_disk_is_full(scenario: Scenario, tmp_path: Path) -> None:
    with (
        small_disk(tmp_path / "spool", _SPOOL_MIB),
        scenario("Kafka away for 20 s, the spool on a disk of 3 MiB") as world,
    ):
        world.kill("kafka")
        world.run(20)
        world.revive()


def test_the_stages_disk_is_full(scenario: Scenario, tmp_path: Path) -> None:
    with small_disk(tmp_path / "run", 1) as disk, scenario("no room for the stages' snapshots") as world:
        disk.fill()
        world.faults += 1
        world.run(10)
        disk.clear()
