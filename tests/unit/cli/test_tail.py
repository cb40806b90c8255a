"""How values are shown to people."""

from __future__ import annotations

from ticktrail.bus import Tailed
from ticktrail.cli.tail import _content, _line
from ticktrail.codec import encode_record
from ticktrail.model import Heartbeat


def test_times_and_dates_are_readable() -> None:
    line = _line({"kind": "trade", "day": 20_780, "ts_event_ns": 1_795_424_400_000_000_123, "price": 1.5})
    assert line == "kind=trade  day=2026-11-23  ts_event=2026-11-23T09:00:00.000000123Z  price=1.5"


def test_whatever_a_stranger_wrote_is_shown() -> None:
    assert _line({"day": 2**31, "ts_event_ns": 2**62, "x_ns": "soon"}).startswith(f"day={2**31}  ts_event=")


def test_a_heartbeat_is_known_as_one() -> None:
    value = encode_record(Heartbeat(feed="sim", ts_recv_ns=1))
    assert _content(Tailed(value, {}))["kind"] == "heartbeat"
