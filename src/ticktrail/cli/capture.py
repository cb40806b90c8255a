"""`ticktrail capture`: a feed into Kafka."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import click

from ticktrail.bus import ensure_topics
from ticktrail.capture import Assembly
from ticktrail.cli.options import (
    child_options,
    known_kinds,
    listed,
    load_settings,
    not_empty,
    settings_options,
)
from ticktrail.cli.source import make_feed
from ticktrail.cli.stage import stage, stop_with_parent
from ticktrail.clock import SystemClock
from ticktrail.config import Settings
from ticktrail.feeds import Subscription
from ticktrail.feeds.registry import get

__all__ = ["capture_command"]


@click.command("capture")
@settings_options
@click.option("--feed", "feed_name", required=True, help="A name from `ticktrail feeds`.")
@click.option(
    "--symbols",
    default="*",
    show_default=True,
    callback=not_empty,
    help="Comma-separated, or * for all.",
)
@click.option(
    "--kinds",
    default="trades,quotes,status",
    show_default=True,
    callback=known_kinds,
    help="What to subscribe to.",
)
@child_options
def capture_command(
    feed_name: str, symbols: str, kinds: str, stage_name: str | None, is_child: bool, **options: Any
) -> None:
    """Run a feed into Kafka until Ctrl-C.

    Example: ticktrail capture --feed alpaca --symbols AAPL,MSFT
    """
    settings = load_settings(**options).settings
    subscription = Subscription(symbols=listed(symbols), kinds=listed(kinds))
    asyncio.run(_capture(settings, feed_name, subscription, stage_name, is_child))


async def _capture(
    settings: Settings, feed_name: str, subscription: Subscription, stage_name: str | None, is_child: bool
) -> None:
    clock = SystemClock()
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()

    def halt() -> None:
        loop.call_soon_threadsafe(ended.set)

    with stage("capture", settings, clock, on_stop=halt, name=stage_name) as stop:
        if is_child:
            stop_with_parent()
        feed = make_feed(feed_name, settings, subscription, clock)
        prepare = partial(ensure_topics, settings.kafka, stop=stop)
        market = get(feed_name).market
        await Assembly(feed, settings, subscription, market, clock).run(ended, prepare)
