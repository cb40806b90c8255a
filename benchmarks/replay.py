"""Recorded days from files → capture → Kafka → persist → Cassandra, at full speed, with real processes.

The files are ticks of US stocks in the form of LEAN (zips of CSV), replayed with trades alone and with trades
and quotes, each time into empty topics and tables. The time runs from when capture has opened the files, just
before it reads the first row, until persist has Cassandra's acknowledgement for the last one; persist tells
it twice a second, so it is up to half a second too long. The servers are warm.

Then the rows are counted in Cassandra by a plain driver, per table, symbol and day, and the lines in the
files without ticktrail's reader. Every line is a distinct record: its number in its file is part of its
identity, as two trades may be alike to the last digit. Both counts must be the same, or there is no result.

The recordings are not shipped. They are looked for where ``--data`` says, else in ``lean_equity/tick`` of the
folder that ``TICKTRAIL_TEST_DATA`` names, else of ``../shared/data`` beside the checkout.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
import zipfile
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile
from cassandra.policies import RoundRobinPolicy

from benchmarks.harness import machine, servers
from benchmarks.stages import installation, stage, wait_for, words
from ticktrail.clock import NS_PER_SECOND
from ticktrail.config import Settings, StoreSettings
from ticktrail.errors import FileFormatError

__all__ = ["Recording", "connected_ns", "find_recordings", "main"]

ROUNDS = 3
KINDS = {"trades": ("trades",), "trades_and_quotes": ("trades", "quotes")}
_CHECKOUT = Path(__file__).resolve().parent.parent
_TIMEOUT_S = 900
_LOOK_S = 0.1
_COUNT_TIMEOUT_S = 300

# Table, symbol and day of the venue → how many.
Counts = Counter[tuple[str, str, str]]


class Recording(NamedTuple):
    """One zip of a symbol's day."""

    path: Path
    table: str
    symbol: str
    day: str
    lines: int
    text_bytes: int

    @staticmethod
    def read(path: Path) -> Recording:
        """Count the lines of ``<symbol>/<yyyymmdd>_<trade|quote>.zip``."""
        day, kind = path.stem.split("_")
        with zipfile.ZipFile(path) as archive:
            text = archive.read(archive.namelist()[0])
        lines = sum(1 for line in text.splitlines() if line)
        iso = f"{day[:4]}-{day[4:6]}-{day[6:]}"
        return Recording(path, f"{kind}s", path.parent.name.upper(), iso, lines, len(text))


def main(data: Path | None = None, rounds: int = ROUNDS) -> str:
    """Run; give the JSON object.

    Parameters
    ----------
    data
        Folder of the files; None looks where the tests look.
    rounds
        How often each selection is replayed.

    Raises
    ------
    FileFormatError
        There are no recordings.
    """
    directory = _tick_folder() if data is None else data
    recordings = find_recordings(directory)
    selections = {
        name: chosen
        for name, kinds in KINDS.items()
        if (chosen := [each for each in recordings if each.table in kinds])
    }
    results: dict[str, list[dict[str, float]]] = {name: [] for name in selections}
    with servers() as settings:
        warm = next(iter(selections))
        _replay(installation(settings, "warm"), directory, warm, selections[warm])
        for number in range(rounds):
            for name, chosen in selections.items():
                own = installation(settings, f"replay{number}{name.replace('_', '')}")
                results[name].append(_replay(own, directory, name, chosen))
    result = {
        "name": "pipeline --replay",
        "machine": machine(),
        "parameters": {"rounds": rounds, "partitions": settings.kafka.partitions},
        "results": {name: _figures(selections[name], runs) for name, runs in results.items()},
    }
    return json.dumps(result, indent=2)


def find_recordings(directory: Path) -> list[Recording]:
    """Find and count the files.

    Raises
    ------
    FileFormatError
        There are none.
    """
    paths = [*directory.glob("*/*_trade.zip"), *directory.glob("*/*_quote.zip")]
    if not paths:
        raise FileFormatError(
            what=f"There are no recordings in {directory}",
            why="no <symbol>/<yyyymmdd>_trade.zip is there, and they are not shipped",
            next_step="Name a folder of LEAN's tick zips: ticktrail bench pipeline --replay --data FOLDER.",
            path=str(directory),
        )
    return [Recording.read(path) for path in sorted(paths)]


def connected_ns(log: str) -> int:
    """Find in capture's log, of JSON lines, when it had opened its files: nanoseconds since 1970."""
    for line in log.splitlines():
        event: dict[str, Any] = msgspec.json.decode(line)
        if event.get("event") == "feed.connected":
            since = datetime.fromisoformat(event["timestamp"]) - datetime.fromtimestamp(0, UTC)
            return (since.days * 86_400 + since.seconds) * NS_PER_SECOND + since.microseconds * 1_000
    raise ValueError("capture never opened its files")


def _tick_folder() -> Path:
    given = os.environ.get("TICKTRAIL_TEST_DATA")
    return (Path(given) if given else _CHECKOUT.parent / "shared" / "data") / "lean_equity" / "tick"


def _replay(own: Settings, directory: Path, name: str, chosen: Sequence[Recording]) -> dict[str, float]:
    """Replay once; raises where the store does not hold exactly what the files do."""
    expected = sum(each.lines for each in chosen)
    arguments = (
        *("--feed", "file", "--kinds", ",".join(KINDS[name])),
        *("--set", f"feeds.file.path={directory}", "--set", "feeds.file.format=lean"),
        *("--set", "telemetry.log_format=json"),
    )
    with stage(own, "persist"):
        wait_for(own, "persist")
        with stage(own, "capture", *arguments) as capture:
            stored_ns = _wait_until_stored(own, expected, capture)
    begun_ns = connected_ns((Path(own.stack.data_dir) / "capture.log").read_text(encoding="utf-8"))
    lines: Counts = Counter()
    for each in chosen:
        lines[each.table, each.symbol, each.day] += each.lines
    stored = _stored(own.store, KINDS[name])
    assert stored == lines, f"the store has {stored}, the files {lines}"
    return {"seconds": (stored_ns - begun_ns) / NS_PER_SECOND, "records": expected}


def _wait_until_stored(own: Settings, expected: int, capture: subprocess.Popen[bytes]) -> int:
    """Give the time of persist's first word that everything is stored."""
    deadline = time.monotonic() + _TIMEOUT_S
    while True:
        word = words(own)["persist"]
        stored = word.total("ticktrail_persist_stored_records_total")
        if stored >= expected:
            return word.ts_ns
        assert capture.poll() in (None, 0), "capture failed"
        assert time.monotonic() < deadline, f"{stored} of {expected} records are stored"
        time.sleep(_LOOK_S)


def _stored(store: StoreSettings, tables: Sequence[str]) -> Counts:
    """Count the rows as anybody would."""
    counts: Counts = Counter()
    profile = ExecutionProfile(load_balancing_policy=RoundRobinPolicy(), request_timeout=_COUNT_TIMEOUT_S)
    profiles = {EXEC_PROFILE_DEFAULT: profile}
    with Cluster([store.hosts], port=store.port, protocol_version=5, execution_profiles=profiles) as cluster:
        session = cluster.connect(store.keyspace)
        for table in tables:
            for row in session.execute(
                f"SELECT symbol, day, count(*) AS found FROM {table} GROUP BY feed, symbol, day, slot"
            ):
                counts[table, row.symbol, str(row.day)] += row.found
    return counts


def _figures(chosen: Sequence[Recording], runs: Sequence[dict[str, float]]) -> dict[str, Any]:
    rates = [run["records"] / run["seconds"] for run in runs]
    text_bytes = sum(each.text_bytes for each in chosen)
    seconds = statistics.median(run["seconds"] for run in runs)
    return {
        "files": len(chosen),
        "zip_mb": round(sum(each.path.stat().st_size for each in chosen) / 1e6, 1),
        "text_mb": round(text_bytes / 1e6, 1),
        "records": {
            table: sum(each.lines for each in chosen if each.table == table)
            for table in sorted({each.table for each in chosen})
        },
        "median_per_s": round(statistics.median(rates)),
        "rounds_per_s": [round(rate) for rate in rates],
        "median_s": round(seconds, 2),
        "text_mb_per_s": round(text_bytes / 1e6 / seconds, 1),
        "is_stored_exactly": True,
    }


if __name__ == "__main__":
    sys.stdout.write(main() + "\n")
