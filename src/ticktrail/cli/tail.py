"""`ticktrail tail`: the human's console consumer."""

from __future__ import annotations

import difflib
import sys
from typing import Any

import click
import msgspec

from ticktrail.bus import Tail, Tailed, Topics
from ticktrail.cli.options import load_settings, settings_options
from ticktrail.cli.text import printable
from ticktrail.codec import decode_record
from ticktrail.errors import CodecError, SchemaMismatch
from ticktrail.model import Record

__all__ = ["tail_command"]

# As they are asked for: without prefix and version.
_TOPICS = ("trades", "quotes", "bars", "vendor-bars", "status", "gaps", "dead-letters")


@click.command("tail")
@settings_options
@click.argument("topic")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
@click.option("--from-start", is_flag=True, help="Begin at the start of the log instead of its end.")
@click.option("-n", "count", type=click.IntRange(min=1), help="Stop after that many values.")
def tail_command(topic: str, as_json: bool, from_start: bool, count: int | None, **options: Any) -> None:
    """Print the values of a topic as they come.

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
        for number, value in enumerate(values, start=1):
            click.echo(_shown(value, as_json))
            if number == count:
                return
            sys.stdout.flush()


def _nearest(topic: str) -> str:
    near = difflib.get_close_matches(topic, _TOPICS, n=1)
    return f"Did you mean {near[0]}?" if near else ""


def _shown(tailed: Tailed, as_json: bool) -> str:
    shown: dict[str, Any]
    if "reason" in tailed.headers:
        shown = {"kind": "dead-letter", **tailed.headers, **_original(tailed.value)}
    else:
        try:
            record: Record = decode_record(tailed.value).record
        except CodecError as error:
            shown = {"kind": "undecodable", "reason": error.reason, **_original(tailed.value)}
        else:
            shown = {"kind": type(record).__name__.lower(), **msgspec.structs.asdict(record)}
    if as_json:
        return msgspec.json.encode(shown).decode()
    return "  ".join(f"{name}={printable(str(value))}" for name, value in shown.items())


def _original(value: bytes) -> dict[str, str]:
    """Give bytes as text where they are some, else in hexadecimal."""
    try:
        return {"text": value.decode()}
    except UnicodeDecodeError:
        return {"hex": value.hex()}
