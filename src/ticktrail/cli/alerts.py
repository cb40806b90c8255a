"""`ticktrail alerts`: the stage, its rules, and what they found."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.table import Table

from ticktrail.alerts.book import RuleBook, scopes_of
from ticktrail.alerts.notifier import Notifier
from ticktrail.alerts.plot import plot_alerts
from ticktrail.alerts.replay import Tested, would_fire
from ticktrail.alerts.rules import rule_dict, rules_of
from ticktrail.alerts.runner import SLOW_SOURCES, SWIFT_SOURCES, AlertRunner, Tools
from ticktrail.alerts.targets import targets_of
from ticktrail.alerts.volumes import StoredVolumes
from ticktrail.alerts.watch import RuleWatch
from ticktrail.bus import ensure_topics
from ticktrail.cli.options import FILE, child_options, json_option, load_settings, settings_options
from ticktrail.cli.stage import stage, stop_with_parent
from ticktrail.cli.table import show
from ticktrail.cli.text import printable
from ticktrail.clock import NS_PER_SECOND, NS_PER_US, SystemClock
from ticktrail.config import Settings
from ticktrail.errors import UsageError
from ticktrail.model import Alert
from ticktrail.store import AlertStore, Reader, StoreSession, SyncProver, connect, migrate

__all__ = ["alerts_command"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LOOK_S = 0.2


@click.group("alerts", invoke_without_command=True)
@settings_options
@child_options
@click.pass_context
def alerts_command(context: click.Context, /, stage_name: str | None, is_child: bool, **options: Any) -> None:
    """Evaluate rules on the live data until Ctrl-C, record what they find and notify people.

    Rules stand in ticktrail.toml as [[alerts.rules]], or are made in the dashboard; targets to notify are
    [[alerts.targets]], lists of symbols [[alerts.watchlists]]. A webhook's signature is that of
    standardwebhooks.com.

    Example: ticktrail alerts
    """
    if context.invoked_subcommand is None:
        _run(load_settings(**options).settings, stage_name, is_child=is_child)


@alerts_command.command("list")
@settings_options
@json_option
@click.option("-n", "count", type=click.IntRange(1, 1_000), default=50, help="How many, the newest first.")
def list_command(as_json: bool, count: int, **options: Any) -> None:
    """Show the alerts that were recorded.

    Example: ticktrail alerts list -n 20
    """
    with _book(load_settings(**options).settings) as (book, _):
        found = book.alerts(count)
    if as_json:
        rows = [
            {**msgspec.to_builtins(each.alert), "acknowledged_ns": each.acknowledged_ns} for each in found
        ]
        click.echo(json.dumps(rows))
        return
    table = Table("time (UTC)", "severity", "rule", "feed", "symbol", "message", "seen")
    for alert, acknowledged_ns in found:
        seen = "" if acknowledged_ns is None else _time(acknowledged_ns)
        cells = (
            _time(alert.ts_ns),
            alert.severity,
            alert.rule,
            alert.feed,
            alert.symbol,
            alert.message,
            seen,
        )
        table.add_row(*map(_cell, cells))
    show(table)


@alerts_command.command("rules")
@settings_options
@json_option
def rules_command(as_json: bool, **options: Any) -> None:
    """Show all rules: those of ticktrail.toml and those of the dashboard.

    Kinds: price_crosses, percent_move, sigma_move, volume_spike, spread, vwap_cross, new_high, new_low, halt,
    resume, gap, silent_feed, lag, bar_condition.

    Example: ticktrail alerts rules --json
    """
    with _book(load_settings(**options).settings) as (book, _):
        rules = book.rules()
    if as_json:
        click.echo(json.dumps([rule_dict(rule) for rule in rules]))
        return
    table = Table("name", "kind", "feed", "symbols", "params", "notify", "source", "state")
    for rule in rules:
        params = ", ".join(f"{name}={value}" for name, value in rule.params.items())
        state = "on" if rule.is_enabled else "off"
        if rule.muted_until_ns is not None:
            state += f", muted until {_time(rule.muted_until_ns)}"
        cells = (
            rule.name,
            rule.kind,
            rule.feed,
            ", ".join(rule.symbols),
            params,
            ", ".join(rule.notify),
            rule.source,
            state,
        )
        table.add_row(*map(_cell, cells))
    show(table)


@alerts_command.command("test")
@settings_options
@json_option
@click.argument("rule")
@click.option("--from", "start", required=True, help="2026-11-23T09:30:00-05:00")
@click.option("--to", "end", required=True, help="Where to end; not itself inside.")
@click.option("--plot", "plot", type=FILE, help="Draw the symbol with the most alerts into this SVG file.")
def test_command(as_json: bool, rule: str, start: str, end: str, plot: Path | None, **options: Any) -> None:
    """Say when a rule would have fired, by what is stored. RULE is its name.

    Example: ticktrail alerts test "AAPL at 190" --from 2026-11-23T14:30:00Z --to 2026-11-23T21:00:00Z
    """
    settings = load_settings(**options).settings
    span_ns = (_moment("--from", start), _moment("--to", end))
    with _book(settings) as (book, session):
        chosen = [each for each in book.rules() if each.name == rule]
        if not chosen:
            raise UsageError(
                what=f"There is no rule {rule[:64]!r}", next_step="List them with `ticktrail alerts rules`."
            )
        reader = Reader(session)
        (scope,) = scopes_of(
            [msgspec.structs.replace(chosen[0], active_from_ns=0, is_enabled=True)], settings.alerts
        )
        found = would_fire(scope, reader, StoredVolumes(reader), span_ns)
    if plot is not None:
        plot.write_text(_drawn(rule, found), encoding="utf-8")
    if as_json:
        fired = [msgspec.to_builtins(alert) for alert in found.alerts]
        click.echo(json.dumps({"rule": rule, "records": found.records, "fired": fired}))
        return
    for alert in found.alerts:
        click.echo(f"{_time(alert.ts_ns)}  {printable(alert.message)}")
    click.echo(f"{len(found.alerts):,} alerts in {found.records:,} records of {len(found.lines):,} symbols.")
    if plot is not None:
        click.echo(f"Drawn in {plot}.")


def _run(settings: Settings, stage_name: str | None, *, is_child: bool) -> None:
    clock = SystemClock()
    targets = targets_of(settings.alerts, clock)
    rules_of(settings.alerts)  # what is wrong in the file is told before anything starts
    with stage("alerts", settings, clock, name=stage_name) as stop:
        if is_child:
            stop_with_parent()
        ensure_topics(settings.kafka, stop=stop)
        if stop.is_set():
            return
        with ExitStack() as held:
            session = connect(settings.store)
            held.callback(session.close)
            migrate(session)
            store = AlertStore(session)
            rules = held.enter_context(closing(RuleWatch(RuleBook(store, settings.alerts, clock), clock)))
            usual = StoredVolumes(Reader(session))

            def runner(sources: tuple[str, ...]) -> AlertRunner:
                prover = held.enter_context(closing(SyncProver(session, clock)))
                tools = Tools(store=store, prover=prover, rules=rules, usual=usual)
                return AlertRunner(settings, sources, tools, clock, stop)

            jobs = [runner(SWIFT_SOURCES).run, runner(SLOW_SOURCES).run]
            jobs.append(Notifier(settings, targets, rules, clock, stop).run)
            _run_all(jobs, stop)


def _run_all(jobs: list[Callable[[], None]], stop: threading.Event) -> None:
    """Run jobs side by side until all have ended; the first error ends the others and is raised."""

    def run(job: Callable[[], None]) -> None:
        try:
            job()
        finally:
            # Without one of them the stage would only seem to be well.
            stop.set()

    with ThreadPoolExecutor(len(jobs), "alerts") as pool:
        futures = [pool.submit(run, job) for job in jobs]
        # In slices, so that signals are handled meanwhile.
        while wait(futures, _LOOK_S).not_done:
            pass
    for future in futures:
        future.result()


@contextmanager
def _book(settings: Settings) -> Iterator[tuple[RuleBook, StoreSession]]:
    session = connect(settings.store)
    try:
        migrate(session)
        yield RuleBook(AlertStore(session), settings.alerts, SystemClock()), session
    finally:
        session.close()


def _drawn(rule: str, found: Tested) -> str:
    if not found.lines:
        raise UsageError(
            what="There is nothing to draw",
            why="nothing is stored of that span for the rule's symbols",
            next_step="See what is stored with `ticktrail sql`.",
        )

    def alerts_of(key: str) -> list[Alert]:
        return [alert for alert in found.alerts if f"{alert.feed}|{alert.symbol}" == key]

    key = max(found.lines, key=lambda each: len(alerts_of(each)))
    return plot_alerts(f"{rule}, {key.partition('|')[2]}", *found.lines[key], alerts_of(key))


def _moment(option: str, text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            what=f"{option} {text[:40]!r} is no time", next_step="Write it like 2026-11-23T09:30:00-05:00."
        ) from None
    if moment.tzinfo is None:
        raise UsageError(
            what=f"{option} {text!r} has no time zone", next_step="Add it: 2026-11-23T09:30:00-05:00, or …Z."
        )
    delta = moment - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * NS_PER_SECOND + delta.microseconds * NS_PER_US


def _time(ts_ns: int) -> str:
    moment = datetime.fromtimestamp(ts_ns // NS_PER_SECOND, tz=UTC)
    return f"{moment:%Y-%m-%d %H:%M:%S}.{ts_ns % NS_PER_SECOND // 1_000_000:03d}"


def _cell(text: str) -> str:
    # Rich would read brackets as its own markup.
    return printable(text).replace("[", "\\[")
