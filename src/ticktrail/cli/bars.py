"""`ticktrail bars`: trades into bars."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime
from typing import Any

import click

from ticktrail.bars.runner import BarRunner
from ticktrail.bus import ensure_topics
from ticktrail.cli.options import (
    child_options,
    json_option,
    listed,
    load_settings,
    not_empty,
    settings_options,
)
from ticktrail.cli.rebuild import rebuild_bars
from ticktrail.cli.stage import stage, stop_with_parent
from ticktrail.clock import SystemClock
from ticktrail.config import Settings
from ticktrail.errors import UsageError
from ticktrail.store import Reader, SyncProver, Writer, connect, migrate

__all__ = ["bars_command"]


@click.command("bars")
@settings_options
@child_options
@json_option
@click.option(
    "--rebuild",
    nargs=2,
    metavar="FEED DAY",
    type=(str, click.DateTime(["%Y-%m-%d"])),
    help="Build no bars; compare those of a stored day with its trades and corrections, and end.",
)
@click.option("--symbols", callback=not_empty, help="With --rebuild: only these, comma-separated.")
@click.option("--write", is_flag=True, help="With --rebuild: write what differs, as new revisions.")
def bars_command(
    stage_name: str | None,
    is_child: bool,
    as_json: bool,
    rebuild: tuple[str, datetime] | None,
    symbols: str | None,
    write: bool,
    **options: Any,
) -> int:
    """Build bars from the trades in Kafka until Ctrl-C, and build anew those that late trades change.

    With --rebuild: recompute a day from the stored trades and corrections and say which bars differ. The exit
    code is then 1 where some do, unless they are written.

    Example: ticktrail bars --rebuild sim 2026-11-23 --write
    """
    settings = load_settings(**options).settings
    if rebuild is not None:
        feed, day = rebuild
        wanted = None if symbols is None else listed(symbols)
        return rebuild_bars(settings, feed, day.date(), wanted, write=write, as_json=as_json)
    if symbols is not None or write or as_json:
        raise UsageError(
            what="--symbols, --write and --json are for --rebuild",
            next_step="Leave them out, or name what to rebuild: --rebuild FEED DAY.",
        )
    _run(settings, stage_name, is_child=is_child)
    return 0


def _run(settings: Settings, stage_name: str | None, *, is_child: bool) -> None:
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
        ensure_topics(settings.kafka, stop=stop)
        if stop.is_set():
            return
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
