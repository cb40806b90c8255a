"""Capture against the real Kafka and a real exchange, while things go wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from capture_scene import Topic, capture, capture_process, exchange, missing, quick, unexplained, until
from fixtures_servers import Servers, new_settings
from kafka_proxy import kafka_proxy

from ticktrail.bus import Topics
from ticktrail.capture import metrics
from ticktrail.clock import NS_PER_SECOND, SystemClock
from ticktrail.config import Settings
from ticktrail.feeds.sim import Faults
from ticktrail.reference import ROUND_THE_CLOCK
from ticktrail.telemetry import isolated_registry

pytestmark = pytest.mark.servers


@pytest.fixture
def settings(servers: Servers, tmp_path: Path) -> Settings:
    """Give an installation of its own, quick to notice."""
    return quick(new_settings(servers, tmp_path / "data"))


@pytest.fixture
def trades(settings: Settings) -> Iterator[Topic]:
    topic = Topic(settings, Topics.of(settings.kafka).trades)
    yield topic
    topic.close()


@pytest.fixture
def ledger(settings: Settings) -> Iterator[Topic]:
    topic = Topic(settings, Topics.of(settings.kafka).gaps)
    yield topic
    topic.close()


def test_coverage_is_proven_while_all_is_well(
    settings: Settings, trades: Topic, ledger: Topic, tmp_path: Path
) -> None:
    async def scene() -> None:
        async with exchange(tmp_path / "log") as url, capture(settings, url) as running:
            await until(lambda: len(ledger.proofs) >= 5 and len(trades.trades) > 1_000, running)

    with isolated_registry():
        asyncio.run(scene())
    assert ledger.gaps == []
    assert len({proof.since_ns for proof in ledger.proofs}) == 1
    times_ns = [proof.ts_recv_ns for proof in ledger.proofs]
    assert times_ns == sorted(times_ns)
    assert unexplained(tmp_path / "log", trades, ledger) == []
    assert list((Path(settings.stack.data_dir) / "spool" / "sim").glob("*.spool")) == []


def test_while_kafka_is_away_records_wait_on_disk(
    settings: Settings, trades: Topic, ledger: Topic, tmp_path: Path
) -> None:
    spool = Path(settings.stack.data_dir) / "spool" / "sim"

    async def scene() -> None:
        with kafka_proxy(settings.kafka.bootstrap_servers) as proxy:
            kafka = msgspec.structs.replace(settings.kafka, bootstrap_servers=proxy.bootstrap)
            cut_off = msgspec.structs.replace(settings, kafka=kafka)
            async with exchange(tmp_path / "log") as url, capture(cut_off, url) as running:
                await until(lambda: len(trades.trades) > 500, running)
                proxy.cut()
                await until(lambda: metrics.SPOOLED.labels(feed="sim").value > 8_000, running)
                assert list(spool.glob("*.spool"))
                proxy.mend()
                drained = len(trades.trades) + 8_000
                await until(lambda: len(trades.trades) > drained and not list(spool.glob("*.spool")), running)
                await until(lambda: len(ledger.proofs) > 10, running)

    with isolated_registry():
        asyncio.run(scene())
        assert metrics.LOST.labels(feed="sim", reason="overflow").value == 0
    assert ledger.gaps == []
    assert unexplained(tmp_path / "log", trades, ledger) == []
    # In order, and nothing twice: what was on its way when Kafka went is not sent again from the spool.
    assert len({(trade.symbol, trade.trade_id) for trade in trades.trades}) == len(trades.trades)
    received_ns: dict[str, int] = {}
    for trade in trades.trades:
        assert trade.ts_recv_ns >= received_ns.get(trade.symbol, 0)
        received_ns[trade.symbol] = trade.ts_recv_ns


def test_what_a_stop_cannot_send_the_next_capture_does(
    settings: Settings, trades: Topic, ledger: Topic, tmp_path: Path
) -> None:
    stopped_ns: list[int] = []

    async def scene() -> None:
        with kafka_proxy(settings.kafka.bootstrap_servers) as proxy:
            kafka = msgspec.structs.replace(settings.kafka, bootstrap_servers=proxy.bootstrap)
            cut_off = msgspec.structs.replace(settings, kafka=kafka)
            async with exchange(tmp_path / "log") as url:
                async with capture(cut_off, url) as running:
                    await until(lambda: len(trades.trades) > 500, running)
                    proxy.cut()
                    await until(lambda: metrics.SPOOLED.labels(feed="sim").value > 2_000, running)
                    stopped_ns.append(SystemClock().now_ns())
                # Stopped in order, with Kafka away: nothing is lost. The next begins with Kafka away, too.
                async with capture(cut_off, url) as running:
                    before = metrics.SPOOLED.labels(feed="sim").value
                    await until(lambda: metrics.SPOOLED.labels(feed="sim").value > before + 2_000, running)
                    proxy.mend()
                    await until(lambda: bool(ledger.gaps), running)

    with isolated_registry():
        asyncio.run(scene())
    (gap,) = ledger.gaps
    assert (gap.cause, gap.state) == ("capture_down", "closed")
    # Nothing is missing but what nobody had read from the socket, or nobody was there to be sent.
    assert unexplained(tmp_path / "log", trades, ledger) == []
    lost = [r for r in missing(tmp_path / "log", trades.trades) if gap.from_ns <= r["sent_ns"] < gap.to_ns]
    assert lost
    assert all(stopped_ns[0] - NS_PER_SECOND < row["sent_ns"] for row in lost)


def test_a_lost_connection_is_a_gap(settings: Settings, trades: Topic, ledger: Topic, tmp_path: Path) -> None:
    async def scene() -> None:
        faults = {"faults": Faults(disconnect_every_s=3.0)}
        async with exchange(tmp_path / "log", **faults) as url, capture(settings, url) as running:
            await until(lambda: bool(ledger.gaps), running)

    with isolated_registry():
        asyncio.run(scene())
        assert metrics.DISCONNECTS.labels(feed="sim", cause="disconnect").value >= 1
    gaps = ledger.gaps
    assert {gap.cause for gap in gaps} == {"disconnect"}
    assert unexplained(tmp_path / "log", trades, ledger) == []


def test_a_mute_exchange_is_left_and_the_gap_told(
    settings: Settings, trades: Topic, ledger: Topic, tmp_path: Path
) -> None:
    eager = quick(settings, silence_ms_min=500)

    async def scene() -> None:
        faults = {"faults": Faults(silence_at_s=2.0, silence_s=5.0)}
        async with (
            exchange(tmp_path / "log", **faults) as url,
            capture(eager, url, ROUND_THE_CLOCK) as running,
        ):
            await until(lambda: bool(ledger.gaps), running)

    with isolated_registry():
        asyncio.run(scene())
        assert metrics.ALARMS.labels(feed="sim", scope="feed").value >= 1
    gaps = ledger.gaps
    assert {gap.cause for gap in gaps} <= {"silence"}
    assert max(gap.to_ns - gap.from_ns for gap in gaps) > 5 * 10**8
    assert unexplained(tmp_path / "log", trades, ledger) == []


def test_a_killed_capture_is_a_gap_from_its_last_proof(
    settings: Settings, trades: Topic, ledger: Topic, tmp_path: Path
) -> None:
    async def scene() -> None:
        async with exchange(tmp_path / "log") as url:
            async with capture_process(settings, url) as process:
                await until(lambda: len(ledger.proofs) > 5)
                process.kill()
                await process.wait()
            async with capture_process(settings, url):
                await until(lambda: bool(ledger.gaps))

    asyncio.run(scene())
    (gap,) = ledger.gaps
    assert (gap.cause, gap.state, gap.missing) == ("capture_down", "closed", -1)
    first, second = sorted({proof.since_ns for proof in ledger.proofs})
    assert gap.from_ns == max(proof.ts_recv_ns for proof in ledger.proofs if proof.since_ns == first)
    assert gap.to_ns == second + int(settings.capture.gap_margin_ms * 1e6)
    assert missing(tmp_path / "log", trades.trades)
    assert unexplained(tmp_path / "log", trades, ledger) == []


def test_of_two_captures_either_may_die(
    settings: Settings, trades: Topic, ledger: Topic, tmp_path: Path
) -> None:
    async def scene() -> None:
        async with exchange(tmp_path / "log") as url, capture_process(settings, url) as first:
            await until(lambda: len(ledger.proofs) > 5)
            async with capture_process(settings, url):
                await until(lambda: len({proof.since_ns for proof in ledger.proofs}) == 2)
                seen = len(ledger.proofs)
                await until(lambda: len(ledger.proofs) > seen + 5)
                first.kill()
                await first.wait()
                seen = len(ledger.proofs)
                await until(lambda: len(ledger.proofs) > seen + 5)
                # Back again. The other one had everything meanwhile: known once the log has moved on.
                async with capture_process(settings, url):
                    await until(lambda: len({proof.since_ns for proof in ledger.proofs}) == 3)
                    third_ns = max(proof.since_ns for proof in ledger.proofs)
                    await until(
                        lambda: any(
                            proof.ts_recv_ns > third_ns + 4 * NS_PER_SECOND
                            for proof in ledger.proofs
                            if proof.since_ns == third_ns
                        )
                    )

    asyncio.run(scene())
    assert ledger.gaps == []
    assert unexplained(tmp_path / "log", trades, ledger) == []
    last_ns = max(proof.ts_recv_ns for proof in ledger.proofs)
    first_ns = min(proof.since_ns for proof in ledger.proofs)
    lost = missing(tmp_path / "log", trades.trades)
    assert not [row for row in lost if first_ns <= row["sent_ns"] < last_ns]
