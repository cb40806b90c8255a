"""What tests of the API share: tokens, rules, trades."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from serve_kit import Site, until

from ticktrail.bus import Producer, Topics, message_key
from ticktrail.clock import NS_PER_SECOND, SystemClock
from ticktrail.codec import encode_record
from ticktrail.config import Settings
from ticktrail.model import Correction, Flag, Trade

S = NS_PER_SECOND
CLOCK = SystemClock()
FULL, READING, ASKING = "a-token-for-everything", "a-token-for-reading-only", "a-token-for-questions"
TOKENS = f"""
[[serve.tokens]]
name = "all"
token = "{FULL}"
scopes = ["read", "sql", "alerts"]

[[serve.tokens]]
name = "reading"
token = "{READING}"

[[serve.tokens]]
name = "asking"
token = "{ASKING}"
scopes = ["sql"]

[[alerts.rules]]
name = "of the file"
kind = "halt"
"""
ALL = int(Flag.UPDATES_LAST | Flag.UPDATES_HIGH_LOW | Flag.UPDATES_VOLUME)
RULE: dict[str, Any] = {"kind": "price_crosses", "params": {"price": 10.0}, "feed": "f", "cooldown_s": 0}


def kinds_that_run(site: Site) -> list[str]:
    stages = site.get("/api/v1/pipeline")["stages"]
    return [stage["kind"] for stage in stages if stage["state"] == "running"]


def trade(symbol: str, price: float, ts_ns: int, number: int) -> Trade:
    return Trade(
        feed="f",
        symbol=symbol,
        day=ts_ns // (86_400 * S),
        ts_ns=ts_ns,
        event_id=number,
        ts_event_ns=ts_ns,
        ts_recv_ns=ts_ns,
        price=price,
        size=1.0,
        flags=ALL,
    )


def send(settings: Settings, trades: Sequence[Trade | Correction]) -> None:
    producer = Producer(settings.kafka, CLOCK)
    keys = [message_key(each.feed, each.symbol) for each in trades]
    producer.send(Topics.of(settings.kafka).trades, keys, [encode_record(each) for each in trades])
    producer.flush(30)


def make_rule(site: Site, **values: Any) -> dict[str, Any]:
    """Make a rule, and wait until it holds."""
    status, made = site.ask("/api/v1/rules", RULE | values)
    assert status == 201, made
    until(lambda: CLOCK.now_ns() > made["active_from_ns"], "the rule holds")
    rule: dict[str, Any] = made
    return rule
