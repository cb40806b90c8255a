"""Alerts through the real Kafka and Cassandra: recorded once, published, notified, and asked for."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner
from fixtures_servers import flags_of

from ticktrail.alerts.book import RuleBook
from ticktrail.alerts.notifier import Notifier
from ticktrail.alerts.runner import SLOW_SOURCES, SWIFT_SOURCES, AlertRunner, Tools
from ticktrail.alerts.volumes import StoredVolumes
from ticktrail.alerts.watch import RuleWatch
from ticktrail.bus import Producer, Tail, Topics, message_key
from ticktrail.cli.main import cli
from ticktrail.clock import NS_PER_SECOND, SystemClock
from ticktrail.codec import decode, encode_record
from ticktrail.config import AlertsSettings, AlertTarget, Secret, Settings
from ticktrail.model import Alert, Columns, Flag, Trade
from ticktrail.store import TRADES, AlertStore, Reader, StoreSession, SyncProver, Writer

pytestmark = pytest.mark.servers

S = NS_PER_SECOND
CLOCK = SystemClock()
ALL = int(Flag.UPDATES_LAST | Flag.UPDATES_HIGH_LOW | Flag.UPDATES_VOLUME)
BASE_NS = 1_767_623_400 * S
RULE: dict[str, Any] = {
    "name": "ten",
    "kind": "price_crosses",
    "params": {"price": 10.0},
    "cooldown_s": 0,
    "notify": ["box"],
}
DEADLINE_S = 60.0


def trades(symbol: str, prices: Sequence[float], first: int = 0) -> list[Trade]:
    return [
        Trade(
            feed="f",
            symbol=symbol,
            day=20_458,
            ts_ns=BASE_NS + number * S,
            event_id=number,
            ts_event_ns=BASE_NS + number * S,
            ts_recv_ns=BASE_NS + number * S,
            price=price,
            size=1.0,
            flags=ALL,
        )
        for number, price in enumerate(prices, first)
    ]


PRICES = [9.0, 11.0, 9.0, 11.0, 10.0, 9.0]
CROSSINGS = [1, 2, 3, 4]


@pytest.fixture(scope="module")
def settings(installation: Settings) -> Settings:
    alerts = AlertsSettings(
        group=f"{installation.kafka.topic_prefix}-alerts",
        snapshot_ms=200,
        rules=(RULE,),
        targets=(AlertTarget(name="box", url=Secret("json://127.0.0.1")),),
    )
    return msgspec.structs.replace(installation, alerts=alerts)


class Box:
    name = "box"

    def __init__(self) -> None:
        self.taken: list[Alert] = []

    def send(self, alert: Alert) -> None:
        self.taken.append(alert)


@contextmanager
def running(settings: Settings, session: StoreSession, box: Box | None = None) -> Iterator[RuleBook]:
    """Run the whole stage in threads."""
    store, stop = AlertStore(session), threading.Event()
    book = RuleBook(store, settings.alerts, CLOCK)
    usual = StoredVolumes(Reader(session))
    with closing(RuleWatch(book, CLOCK)) as watch:
        provers = [SyncProver(session, CLOCK) for _ in range(2)]
        jobs = [
            AlertRunner(
                settings, sources, Tools(store=store, prover=prover, rules=watch, usual=usual), CLOCK, stop
            ).run
            for sources, prover in zip((SWIFT_SOURCES, SLOW_SOURCES), provers, strict=True)
        ]
        if box is not None:
            jobs.append(Notifier(settings, [box], watch, CLOCK, stop).run)
        with ThreadPoolExecutor(len(jobs)) as pool:
            futures = [pool.submit(job) for job in jobs]
            try:
                yield book
            finally:
                stop.set()
        for prover in provers:
            prover.close()
        for future in futures:
            future.result()


def send(settings: Settings, records: Sequence[Trade]) -> None:
    producer = Producer(settings.kafka, CLOCK)
    keys = [message_key(each.feed, each.symbol) for each in records]
    producer.send(Topics.of(settings.kafka).trades, keys, [encode_record(each) for each in records])
    producer.flush(30)


def until(found: Callable[[], Any]) -> Any:
    deadline_ns = CLOCK.monotonic_ns() + int(DEADLINE_S * S)
    never = threading.Event()
    while not (value := found()):
        assert CLOCK.monotonic_ns() < deadline_ns, "it did not come in time"
        CLOCK.wait(never, 0.05)
    return value


def has_come(store: AlertStore, box: Box, count: int) -> bool:
    return len(store.read(100)) >= count and len({alert.id for alert in box.taken}) >= count


def test_alerts_are_recorded_published_and_notified_once_over_restarts(
    settings: Settings, store_session: StoreSession
) -> None:
    store, box = AlertStore(store_session), Box()
    for part, (first, last) in enumerate([(0, 2), (2, 4), (4, 6)]):
        send(settings, trades("A", PRICES)[first:last])
        wanted = [number for number in CROSSINGS if number < last]
        with running(settings, store_session, box):
            until(partial(has_come, store, box, len(wanted)))
        found = [each.alert for each in store.read(100)]
        assert [alert.ts_ns for alert in found] == [BASE_NS + n * S for n in reversed(wanted)], part
    assert {alert.id for alert in box.taken} == {alert.id for alert in found}
    with Tail(settings.kafka, Topics.of(settings.kafka).alerts, from_start=True) as values:
        published: set[str] = set()
        for value in values:
            alert = decode(value.value)
            assert isinstance(alert, Alert)
            published.add(alert.id)
            if len(published) == len(found):
                break
    assert published == {alert.id for alert in found}


def test_a_rule_made_while_it_runs_fires_and_its_alert_is_acknowledged(
    settings: Settings, store_session: StoreSession
) -> None:
    with running(settings, store_session) as book:
        made = book.add({**RULE, "name": "fifty", "params": {"price": 50.0}, "symbols": ["B"], "notify": []})
        until(lambda: CLOCK.now_ns() > made.active_from_ns or None)
        send(settings, trades("B", [49.0, 51.0]))
        (found,) = until(lambda: [each for each in book.alerts() if each.alert.rule == "fifty"])
        assert found.acknowledged_ns is None
        book.acknowledge(found.alert.id)
        (seen,) = [each for each in book.alerts() if each.alert.id == found.alert.id]
        assert seen.acknowledged_ns is not None
        AlertStore(store_session).write([found.alert])  # as after a crash
        assert seen in book.alerts()
        book.mute("ten", 99)
        assert {rule.name: rule.muted_until_ns for rule in book.rules()} == {"ten": 99, "fifty": None}
        book.replace("fifty", {**RULE, "notify": [], "params": {"price": 60.0}})
        book.delete("fifty")
        assert [rule.name for rule in book.rules()] == ["ten"]
        assert seen in book.alerts(10, before=f"{seen.alert.ts_ns + 1:016x}-{0:020x}")
        assert seen not in book.alerts(10, before=seen.alert.id)


def test_a_rule_is_tested_against_history(
    settings: Settings, store_session: StoreSession, tmp_path: Path
) -> None:
    writer = Writer(store_session, 4)
    columns = Columns.from_records(Trade, trades("H", PRICES))
    writer.write(TRADES, columns, columns["ts_ns"] // 1_000)
    toml, svg = tmp_path / "ticktrail.toml", tmp_path / "plot.svg"
    toml.write_text(
        '[[alerts.rules]]\nname = "ten"\nkind = "price_crosses"\nparams = {price = 10}\ncooldown_s = 0\n'
    )
    flags = [*flags_of(settings), "--config", str(toml)]
    span = ["--from", "2026-01-05T14:30:02Z", "--to", "2026-01-05T14:31:00Z"]
    result = CliRunner().invoke(cli, ["alerts", "test", "ten", *flags, *span, "--json", "--plot", str(svg)])
    assert result.exit_code == 0, result.output
    fired = [alert for alert in json.loads(result.output)["fired"] if alert["symbol"] == "H"]
    assert [alert["ts_ns"] for alert in fired] == [BASE_NS + n * S for n in (2, 3, 4)]
    assert svg.read_text().startswith("<svg")
    listed = CliRunner().invoke(cli, ["alerts", "list", *flags, "--json"])
    assert listed.exit_code == 0, listed.output
    assert {alert["rule"] for alert in json.loads(listed.output)} >= {"ten"}
    rules = CliRunner().invoke(cli, ["alerts", "rules", *flags, "--json"])
    assert [rule["name"] for rule in json.loads(rules.output)] == ["ten"]
