"""`ticktrail tail`: the human's console consumer."""

from __future__ import annotations

import difflib
import itertools
import sys
from datetime import UTC, datetime
from typing import Any

import click
import msgspec

from ticktrail.bus import Tail, Tailed, Topics
from ticktrail.cli.options import load_settings, settings_options
from ticktrail.cli.text import printable
from ticktrail.clock import NS_PER_SECOND
from ticktrail.codec import decode_record
from ticktrail.errors import CodecError, SchemaMismatch
from ticktrail.model import Record
from ticktrail.reference import date_of_day

__all__ = ["tail_command"]

# As they are asked for: without prefix and version.
_TOPICS = ("trades", "quotes", "bars", "vendor-bars", "status", "gaps", "alerts", "dead-letters")


@click.command("tail")
@settings_options
@click.argument("topic")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
@click.option("--from-start", is_flag=True, help="Begin at the start of the log instead of its end.")
@click.option("-n", "count", type=click.IntRange(min=1), help="Stop after that many values.")
@click.option(
    "--heartbeats", is_flag=True, help="Show those, too, by which time passes where nothing trades."
)
def tail_command(
    topic: str, as_json: bool, from_start: bool, count: int | None, heartbeats: bool, **options: Any
) -> None:
    """Print the values of a topic as they come, times in UTC; as JSON in nanoseconds since 1970.

    TOPIC is a full name or the part after the prefix: trades, quotes, bars, status, dead-letters.

    Example: ticktrail tail trades --json -n 10
    """
    settings = load_settings(**options).settings
    prefix = Topics.of(settings.kafka).prefix
    name = topic if topic.startswith(f"{prefix}.") else f"{prefix}.{topic}"
    if not name.endswith((".v1", ".dead-letters")) and ".raw." not in name:
        name += ".v1"
    try:
        tail = Tail(settings.kafka, name, from_start=from_start)
    except SchemaMismatch as error:
        error.next_step = f"{_nearest(topic)} {error.next_step}".lstrip()
        raise
    with tail as values:
        shown = (
            content for value in values if (content := _content(value))["kind"] != "heartbeat" or heartbeats
        )
        for content in itertools.islice(shown, count):
            click.echo(msgspec.json.encode(content).decode() if as_json else _line(content))
            sys.stdout.flush()


def _nearest(topic: str) -> str:
    near = difflib.get_close_matches(topic, _TOPICS, n=1)
    return f"Did you mean {near[0]}?" if near else ""


def _content(tailed: Tailed) -> dict[str, Any]:
    if "reason" in tailed.headers:
        return {"kind": "dead-letter", **tailed.headers, **_original(tailed.value)}
    try:
        record: Record = decode_record(tailed.value).record
    except CodecError as error:
        return {"kind": "undecodable", "reason": error.reason, **_original(tailed.value)}
    return {"kind": type(record).__name__.lower(), **msgspec.structs.asdict(record)}


def _line(content: dict[str, Any]) -> str:
    return "  ".join(
        f"{name.removesuffix('_ns')}={printable(_text(name, value))}" for name, value in content.items()
    )


def _text(name: str, value: Any) -> str:
    try:
        if not isinstance(value, int):
            return str(value)
        if name == "day":
            return date_of_day(value).isoformat()
        if name.endswith("_ns"):
            seconds, rest_ns = divmod(value, NS_PER_SECOND)
            return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest_ns:09}Z"
    except (OverflowError, ValueError, OSError):  # anybody may write to a topic
        pass
    return str(value)


def _original(value: bytes) -> dict[str, str]:
    """Give bytes as text where they are some, else in hexadecimal."""
    try:
        return {"text": value.decode()}
    except UnicodeDecodeError:
        return {"hex": value.hex()}
