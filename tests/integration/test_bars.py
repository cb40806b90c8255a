"""Trades and corrections through Kafka, the real persist and the real bars, to bars in Cassandra.

What is stored, read by the stock driver, is compared with bars built the plain way from everything sent.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bars_oracle import NEW_YORK, Key, Sums, amended, bars_from, difference, keyed
from cassandra.cluster import Cluster, Session
from confluent_kafka import OFFSET_END, TopicPartition
from confluent_kafka.admin import AdminClient
from fixtures_servers import Servers, flags_of, new_settings, prepared
from persist_kit import DEADLINE_S, until
from plain_kafka import read_plainly

from ticktrail.bars.window import is_emptied
from ticktrail.bus import GroupPositions, Partition, Producer, Topics, message_key, uncommitted
from ticktrail.clock import SystemClock
from ticktrail.codec import decode, encode_record
from ticktrail.config import Settings
from ticktrail.model import Bar, Columns, Correction, Flag, Heartbeat, Trade
from ticktrail.reference.days import trading_days
from ticktrail.store import BARS, Writer, connect, migrate

pytestmark = pytest.mark.servers

S = 10**9
DAY = 20_529  # 2026-03-17
OPEN_NS = (DAY * 86_400 + 14 * 3_600) * S  # 10:00 in New York
ALL = int(Flag.UPDATES_LAST | Flag.UPDATES_HIGH_LOW | Flag.UPDATES_VOLUME)
INTERVALS = ("1s", "1m", "5m", "1h", "1d")
SYMBOLS = [f"S{number}" for number in range(8)]
TICKTRAIL = [sys.executable, "-m", "ticktrail"]


@pytest.fixture
def settings(servers: Servers, tmp_path: Path) -> Settings:
    """Give an installation for one test."""
    return prepared(new_settings(servers, tmp_path))


@pytest.fixture
def plain(settings: Settings) -> Iterator[Session]:
    """Give a session of the stock driver, in the keyspace of the test; the keyspace ends with it."""
    cluster = Cluster([settings.store.hosts], port=settings.store.port, protocol_version=5)
    yield cluster.connect(settings.store.keyspace)
    cluster.connect().execute(f"DROP KEYSPACE {settings.store.keyspace}")
    cluster.shutdown()


def trade(symbol: str, at_s: float, number: int, recv_s: float | None = None, **others: Any) -> Trade:
    ts_ns = OPEN_NS + int(at_s * S)
    values: dict[str, Any] = {"price": 10.0 + number % 7, "size": 100.0, "flags": ALL, **others}
    return Trade(
        feed="test",
        symbol=symbol,
        day=int(trading_days(np.array([ts_ns]), NEW_YORK)[0]),
        ts_ns=ts_ns,
        event_id=number,
        ts_event_ns=ts_ns,
        ts_recv_ns=ts_ns if recv_s is None else OPEN_NS + int(recv_s * S),
        venue="XNAS",
        trade_id=str(number),
        **values,
    )


def word_on(
    trade: Trade, at_s: float, number: int, action: str = "cancel", price: float = np.nan
) -> Correction:
    ts_ns = OPEN_NS + int(at_s * S)
    is_cancel = action == "cancel"
    return Correction(
        feed="test",
        symbol=trade.symbol,
        day=trade.day,
        ts_ns=ts_ns,
        event_id=10_000 + number,
        ts_event_ns=ts_ns,
        ts_recv_ns=ts_ns,
        original_event_id=trade.event_id,
        original_price=trade.price,
        original_size=trade.size,
        price=price,
        size=np.nan if is_cancel else 300.0,
        flags=0 if is_cancel else ALL,
        action=action,
        venue=trade.venue,
        trade_id=trade.trade_id,
        corrected_trade_id="" if is_cancel else f"C{number}",
    )


class Market:
    """Sends records and remembers them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._topic = Topics.of(settings.kafka).trades
        self._producer = Producer(settings.kafka, SystemClock())
        self.sent: list[Trade | Correction] = []
        self.count = 0

    def send(self, *records: Trade | Correction) -> None:
        keys = [message_key("test", record.symbol) for record in records]
        self._producer.send(self._topic, keys, [encode_record(record) for record in records])
        self._producer.flush(DEADLINE_S)
        self.sent += records
        self.count += len(records)

    def pass_time(self, until_s: float) -> None:
        """Tell every partition the time."""
        value = encode_record(Heartbeat(feed="test", ts_recv_ns=OPEN_NS + int(until_s * S)))
        for number in range(self._settings.kafka.partitions):
            self._producer.send_to_partition(self._topic, number, value)
            self.count += 1
        self._producer.flush(DEADLINE_S)

    def expected(self) -> dict[Key, Sums]:
        trades = amended(
            (r for r in self.sent if isinstance(r, Trade)),
            (r for r in self.sent if isinstance(r, Correction)),
        )
        return {key: sums for interval in INTERVALS for key, sums in bars_from(trades, interval).items()}


def stored_bars(plain: Session) -> Columns[Bar]:
    bars = [
        Bar(
            feed=row.feed,
            symbol=row.symbol,
            interval=row.interval,
            ts_open_ns=row.ts,
            **{name: getattr(row.bar, name) for name in BARS.fields},
        )
        for row in plain.execute("SELECT feed, symbol, interval, ts, bar FROM bars")
    ]
    return Columns.from_records(Bar, bars)


def differs(market: Market, plain: Session) -> str:
    bars = stored_bars(plain)
    emptied = is_emptied(bars)
    return difference(dict(keyed(bars.take(~emptied))), market.expected())


def a_morning(market: Market) -> list[Trade]:
    """Send ten minutes of trades on time, and let everything but their hour close."""
    trades = [trade(SYMBOLS[n % 8], 7.0 * n, n) for n in range(1, 86)]
    market.send(*trades)
    market.pass_time(900)
    return trades


@contextmanager
def command(settings: Settings, log: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a stage as a user would."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            [*TICKTRAIL, *arguments, *flags_of(settings)], stdout=output, stderr=output, env={**os.environ}
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def stop(process: subprocess.Popen[bytes], log: Path) -> None:
    process.send_signal(signal.SIGTERM)
    assert process.wait(DEADLINE_S) == 0, log.read_text()


def rebuild(settings: Settings, *arguments: str) -> tuple[int, dict[str, Any]]:
    words = [*TICKTRAIL, "bars", "--rebuild", "test", "2026-03-17", "--json", *arguments, *flags_of(settings)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert done.stdout, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return done.returncode, found


def gauge(settings: Settings, name: str, stages: Sequence[str] = ("bars",)) -> float:
    total = 0.0
    for stage in stages:
        path = Path(settings.stack.data_dir) / "run" / f"{stage}.json"
        if path.exists():
            gauges = json.loads(path.read_bytes())["gauges"]
            total += sum(each["value"] for each in gauges if each["name"] == name)
    return total


def test_late_prints_corrections_and_cancels_change_their_bars(
    settings: Settings, plain: Session, tmp_path: Path
) -> None:
    log, market = tmp_path / "log", Market(settings)
    with command(settings, log, "persist") as persist, command(settings, log, "bars") as bars:
        trades = a_morning(market)
        until(lambda: len(stored_bars(plain)) >= 85 + 80, "the morning's bars are stored")
        assert set(stored_bars(plain)["revision"].tolist()) == {0}
        early = trade("S5", 1_000, 900)
        market.send(
            trade("S1", 61.5, 500, recv_s=900, price=99.0),  # in a minute that had none of its own
            trade("S2", 14.0, 501, recv_s=900, price=1.0),
            trades[3],  # again, late, and no news
            word_on(trades[8], 905, 1, "correct", 77.0),
            word_on(trades[0], 906, 2),  # the only trade of S1 in its minute
            word_on(early, 1_001, 3, "correct", 55.0),  # before its trade
            trade("S3", 902, 502, recv_s=902),
            word_on(trades[16], 907, 4, "correct", 66.0),
        )
        market.send(early)
        market.pass_time(1_500)
        market.pass_time(2 * 86_400)  # the hour and the day close
        until(lambda: differs(market, plain) == "", "the bars are those of all that was sent")
        until(lambda: gauge(settings, "ticktrail_bars_dirty_windows") == 0, "nothing is left to be done")
        until(lambda: _has_committed_all(settings, market), "all of it is committed")
        code, found = rebuild(settings)
        assert (code, found["differing"]) == (0, 0), found
        assert found["bars"] == len(stored_bars(plain))
        assert found["symbols"] == 8
        stop(persist, log)
        stop(bars, log)
    revisions = {(b.symbol, b.interval, b.ts_open_ns): b.revision for b in stored_bars(plain).to_records()}
    assert revisions["S1", "1s", OPEN_NS + 61 * S] == 1
    assert revisions["S6", "1m", OPEN_NS] == 0
    assert "Traceback" not in log.read_text()
    _check_topic(settings, plain)


def _check_topic(settings: Settings, plain: Session) -> None:
    """See that the last of the highest revision in the topic is what is stored."""
    values = read_plainly(
        settings.kafka.bootstrap_servers, Topics.of(settings.kafka).for_record(Bar), 10**6, timeout_ms=3_000
    )
    told: dict[Any, Bar] = {}
    for each in values:
        bar = decode(each.value)
        assert isinstance(bar, Bar)
        key = (bar.symbol, bar.interval, bar.ts_open_ns)
        if key not in told or bar.revision >= told[key].revision:
            told[key] = bar
    stored = {(b.symbol, b.interval, b.ts_open_ns): b for b in stored_bars(plain).to_records()}
    assert {key: repr(bar) for key, bar in told.items()} == {key: repr(bar) for key, bar in stored.items()}


def test_kill_9_between_a_late_trade_and_its_rebuild(
    settings: Settings, plain: Session, tmp_path: Path
) -> None:
    log, market = tmp_path / "log", Market(settings)
    with ExitStack() as stack:
        persist = stack.enter_context(command(settings, log, "persist"))
        bars = stack.enter_context(command(settings, log, "bars"))
        trades = a_morning(market)
        until(lambda: differs_not_for_closed(market, plain), "the morning's bars are stored")
        until(lambda: _has_committed_some(settings), "and committed")
        stop(persist, log)
        market.send(*(trade(symbol, 100, 600, recv_s=900, price=50.0) for symbol in SYMBOLS))
        market.send(*(word_on(each, 910, each.event_id) for each in trades[40:48]))
        until(lambda: gauge(settings, "ticktrail_bars_dirty_windows") >= 16, "windows are dirty")
        bars.send_signal(signal.SIGKILL)
        bars.wait(DEADLINE_S)
        names = ("bars", "bars-2")
        two = [stack.enter_context(command(settings, log, "bars", "--name", name)) for name in names]
        until(lambda: gauge(settings, "ticktrail_bars_dirty_windows", names) >= 16, "they are dirty again")
        assert differs(market, plain) != ""
        stack.enter_context(command(settings, log, "persist"))
        market.pass_time(2 * 86_400)
        two[0].send_signal(signal.SIGKILL)  # in the midst of it, perhaps
        until(lambda: differs(market, plain) == "", "the bars are those of all that was sent")
        code, found = rebuild(settings)
        assert (code, found["differing"]) == (0, 0), found
        stop(two[1], log)


def differs_not_for_closed(market: Market, plain: Session) -> bool:
    """Tell whether the bars of up to five minutes are there; longer ones are open."""
    wanted = {key: sums for key, sums in market.expected().items() if key[2] in ("1s", "1m", "5m")}
    return difference(dict(keyed(stored_bars(plain))), wanted) == ""


def _has_committed_some(settings: Settings) -> bool:
    return len(_positions(settings)) == settings.kafka.partitions


def _has_committed_all(settings: Settings, market: Market) -> bool:
    return sum(_positions(settings)) == market.count


def _positions(settings: Settings) -> list[int]:
    positions = GroupPositions(settings.kafka, settings.bars.group)
    topic = Topics.of(settings.kafka).trades
    found = positions.read(Partition(topic, number) for number in range(settings.kafka.partitions))
    positions.close()
    return [position.offset for position in found.values()]


def test_what_kafka_deleted_before_it_was_read_is_told_and_mended(
    settings: Settings, plain: Session, tmp_path: Path
) -> None:
    log, market = tmp_path / "log", Market(settings)
    with command(settings, log, "persist"):
        with command(settings, log, "bars") as bars:
            a_morning(market)
            until(lambda: differs_not_for_closed(market, plain), "the morning's bars are stored")
            until(lambda: _has_committed_some(settings), "and committed")
            stop(bars, log)
        market.send(*(trade(symbol, 905.0, 700 + n) for n, symbol in enumerate(SYMBOLS)))
        market.pass_time(1_000)
        topic = Topics.of(settings.kafka).trades
        until(lambda: not uncommitted(settings.kafka, settings.persist.group, [topic]), "all is stored")
        delete_all(settings.kafka.bootstrap_servers, topic, settings.kafka.partitions)
        with command(settings, log, "bars") as bars:
            until(lambda: log.read_text().count("bars.records_lost") == 2, "the loss is told")
            market.send(*(trade(symbol, 1_100.0, 800 + n) for n, symbol in enumerate(SYMBOLS)))
            market.pass_time(2 * 86_400)
            until(lambda: _has_committed_all(settings, market), "it goes on where the log does")
            stop(bars, log)
    assert differs(market, plain) != ""
    assert rebuild(settings, "--write")[0] == 0
    assert differs(market, plain) == ""


def delete_all(address: str, topic: str, partitions: int) -> None:
    """Let Kafka delete what a topic has, as it does with what is too old."""
    client = AdminClient({"bootstrap.servers": address})
    ends = [TopicPartition(topic, number, OFFSET_END) for number in range(partitions)]
    for deleted in client.delete_records(ends).values():
        deleted.result()


def test_a_day_that_differs_is_told_and_mended(settings: Settings, plain: Session, tmp_path: Path) -> None:
    log, market = tmp_path / "log", Market(settings)
    with command(settings, log, "persist"), command(settings, log, "bars"):
        a_morning(market)
        market.pass_time(2 * 86_400)
        until(lambda: differs(market, plain) == "", "the bars are stored")
        until(lambda: _has_committed_all(settings, market), "and committed")
    bars = stored_bars(plain)
    wrong = bars.take((bars["symbol"] == b"S4") & (bars["interval"] == b"1m")).take(slice(0, 1))
    session = connect(settings.store)
    migrate(session)
    wrong = wrong.replace(close=np.array([1.0]), revision=np.array([4]))
    Writer(session, 4).write(BARS, wrong, wrong["ts_close_ns"] // 1_000 + wrong["revision"])
    session.close()
    assert differs(market, plain) != ""
    assert rebuild(settings, "--symbols", "S1,S2")[0] == 0
    code, found = rebuild(settings)
    assert code == 1
    # The longer bars around it are those of right minutes.
    (told,) = found["differences"]
    assert (told["symbol"], told["interval"], told["stored"]["close"]) == ("S4", "1m", 1.0)
    assert told["rebuilt"]["revision"] == 5
    code, found = rebuild(settings, "--write")
    assert (code, found["written"]) == (0, 1)
    assert differs(market, plain) == ""
    assert rebuild(settings)[1]["differing"] == 0
