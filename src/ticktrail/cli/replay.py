"""`ticktrail replay dead-letters`."""

from __future__ import annotations

import json
import signal
import threading
from typing import Any

import click

from ticktrail.bus import ensure_topics
from ticktrail.cli.options import json_option, load_settings, settings_options
from ticktrail.cli.source import make_feed
from ticktrail.clock import SystemClock
from ticktrail.feeds import ALL_SYMBOLS, Feed, Subscription
from ticktrail.persist import ReplayReport, replay_dead_letters

__all__ = ["replay_command"]


@click.group("replay")
def replay_command() -> None:
    """Send what failed once more, after a fix."""


@replay_command.command("dead-letters")
@settings_options
@json_option
def dead_letters_command(as_json: bool, **options: Any) -> None:
    """Try all dead letters again; those that are still dead stay there for the next time.

    Example: ticktrail replay dead-letters
    """
    settings = load_settings(**options).settings
    clock = SystemClock()
    stop = threading.Event()
    signal.signal(signal.SIGINT, lambda signum, frame: stop.set())

    def parser_of(name: str) -> Feed:
        return make_feed(name, settings, Subscription(symbols=(ALL_SYMBOLS,)), clock)

    ensure_topics(settings.kafka)
    report = replay_dead_letters(settings, parser_of, clock, stop)
    if as_json:
        click.echo(json.dumps({**vars(report), "is_interrupted": stop.is_set()}))
    else:
        _print(report, is_interrupted=stop.is_set())


def _print(report: ReplayReport, *, is_interrupted: bool) -> None:
    click.echo(
        f"{report.letters:,} letters read, {report.replayed:,} replayed as {report.records:,} records."
    )
    for reason, count in report.still_dead.most_common():
        click.echo(f"  {count:,} still dead: {reason}")
    if is_interrupted:
        click.echo("Interrupted; run it again for the rest.")
    elif report.still_dead:
        click.echo("See them with `ticktrail tail dead-letters --from-start`.")
