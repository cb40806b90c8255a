"""Which feeds there are, and how to make each.

A feed's code is imported only when that feed is asked for, so that a broken plug-in, or a missing optional
dependency, breaks nothing else. Plug-ins are found by entry points of the group ``ticktrail.feeds``, whose
value names a `ticktrail.feeds.base.FeedFactory`::

    [project.entry-points."ticktrail.feeds"]
    nimbus = "ticktrail_nimbus:make_feed"

Their authors test them with `ticktrail.testing.feed_contract`. This is the only module that knows more than
one vendor.
"""

from __future__ import annotations

import difflib
import importlib
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, cast

from ticktrail.clock import Clock
from ticktrail.errors import ConfigError, TicktrailError
from ticktrail.feeds.base import Feed, FeedFactory, Subscription
from ticktrail.reference import ROUND_THE_CLOCK, US_EQUITIES, Market

__all__ = ["ENTRY_POINT_GROUP", "FEEDS", "FeedEntry", "get", "make_sim_feed", "names"]

ENTRY_POINT_GROUP = "ticktrail.feeds"


@dataclass(frozen=True, kw_only=True)
class FeedEntry:
    """One feed that can be made.

    Parameters
    ----------
    name
        What users call it, and what stands in its records.
    summary
        One line for lists.
    target
        ``module:attribute`` of its factory.
    needs_key
        Whether the venue admits only those with a key.
    ends
        Whether the source comes to an end by itself, as files do.
    market
        Whose sessions tell when records are to be expected; None where that is not known.
    parse_settings
        Stand-ins for what the factory requires, with which a feed can be made to parse recorded frames,
        but not to connect.
    """

    name: str
    summary: str
    target: str
    needs_key: bool = False
    ends: bool = False
    market: Market | None = None
    parse_settings: Mapping[str, Any] = field(default_factory=dict)

    def load(self) -> FeedFactory:
        """Import the feed and give its factory.

        Raises
        ------
        ConfigError
            The feed's code, which may be a plug-in's, fails when it is imported.
        """
        module_name, _, attribute = self.target.partition(":")
        try:
            factory = getattr(importlib.import_module(module_name), attribute)
        except Exception as error:  # a plug-in is a stranger's code
            raise self._broken("loaded", error) from error
        return cast("FeedFactory", factory)

    def make(self, settings: Mapping[str, Any], subscription: Subscription, clock: Clock) -> Feed:
        """Import the feed and make one; touches no network. Parameters as `FeedFactory` has them.

        Raises
        ------
        ConfigError
            Its settings are wrong, or its code fails.
        UsageError
            It cannot be asked for that.
        """
        factory = self.load()
        try:
            return factory(settings, subscription, clock)
        except TicktrailError:
            raise
        except Exception as error:  # a plug-in is a stranger's code
            raise self._broken("made", error) from error

    def _broken(self, verb: str, error: Exception) -> ConfigError:
        place = _place_of(error)
        return ConfigError(
            what=f"The feed {self.name} cannot be {verb}",
            why=f"{type(error).__name__}: {error}{f' ({place})' if place else ''}",
            next_step=f"Tell those who offer {self.target}, or remove their plug-in.",
            key=f"feeds.{self.name}",
            source=self.target,
        )


def _place_of(error: Exception) -> str:
    """Say where in the feed's own code it failed; nothing where that was not reached."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{Path(error.filename).name}:{error.lineno}"
    ours = (__file__, importlib.__file__)
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename not in ours and not frame.filename.startswith("<frozen")
    ]
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""


def make_sim_feed(settings: Mapping[str, Any], subscription: Subscription, clock: Clock) -> Feed:
    """Make the feed that reads the simulated exchange: Alpaca's, dialling ``feeds.sim.url``.

    ``[feeds.sim]`` also holds the exchange's own settings. They are checked here too, so that a slip in a
    name is not taken for one of them.

    Raises
    ------
    ConfigError
        There is no URL, or a setting is unknown or of the wrong type.
    """
    # Here, not at the top: naming a feed must not import a vendor.
    from ticktrail.feeds.alpaca.feed import make_feed  # noqa: PLC0415
    from ticktrail.feeds.sim import read_settings  # noqa: PLC0415

    if not settings.get("url"):
        raise ConfigError(
            what="Feed sim has no url",
            why="it is where the simulated exchange listens",
            next_step="Start both with `ticktrail run --feed sim`, or set TICKTRAIL_FEEDS__SIM__URL.",
            key="feeds.sim.url",
            source="the settings",
        )
    read_settings(settings)
    mine = {name: settings[name] for name in _SIM_CLIENT_SETTINGS if name in settings}
    # The exchange quotes shares whatever its date, and admits anyone with its default key.
    defaults = {"key": "sim", "secret": "sim", "quote_size_unit": 1}
    return make_feed(defaults | mine, subscription, clock, name="sim")


_SIM_CLIENT_SETTINGS = ("url", "key", "secret", "encoding", "open_timeout_s")

FEEDS: dict[str, FeedEntry] = {
    entry.name: entry
    for entry in (
        FeedEntry(
            name="sim",
            summary="a simulated exchange on this machine; the market is not real",
            target="ticktrail.feeds.registry:make_sim_feed",
            market=ROUND_THE_CLOCK,
            parse_settings={"url": "ws://127.0.0.1"},
        ),
        FeedEntry(
            name="alpaca",
            summary="US stocks: trades, quotes, bars, halts (free for IEX with an account)",
            target="ticktrail.feeds.alpaca.feed:make_feed",
            needs_key=True,
            market=US_EQUITIES,
            parse_settings={"key": "-", "secret": "-"},
        ),
        FeedEntry(
            name="yahoo",
            summary="stocks worldwide, keyless and unofficial: price snapshots, not single trades",
            target="ticktrail.feeds.yahoo:make_feed",
            # Whatever else it has: outside of these hours nothing is called silent.
            market=US_EQUITIES,
        ),
        FeedEntry(
            name="file",
            summary="recorded files: LEAN, CSV, Parquet, captures",
            target="ticktrail.feeds.file:make_feed",
            ends=True,
        ),
    )
}


def get(name: str) -> FeedEntry:
    """Find a feed; those of ticktrail itself come before plug-ins of the same name.

    Raises
    ------
    ConfigError
        There is no such feed; the nearest name is given.
    """
    if name in FEEDS:
        return FEEDS[name]
    plugins = _plugins()
    if name in plugins:
        return plugins[name]
    known = [*FEEDS, *plugins]
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"Did you mean {nearest[0]}?" if nearest else "Install the plug-in that offers it."
    raise ConfigError(
        what=f"There is no feed {name!r}",
        why=f"known are {', '.join(known)}",
        next_step=hint,
        key="feed",
        source="--feed",
    )


def names() -> tuple[str, ...]:
    """Name all feeds: ticktrail's own, then the plug-ins in alphabetical order."""
    return (*FEEDS, *sorted(_plugins().keys() - FEEDS.keys()))


def _plugins() -> dict[str, FeedEntry]:
    return {
        point.name: FeedEntry(
            name=point.name,
            summary=f"plug-in of {point.dist.name}" if point.dist else "plug-in",
            target=point.value,
        )
        for point in entry_points(group=ENTRY_POINT_GROUP)
    }
