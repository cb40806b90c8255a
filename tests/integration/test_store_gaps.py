"""The ledger of gaps in the real Cassandra, and as SQL shows it."""

from __future__ import annotations

from datetime import UTC, date, datetime

import msgspec
import pytest
from store_rows import DAY, NOON_NS, put

from ticktrail.config import Settings
from ticktrail.model import Gap
from ticktrail.query import Engine
from ticktrail.store import GAPS, StoreSession, Writer

pytestmark = pytest.mark.servers

SECOND_NS = 10**9
GAP = Gap(
    feed="sim",
    channel="*",
    day=DAY,
    from_ns=NOON_NS,
    to_ns=NOON_NS + SECOND_NS,
    ts_recv_ns=NOON_NS + 2 * SECOND_NS,
    cause="disconnect",
    detail="1006",
)


def test_gaps_are_asked_for_with_sql(installation: Settings, store_session: StoreSession) -> None:
    del installation
    closed = msgspec.structs.replace(
        GAP, to_ns=NOON_NS + 5 * SECOND_NS + 7, state="closed", missing=3, detail=""
    )
    others = [
        msgspec.structs.replace(GAP, cause="silence"),
        msgspec.structs.replace(GAP, channel="AAPL"),
        msgspec.structs.replace(GAP, day=DAY + 1, from_ns=NOON_NS + 86_400 * SECOND_NS),
        msgspec.structs.replace(GAP, feed="alpaca"),
    ]
    writer = Writer(store_session, 4)
    put(writer, GAPS, [GAP, *others], write_ts_us=1_000)
    put(writer, GAPS, [closed], write_ts_us=2_000)
    put(writer, GAPS, [GAP], write_ts_us=1_000)  # a replay of the log changes nothing
    engine = Engine(store_session)
    rows = engine.sql("SELECT * FROM gaps").arrow().to_pylist()
    assert [(r["feed"], r["day"], r["channel"], r["cause"]) for r in rows] == [
        ("alpaca", date(2026, 3, 17), "*", "disconnect"),
        ("sim", date(2026, 3, 17), "*", "disconnect"),
        ("sim", date(2026, 3, 17), "*", "silence"),
        ("sim", date(2026, 3, 17), "AAPL", "disconnect"),
        ("sim", date(2026, 3, 18), "*", "disconnect"),
    ]
    assert rows[1] == {
        "feed": "sim",
        "day": date(2026, 3, 17),
        "channel": "*",
        "from_ts": datetime(2026, 3, 17, 12, tzinfo=UTC),
        "to_ts": datetime(2026, 3, 17, 12, 0, 5, tzinfo=UTC),
        "cause": "disconnect",
        "state": "closed",
        "missing": 3,
        "detail": "",
        "from_ns": NOON_NS,
        "to_ns": NOON_NS + 5 * SECOND_NS + 7,
        "ts_recv_ns": NOON_NS + 2 * SECOND_NS,
    }
    assert rows[2]["missing"] is None
    assert rows[2]["detail"] == "1006"
    filtered = "SELECT cause FROM gaps WHERE feed = 'sim' AND from_ts >= '2026-03-18 00:00:00+00'"
    assert engine.sql(filtered).arrow().to_pylist() == [{"cause": "disconnect"}]
    engine.close()
