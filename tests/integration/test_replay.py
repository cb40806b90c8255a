"""Dead letters, sent once more by the real command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fixtures_servers import Servers, flags_of, new_settings, prepared
from persist_kit import DEADLINE_S, identities, is_committed, persisting, stored, trades, until
from plain_kafka import read_plainly

from ticktrail.bus import Producer, Topics
from ticktrail.clock import SystemClock
from ticktrail.codec import encode_columns
from ticktrail.config import Settings
from ticktrail.store import connect

pytestmark = pytest.mark.servers

TRADE = {
    "T": "t", "i": 96921, "S": "AAPL", "x": "D", "p": 126.55, "s": 1, "c": ["@", "I"], "z": "C",
    "t": "2026-03-17T14:30:00.123456789Z",
}  # fmt: skip


@pytest.fixture
def settings(servers: Servers, tmp_path: Path) -> Settings:
    return prepared(new_settings(servers, tmp_path))


def replay(settings: Settings) -> dict[str, Any]:
    command = [sys.executable, "-m", "ticktrail", "replay", "dead-letters", "--json", *flags_of(settings)]
    # A feed's parser comes with the feed, and that wants its key.
    keys = {"TICKTRAIL_FEEDS__ALPACA__KEY": "none", "TICKTRAIL_FEEDS__ALPACA__SECRET": "none"}
    found = subprocess.run(
        command, capture_output=True, text=True, timeout=DEADLINE_S, check=False, env=os.environ | keys
    )
    assert found.returncode == 0, found.stderr
    report: dict[str, Any] = json.loads(found.stdout)
    return report


def test_what_is_well_now_is_stored_and_the_rest_stays(settings: Settings) -> None:
    topics = Topics.of(settings.kafka)
    producer = Producer(settings.kafka, SystemClock())
    place = {"topic": topics.trades.encode(), "partition": b"0", "offset": b"7", "reason": b"store_rejected"}
    good = trades(0, 20)
    for value in encode_columns(good):
        producer.send_to_partition(topics.dead_letters, -1, value, place, b"test|S00")
    producer.send_to_partition(topics.dead_letters, -1, b"garbage", place, b"k")
    frame = json.dumps([TRADE]).encode()
    producer.send_to_partition(topics.dead_letters, -1, frame, {"feed": b"alpaca", "reason": b"bad_price"})
    producer.send_to_partition(topics.dead_letters, -1, b"\xff", {"feed": b"alpaca", "reason": b"not_json"})
    producer.flush(DEADLINE_S)

    report = replay(settings)
    assert (report["letters"], report["replayed"], report["records"]) == (23, 21, 21)
    assert sum(report["still_dead"].values()) == 2
    with persisting(settings):
        until(lambda: is_committed(settings), "what was replayed is stored")
    session = connect(settings.store)
    session.driver.set_keyspace(settings.store.keyspace)
    found = stored(session.driver)
    session.close()
    assert len(found) == 21
    assert identities(good) < set(found)
    assert "AAPL" in {symbol for symbol, _, _ in found}

    again = replay(settings)
    assert (again["letters"], again["replayed"]) == (2, 0), "only those that stayed are tried again"
    letters = read_plainly(settings.kafka.bootstrap_servers, topics.dead_letters, 27)
    assert sorted(each.value for each in letters)[-3:] == [b"\xff"] * 3, "with their bytes, wherever they are"
    assert len(letters) == 27
