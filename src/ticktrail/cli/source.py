"""A feed, made from the settings, whoever wrote it."""

from __future__ import annotations

import traceback
from pathlib import Path

from ticktrail.clock import Clock
from ticktrail.config import Settings
from ticktrail.errors import ConfigError, TicktrailError
from ticktrail.feeds import Feed, Subscription
from ticktrail.feeds.registry import get

__all__ = ["make_feed"]


def make_feed(name: str, settings: Settings, subscription: Subscription, clock: Clock) -> Feed:
    """Make a feed by its name; touches no network.

    Raises
    ------
    ConfigError
        There is no such feed, its settings are wrong, or its code, which may be a plug-in's, fails.
    UsageError
        It cannot be asked for that.
    """
    entry = get(name)
    try:
        return entry.load()(settings.feeds.get(name, {}), subscription, clock)
    except TicktrailError:
        raise
    except Exception as error:  # a plug-in is a stranger's code
        place = traceback.extract_tb(error.__traceback__)[-1]
        raise ConfigError(
            what=f"The feed {name} cannot be made",
            why=f"{type(error).__name__}: {error} ({Path(place.filename).name}:{place.lineno})",
            next_step=f"Tell those who offer {entry.target}, or remove their plug-in.",
            key=f"feeds.{name}",
            source=entry.target,
        ) from error
