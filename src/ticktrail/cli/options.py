"""Options that many commands share, and the settings that come of them."""

from __future__ import annotations

import functools
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from ticktrail.config import Loaded, load, unknown_setting
from ticktrail.errors import ConfigError, Terminal, Transient, UsageError

__all__ = [
    "EXIT_TERMINAL",
    "EXIT_TRANSIENT",
    "EXIT_USAGE",
    "child_options",
    "json_option",
    "load_settings",
    "positive",
    "settings_options",
]

F = TypeVar("F", bound=Callable[..., Any])

# Of every command.
EXIT_USAGE = 2
# Of a stage that a supervisor started, to tell it whether starting again can help; a stage that was started
# by hand ends with 1 for both.
EXIT_TERMINAL = 3
EXIT_TRANSIENT = 4


def positive(ctx: click.Context, param: click.Parameter, value: float | None) -> float | None:
    """Refuse what is no number of seconds, symbols or trades: zero, negative, NaN, infinite. A callback."""
    if value is not None and not (value > 0 and math.isfinite(value)):
        raise click.BadParameter(f"{value} is no finite number above 0.", ctx, param)
    return value


def settings_options(function: F) -> F:
    """Add ``--config``, ``--set`` and ``--data-dir``."""
    for option in (
        click.option(
            "--data-dir", type=click.Path(path_type=Path), help="Where servers and stages keep everything."
        ),
        click.option(
            "--set",
            "assignments",
            multiple=True,
            metavar="KEY=VALUE",
            help="Any setting: --set kafka.partitions=8.",
        ),
        click.option(
            "--config", "config_file", type=click.Path(path_type=Path), help="A ticktrail.toml to read."
        ),
    ):
        function = option(function)
    return function


def json_option(function: F) -> F:
    """Add ``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")(function)


def child_options(function: F) -> F:
    """Add what a stage's command needs to run as one of many: ``--name``, ``--stop-with-parent``.

    A stage with a parent says by its exit code which kind of error ended it.
    """

    @functools.wraps(function)
    def run(*, is_child: bool, **options: Any) -> Any:
        try:
            return function(is_child=is_child, **options)
        except (UsageError, ConfigError):
            raise
        except (Transient, Terminal) as error:
            if not is_child:
                raise
            click.secho(f"Error: {error}", fg="red", err=True)
            sys.exit(EXIT_TRANSIENT if isinstance(error, Transient) else EXIT_TERMINAL)

    name = click.option("--name", "stage_name", help="Name in `status`; by default persist, persist-2 …")
    child = click.option("--stop-with-parent", "is_child", is_flag=True, hidden=True)
    return name(child(cast("F", run)))


def load_settings(
    config_file: Path | None,
    assignments: tuple[str, ...],
    data_dir: Path | None = None,
    **flags: Any,
) -> Loaded:
    """Load the settings with the flags on top.

    Parameters
    ----------
    flags
        Further overrides, with ``__`` for the dot: ``kafka__partitions=8``; None means not given.

    Raises
    ------
    UsageError
        An assignment is not of the form KEY=VALUE.
    ConfigError
        As `ticktrail.config.load` has it.
    """
    overrides: dict[str, Any] = {}
    for assignment in assignments:
        key, separator, value = assignment.partition("=")
        if not separator or not key.strip():
            raise UsageError(
                what=f"--set {assignment} assigns nothing",
                next_step="Write --set KEY=VALUE, for instance --set kafka.partitions=8.",
            )
        overrides[key.strip()] = value.strip()
    if data_dir is not None:
        overrides["stack.data_dir"] = str(data_dir.absolute())
    overrides |= {key.replace("__", "."): value for key, value in flags.items() if value is not None}
    loaded = load(config_file=config_file, overrides=overrides)
    _check_feeds(loaded)
    return loaded


def _check_feeds(loaded: Loaded) -> None:
    """Refuse tables of feeds that do not exist: a feed checks only its own, and a slip would go unseen."""
    if not loaded.settings.feeds:
        return
    # Feeds bring NumPy along, which `--help` and `status` need not wait for.
    from ticktrail.feeds.registry import names  # noqa: PLC0415

    known = names()
    for feed in loaded.settings.feeds:
        if feed not in known:
            inside = (origin for key, origin in loaded.origins.items() if key.startswith(f"feeds.{feed}."))
            source = next(inside, "the settings")
            raise unknown_setting(f"feeds.{feed}", [f"feeds.{name}" for name in known], source)
