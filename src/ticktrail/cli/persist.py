"""`ticktrail persist`: Kafka into Cassandra."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import click

from ticktrail.bus import ensure_topics
from ticktrail.cli.options import child_options, load_settings, settings_options
from ticktrail.cli.stage import stage, stop_with_parent
from ticktrail.clock import SystemClock
from ticktrail.persist import Persist
from ticktrail.store import SyncProver, Writer, connect, migrate

__all__ = ["persist_command"]


@click.command("persist")
@settings_options
@child_options
def persist_command(stage_name: str | None, is_child: bool, **options: Any) -> None:
    """Store what comes through Kafka until Ctrl-C.

    Example: ticktrail persist
    """
    settings = load_settings(**options).settings
    clock = SystemClock()
    with stage("persist", settings, clock, name=stage_name) as stop:
        if is_child:
            stop_with_parent()
        ensure_topics(settings.kafka, stop=stop)
        if stop.is_set():
            return
        session = connect(settings.store)
        try:
            migrate(session)
            writer = Writer(session, settings.persist.requests_in_flight_max)
            with closing(SyncProver(session, clock)) as prover:
                Persist(settings, writer, prover, clock, stop).run()
        finally:
            session.close()
