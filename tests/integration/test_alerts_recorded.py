"""Alerts over recorded days: those that plain Python finds in the files, whatever is killed meanwhile."""

from __future__ import annotations

import json
import math
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile
from cassandra.policies import RoundRobinPolicy
from fixtures_servers import Servers, flags_of, new_settings
from plain_kafka import read_plainly
from tape_oracle import WIDTHS_S, Fired, Print, Quote, bars_of, expected, prints_of, quotes_of

from ticktrail import model
from ticktrail.bus import Topics, uncommitted
from ticktrail.config import Settings

pytestmark = [pytest.mark.servers, pytest.mark.recordings, pytest.mark.timeout(900)]

SYMBOLS, QUOTED = ("ibm",), ("ibm",)
ALL_SYMBOLS, ALL_QUOTED = ("ibm", "bac", "aig", "spy"), ("ibm", "bac", "aig")
# In UTC; the second evening in New York is the third day.
DAYS = ("2013-10-07", "2013-10-08", "2013-10-09")
DEADLINE_S = 300.0
LOOK_S = 0.02
# After so much of what is to come it is killed.
KILLED_AT = (0.2, 0.6)
DEFAULTS = {"feed": "*", "symbols": ["*"], "interval": "1m", "cooldown_s": 0.0, "hysteresis": 0.0}


class Tape(NamedTuple):
    """The files of trades, a folder, and what plain Python reads in them and in those of quotes."""

    path: Path
    prints: Mapping[tuple[str, str], Sequence[Print]]
    quotes: Mapping[tuple[str, str], Sequence[Quote]]


class Done(NamedTuple):
    """An installation in which everything was evaluated, and how much was stored at each kill."""

    settings: Settings
    expected: dict[str, Fired]
    at_kills: list[int]


@pytest.fixture(scope="module")
def tape(request: pytest.FixtureRequest, recordings_dir: Path) -> Tape:
    is_all = request.config.getoption("--all-recordings")
    tick = recordings_dir / "lean_equity" / "tick"
    symbols, quoted = (ALL_SYMBOLS, ALL_QUOTED) if is_all else (SYMBOLS, QUOTED)
    files = {symbol: sorted((tick / symbol).glob("*_trade.zip")) for symbol in symbols}
    prints = {("lean", symbol.upper()): prints_of(files[symbol]) for symbol in symbols}
    # Lines of quotes have one side each, and no spread. So both sides are put together, as a feed of its own.
    days = "*_quote.zip" if is_all else "20131007_quote.zip"
    quotes = {("both", symbol.upper()): quotes_of(sorted((tick / symbol).glob(days))) for symbol in quoted}
    return Tape(tick if is_all else tick / symbols[0], prints, quotes)


@pytest.fixture(scope="module")
def done(tape: Tape, servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Done:
    """Import the tape, evaluate it, and kill the evaluation twice."""
    folder = tmp_path_factory.mktemp("tape")
    settings = new_settings(servers, folder)
    rules = rules_for(tape)
    toml = folder / "rules.toml"
    toml.write_text("".join(map(_toml, rules)), encoding="utf-8")
    # All at once: bars of a day that has ended already would be built piece by piece.
    _import(settings, str(tape.path), "--kinds", "trades")
    for (feed, symbol), quotes in tape.quotes.items():
        (csv := folder / f"{symbol}.csv").write_text(_csv(symbol, quotes), encoding="utf-8")
        _import(settings, str(csv), "--kinds", "quotes", "--feed-name", feed)
    bars = {
        name: {interval: bars_of(prints, interval) for interval in WIDTHS_S}
        for name, prints in tape.prints.items()
    }
    wanted = expected(rules, tape.prints, tape.quotes, bars)
    with closing(Stored(settings)) as stored:
        at_kills = []
        for share in KILLED_AT:
            log = folder / f"{share}.log"
            with _alerts(settings, toml, log) as process:
                _until(partial(_reads, log), process)
                _until(partial(_has_come, stored, settings, int(share * len(wanted))), process, in_steps=True)
                process.kill()
            at_kills.append(stored.count())
        with _alerts(settings, toml, folder / "last.log") as process:
            _until(lambda: not _waiting(settings), process)
            process.terminate()
            assert process.wait(DEADLINE_S) == 0
    return Done(settings, wanted, at_kills)


def rules_for(tape: Tape) -> list[dict[str, Any]]:
    """Write rules of all kinds that look at trades, quotes and bars, with all their parameters."""
    rules: list[dict[str, Any]] = []

    def add(name: str, kind: str, params: dict[str, Any], **others: Any) -> None:
        rules.append({**DEFAULTS, "name": name, "kind": kind, "params": params, **others})

    for (feed, symbol), prints in tape.prints.items():
        middle = statistics.median(each.price for each in prints if each.is_priced)
        own: dict[str, Any] = {"feed": feed, "symbols": [symbol]}
        add(f"{symbol} middle", "price_crosses", {"price": middle, "direction": "either"}, **own)
        far = {"price": round(middle * 1.002, 2), "direction": "up"}
        add(f"{symbol} far", "price_crosses", far, hysteresis=0.05, cooldown_s=60.0, **own)
    for way, minutes in (("up", 5), ("down", 5), ("either", 30)):
        window: dict[str, Any] = {"window_s": minutes * 60, "direction": way}
        add(f"move {way}", "percent_move", {"percent": 0.15, **window})
        calm = {"hysteresis": 0.1, "cooldown_s": 300.0}
        add(f"calm move {way}", "percent_move", {"percent": 0.3, **window}, **calm)
    for window_s in (7, 60):
        add(f"sigma {window_s}", "sigma_move", {"sigmas": 3.0, "window_s": window_s, "direction": "either"})
    add("sigma down", "sigma_move", {"sigmas": 2.0, "window_s": 7, "direction": "down"}, hysteresis=1.0)
    add("vwap", "vwap_cross", {"direction": "either"})
    add("calm vwap", "vwap_cross", {"direction": "up"}, hysteresis=0.05, cooldown_s=600.0)
    add("high", "new_high", {"by_percent": 0.0})
    add("low", "new_low", {"by_percent": 0.0}, cooldown_s=5.0)
    add("far low", "new_low", {"by_percent": 0.01})
    add("lag", "lag", {"at_least_ms": 1.0})
    add("bps", "spread", {"at_least": 5.0, "unit": "bps"})
    add("cents", "spread", {"at_least": 0.1, "unit": "price"}, hysteresis=0.03)
    days = {"days": 1, "days_min": 1, "volume_min": 500.0}
    add("spike", "volume_spike", {"times": 3.0, **days}, feed="lean")
    _add_bar_rules(add)
    return rules


def _add_bar_rules(add: Callable[..., None]) -> None:
    def params(field: str, op: str, value: float | None = None, **others: Any) -> dict[str, Any]:
        than = {"than_field": None, "than_aggregate": "mean", "than_window": 20, "times": 1.0}
        return {"field": field, "op": op, "aggregate": "last", "window": 1, "value": value, **than, **others}

    add("busy", "bar_condition", params("volume", ">", than_field="volume", times=3.0))
    second = {"interval": "1s", "cooldown_s": 30.0}
    add("busy second", "bar_condition", params("trades", ">=", 20.0), **second)
    add("falls", "bar_condition", params("change_pct", "<=", -0.05), cooldown_s=120.0)
    add("wide", "bar_condition", params("range", ">=", than_field="range", times=2.0), interval="5m")
    closes = params("close", ">", than_field="vwap", aggregate="mean", window=3, than_window=10)
    add("above", "bar_condition", closes)
    lows = params(
        "low", "<", than_field="low", aggregate="min", window=5, than_aggregate="min", than_window=30
    )
    add("breaks", "bar_condition", lows)


def test_exactly_what_plain_python_finds_is_stored(done: Done) -> None:
    with closing(Stored(done.settings)) as stored:
        found = stored.read()
    assert found.keys() - done.expected.keys() == set(), "too many"
    assert done.expected.keys() - found.keys() == set(), "lost"
    for id_, alert in found.items():
        wanted = done.expected[id_]
        assert alert[:5] == wanted[:5]
        assert math.isclose(alert.value, wanted.value, rel_tol=1e-9, abs_tol=1e-12), (alert, wanted)


def test_it_was_killed_in_the_middle(done: Done) -> None:
    first, second = done.at_kills
    assert 0 < first < second < len(done.expected)


def test_each_kind_fired_but_for_a_lag_that_files_do_not_tell(done: Done, tape: Tape) -> None:
    fired = {alert.rule for alert in done.expected.values()}
    rules = {rule["name"] for rule in rules_for(tape)}
    assert rules - fired <= {"lag"} | {name for name in rules if name.startswith("calm")}


def test_the_topic_has_the_same_alerts(done: Done) -> None:
    topic = Topics.of(done.settings.kafka).alerts
    messages = read_plainly(done.settings.kafka.bootstrap_servers, topic, 1 << 30, timeout_ms=3_000)
    assert {message.key.decode() for message in messages if message.key} == done.expected.keys()


class Stored:
    """The stored alerts by a driver of its own."""

    def __init__(self, settings: Settings) -> None:
        profiles = {EXEC_PROFILE_DEFAULT: ExecutionProfile(load_balancing_policy=RoundRobinPolicy())}
        store = settings.store
        self._cluster = Cluster(
            [store.hosts], port=store.port, protocol_version=5, execution_profiles=profiles
        )
        self._session = self._cluster.connect(store.keyspace)

    def count(self) -> int:
        counts = (self._session.execute(f"SELECT count(*) FROM alerts WHERE day='{day}'") for day in DAYS)
        return sum(rows.one()[0] for rows in counts)

    def read(self) -> dict[str, Fired]:
        rows = list(self._session.execute("SELECT ts_ns, id, alert FROM alerts"))
        found = {
            row.id: Fired(row.id, each.rule, each.feed, each.symbol, row.ts_ns, each.value)
            for row in rows
            for each in (row.alert,)
        }
        assert len(found) == len(rows)
        return found

    def close(self) -> None:
        self._cluster.shutdown()


def _import(settings: Settings, *arguments: str) -> None:
    command = [sys.executable, "-m", "ticktrail", "import", *arguments, "--json", *flags_of(settings)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert result.returncode == 0, result.stderr[-2_000:]


@contextmanager
def _alerts(settings: Settings, toml: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run the stage, with small polls, whose states are stored often."""
    sets = (f"group={_group(settings)}", "snapshot_ms=100", "poll_records_max=500", "batch_ms=0")
    command = [sys.executable, "-m", "ticktrail", "alerts", "--config", str(toml), *flags_of(settings)]
    command += [word for each in sets for word in ("--set", f"alerts.{each}")]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _group(settings: Settings) -> str:
    return f"{settings.kafka.topic_prefix}-alerts"


def _sources(settings: Settings) -> list[tuple[str, list[str]]]:
    topics, group = Topics.of(settings.kafka), _group(settings)
    return [
        (group, [topics.trades, topics.for_record(model.Quote)]),
        (f"{group}-bars", [topics.for_record(model.Bar)]),
    ]


def _waiting(settings: Settings) -> int:
    return sum(uncommitted(settings.kafka, group, topics) for group, topics in _sources(settings))


def _reads(log: Path) -> bool:
    return b"alerts.assigned" in log.read_bytes()


def _has_come(stored: Stored, settings: Settings, least: int) -> bool:
    """Tell whether so many are stored, and a place is committed, so that the next one goes on from there."""
    if stored.count() < least:
        return False
    topics = Topics.of(settings.kafka)
    everything = uncommitted(settings.kafka, f"{_group(settings)}-nobody", [topics.trades])
    return uncommitted(settings.kafka, _group(settings), [topics.trades]) < everything


def _until(is_so: Callable[[], bool], process: subprocess.Popen[bytes], *, in_steps: bool = False) -> None:
    """Wait; in steps, the stage rests while it is looked at, lest it be done between two looks."""
    deadline = time.monotonic() + DEADLINE_S
    while True:
        if in_steps:
            process.send_signal(signal.SIGSTOP)
        if is_so():
            return
        if in_steps:
            process.send_signal(signal.SIGCONT)
        assert process.poll() is None, "the stage ended"
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(LOOK_S)  # the pause of a wait with a deadline


def _csv(symbol: str, quotes: Sequence[Quote]) -> str:
    lines = ["symbol,ts_event_ns,event_id,bid_price,bid_size,ask_price,ask_size"]
    lines += [f"{symbol},{q.ts_ns},{q.number},{q.bid},1,{q.ask},1" for q in quotes]
    return "\n".join(lines) + "\n"


def _toml(rule: Mapping[str, Any]) -> str:
    params = ", ".join(
        f"{key} = {json.dumps(value)}" for key, value in rule["params"].items() if value is not None
    )
    lines = [f"{key} = {json.dumps(value)}" for key, value in rule.items() if key != "params"]
    return "\n".join(["[[alerts.rules]]", *lines, f"params = {{{params}}}", "", ""])
