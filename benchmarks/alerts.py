"""1,000 rules over 500 symbols at 20,000 trades/s: what they cost, and how soon an alert is there.

Simulated exchange → websocket → capture → Kafka → ``ticktrail alerts`` → Kafka and Cassandra, with real
processes on one machine, after a warm-up; persist does not run. Rules are of the kinds that look at trades,
and of two mixes: ``one_symbol``, where each is for one symbol, two for each; and ``some_for_all``, where 40
of them are for all symbols at once, so that there are 20,960 pairs of a rule and a symbol to watch.

``send_to_alert``
    From when the exchange handed a trade to its sockets, by its own log, until a consumer that asks for each
    at once has the alert that this trade set off, in a group of its own: every alert of the measured time.
``recorded_to_alert``
    The part of it behind Kafka: from the log's time of the trade, in whole milliseconds.
``cores``
    Processor time per second of each process; ``all`` is what the whole machine was busy with, of its cores.
    Where that comes near their number, latencies tell of the machine rather than of the rules.
``lag_max``, ``lag_growth_per_s``
    Trades that stood in Kafka and were not evaluated yet, read every second, and by how much they grew.
``missing``, ``not_stored``
    Alerts that were found and not seen, or not in Cassandra, five seconds after the end.
``catch_up``
    The same process with the machine to itself: it is stopped (SIGSTOP) while the exchange fills Kafka, then
    works off what waits. It tells what a record costs when there is no waiting for others.

A mix meets its targets if all alerts that were found have been seen and the lag did not grow.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import psutil

from benchmarks.harness import machine, servers
from benchmarks.latency import Seen, Sent
from benchmarks.percentiles import Summary, summary
from benchmarks.stages import installation, market, server_processes, stage, wait_for, words
from benchmarks.usage import Usage, cpu_s
from ticktrail.bus import Consumer, Topics
from ticktrail.clock import SystemClock
from ticktrail.codec import decode_columns
from ticktrail.config import Settings
from ticktrail.feeds.sim import SimSettings, Universe
from ticktrail.model import Alert

__all__ = ["Alerts", "main", "rules_of", "targets", "toml_of"]

RATE = 20_000
SECONDS = 60
WARM_UP_S = 30
CATCH_UP_S = 30
SYMBOLS = 500
RULES = 1_000
FOR_ALL = {"one_symbol": 0, "some_for_all": 40}
CORES_MAX = 1.0
P99_MS_MAX = 250
_GROWTH_MAX = 0.01
_LOOK_S = 1.0
_SETTLE_S = 5.0
_TIMEOUT_S = 120.0
_POLL_RECORDS_MAX = 10_000
_POLL_S = 0.001
_READ = "ticktrail_alerts_read_records_total"

Rules = list[dict[str, Any]]


class Alerts(NamedTuple):
    """Alerts as a consumer saw them; each once, when it first came. Shapes ``(n,)``, nanoseconds.

    Parameters
    ----------
    ts_ns, recorded_ns
        The trade's own time, and the log's.
    at_ns
        When the alert was there.
    """

    ts_ns: np.ndarray[Any, np.dtype[np.int64]]
    recorded_ns: np.ndarray[Any, np.dtype[np.int64]]
    at_ns: np.ndarray[Any, np.dtype[np.int64]]


class _Watched(NamedTuple):
    """The measured time."""

    begin_ns: int
    end_ns: int
    cores: dict[str, float]
    read_per_s: float
    lags: list[float]


def main(rate: int = RATE, seconds: int = SECONDS) -> str:
    """Run; give the JSON object.

    Parameters
    ----------
    rate
        Trades per second.
    seconds
        For each mix, after the warm-up.
    """
    with servers() as settings:
        results = {
            name: _measure(installation(settings, name.replace("_", "")), rules_of(for_all), rate, seconds)
            for name, for_all in FOR_ALL.items()
        }
    result = {
        "name": "alerts",
        "machine": machine(),
        "parameters": {
            "trades_per_s": rate,
            "seconds": seconds,
            "warm_up_s": WARM_UP_S,
            "symbols": SYMBOLS,
            "rules": RULES,
            "of_them_for_all_symbols": FOR_ALL,
        },
        "results": results,
        "targets": {name: targets(found, rate) for name, found in results.items()},
    }
    return json.dumps(result, indent=2)


def rules_of(for_all: int) -> Rules:
    """Make 1,000 rules, some of them for all symbols, the others each for one."""
    universe = Universe.of(SimSettings().seed, SYMBOLS)
    rules = [
        _rule(number, "*", float(np.quantile(universe.price, (number + 1) / (for_all + 1))))
        for number in range(for_all)
    ]
    for number in range(for_all, RULES):
        symbol = number % SYMBOLS
        # The second round over the symbols gives each another kind than the first.
        rules.append(_rule(number, universe.symbols[symbol], float(universe.price[symbol])))
    return rules


def targets(found: Mapping[str, Any], rate: int) -> dict[str, dict[str, Any]]:
    """Hold a mix's results against what they should be."""
    is_sound = found["missing"] == 0 and found["lag_growth_per_s"] < _GROWTH_MAX * rate
    measured = {
        "alerts_cores": (CORES_MAX, found["cores"]["alerts"]),
        "send_to_alert_p99_ms": (P99_MS_MAX, found["send_to_alert"]["p99_ms"]),
    }
    return {
        name: {
            "below": below,
            "measured": value,
            "is_met": bool(is_sound and value is not None and value < below),
        }
        for name, (below, value) in measured.items()
    }


def _rule(number: int, symbol: str, price: float) -> dict[str, Any]:
    # Rules for everything must be harder to meet, or there would be a thousand alerts a second.
    hard, cooldown_s = (3, 60.0) if symbol == "*" else (1, 5.0)
    kinds: list[tuple[str, dict[str, Any]]] = [
        ("price_crosses", {"price": round(price * (1 + (number % 7 - 3) / 10_000), 2)}),
        ("percent_move", {"percent": 0.1 * hard, "window_s": 60}),
        ("vwap_cross", {}),
        ("new_high", {"by_percent": 0.01 * hard}),
        ("sigma_move", {"sigmas": 3 * hard, "window_s": 2}),
        ("percent_move", {"percent": 0.2 * hard, "window_s": 300}),
        ("new_low", {"by_percent": 0.01 * hard}),
        ("lag", {"at_least_ms": 2_000}),
        ("vwap_cross", {"direction": "up"}),
    ]
    kind, params = kinds[number % len(kinds)]
    names = {"name": f"rule {number}", "kind": kind, "symbols": [symbol]}
    return {**names, "params": params, "cooldown_s": cooldown_s}


def toml_of(rules: Rules) -> str:
    """Write rules as ``ticktrail.toml`` has them."""

    def text(value: Any) -> str:
        if isinstance(value, dict):
            return "{" + ", ".join(f"{name} = {text(each)}" for name, each in value.items()) + "}"
        return json.dumps(value)

    return "".join(
        "[[alerts.rules]]\n" + "".join(f"{name} = {text(value)}\n" for name, value in rule.items())
        for rule in rules
    )


def _measure(settings: Settings, rules: Rules, rate: int, seconds: int) -> dict[str, Any]:
    directory = Path(settings.stack.data_dir)
    (toml := directory / "rules.toml").write_text(toml_of(rules), encoding="utf-8")
    group = f"alerts.group={settings.kafka.topic_prefix}-alerts"
    stop = threading.Event()
    # Late prints are dated long before they are sent: they would count as seconds on the way.
    exact = ("--set", "feeds.sim.late_per_million=0")
    with (
        ThreadPoolExecutor(1) as pool,
        stage(settings, "alerts", "--config", str(toml), "--set", group) as process,
    ):
        wait_for(settings, "alerts")
        reader = pool.submit(_consume, settings, stop)
        try:
            with market(settings, rate, SYMBOLS, "--log-dir", str(directory / "sent"), *exact) as stages:
                time.sleep(WARM_UP_S)
                watched = _watch(settings, {"alerts": process, **stages}, seconds)
            time.sleep(_SETTLE_S)
            word = words(settings)["alerts"]
            fired = word.total("ticktrail_alerts_fired_alerts_total")
        finally:
            stop.set()
        alerts = reader.result()
        found = _figures(watched, alerts, Sent.read(directory / "sent", ""))
        found["missing"] = fired - len(alerts.ts_ns)
        found["not_stored"] = fired - word.total("ticktrail_alerts_recorded_alerts_total")
        found["catch_up"] = _catch_up(settings, process, rate, exact)
    return found


def _figures(watched: _Watched, alerts: Alerts, sent: Sent) -> dict[str, Any]:
    sent_ns, latencies_ns = sent.between(watched.begin_ns, watched.end_ns).latencies(
        Seen(alerts.ts_ns, alerts.at_ns)
    )
    inside = (alerts.recorded_ns >= watched.begin_ns) & (alerts.recorded_ns < watched.end_ns)
    behind: Summary = summary(alerts.at_ns[inside] - alerts.recorded_ns[inside])
    seconds = (watched.end_ns - watched.begin_ns) / 1e9
    return {
        "send_to_alert": summary(latencies_ns),
        "recorded_to_alert": behind,
        "alerts_per_s": round(len(sent_ns) / seconds, 1),
        "evaluated_per_s": round(watched.read_per_s),
        "cores": watched.cores,
        "cpu_us_per_record": round(watched.cores["alerts"] * 1e6 / max(watched.read_per_s, 1), 2),
        "lag_max": int(max(watched.lags)),
        "lag_growth_per_s": round(float(np.polyfit(np.arange(len(watched.lags)), watched.lags, 1)[0]), 1),
    }


def _watch(settings: Settings, stages: Mapping[str, subprocess.Popen[bytes]], seconds: int) -> _Watched:
    clock = SystemClock()
    processes = {name: psutil.Process(each.pid) for name, each in stages.items()} | server_processes(settings)
    usage, read = Usage(processes), _read(settings)
    begin_ns = clock.now_ns()
    lags = []
    while clock.now_ns() < begin_ns + seconds * 1e9:
        time.sleep(_LOOK_S)
        lags.append(words(settings)["alerts"].gauge("ticktrail_alerts_lag_records"))
    end_ns = clock.now_ns()
    took_s = (end_ns - begin_ns) / 1e9
    return _Watched(begin_ns, end_ns, usage.cores(), (_read(settings) - read) / took_s, lags)


def _catch_up(
    settings: Settings, process: subprocess.Popen[bytes], rate: int, exchange: tuple[str, ...]
) -> dict[str, Any]:
    """Let the process stand still while Kafka is filled, and then go on, alone."""
    process.send_signal(signal.SIGSTOP)
    try:
        with market(settings, rate, SYMBOLS, *exchange):
            time.sleep(CATCH_UP_S)
        waiting = words(settings)["capture"].total("ticktrail_capture_sent_records_total", kind="trade")
        before, watched = _read(settings), psutil.Process(process.pid)
        before_s = cpu_s(watched)
        begun = time.monotonic()
    finally:
        process.send_signal(signal.SIGCONT)
    _until(lambda: _read(settings) >= before + waiting, "the stage does not catch up")
    took_s, used_s = time.monotonic() - begun, cpu_s(watched) - before_s
    return {
        "records": waiting,
        "records_per_s": round(waiting / took_s),
        "cpu_us_per_record": round(used_s * 1e6 / waiting, 2),
    }


def _consume(settings: Settings, stop: threading.Event) -> Alerts:
    """Read all alerts from Kafka, each at once, and note when it was there."""
    clock = SystemClock()
    topic = Topics.of(settings.kafka).alerts
    consumer = Consumer(settings.kafka, "alerts-reader", [topic], lambda _: None, lambda _: None, batch_ms=0)
    seen: dict[bytes, tuple[int, int, int]] = {}
    try:
        while not stop.is_set():
            for batch in consumer.poll(_POLL_RECORDS_MAX, _POLL_S):
                now_ns = clock.now_ns()
                columns = decode_columns(batch.values).kinds[Alert].columns
                times = zip(*(columns[name].tolist() for name in ("id", "ts_ns", "recorded_ns")), strict=True)
                for id_, ts_ns, recorded_ns in times:
                    seen.setdefault(id_, (ts_ns, recorded_ns, now_ns))
    finally:
        consumer.close()
    return Alerts(*np.array(list(seen.values()), dtype=np.int64).reshape(-1, 3).T)


def _read(settings: Settings) -> int:
    return words(settings)["alerts"].total(_READ, source="trades")


def _until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


if __name__ == "__main__":
    sys.stdout.write(main() + "\n")
