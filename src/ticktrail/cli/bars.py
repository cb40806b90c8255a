"""`ticktrail bars`: trades into bars."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import click

from ticktrail.bars.runner import BarRunner
from ticktrail.bus import ensure_topics
from ticktrail.cli.options import child_options, load_settings, settings_options
from ticktrail.cli.stage import stage, stop_with_parent
from ticktrail.clock import SystemClock
from ticktrail.store import Reader, SyncProver, Writer, connect, migrate

__all__ = ["bars_command"]


@click.command("bars")
@settings_options
@child_options
def bars_command(stage_name: str | None, is_child: bool, **options: Any) -> None:
    """Build bars from the trades in Kafka until Ctrl-C.

    Example: ticktrail bars --set bars.lateness_ms=2000
    """
    settings = load_settings(**options).settings
    clock = SystemClock()
    shown: list[BarRunner] = []
    with stage(
        "bars",
        settings,
        clock,
        lambda: {"forming": shown[0].forming() if shown else []},
        name=stage_name,
    ) as stop:
        if is_child:
            stop_with_parent()
        ensure_topics(settings.kafka)
        session = connect(settings.store)
        try:
            migrate(session)
            writer = Writer(session, settings.persist.requests_in_flight_max)
            with closing(SyncProver(session, clock)) as prover:
                runner = BarRunner(settings, writer, prover, Reader(session), clock, stop)
                shown.append(runner)
                runner.run()
        finally:
            session.close()
