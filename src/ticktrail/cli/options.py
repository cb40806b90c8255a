"""Options that many commands share, and the settings that come of them."""

from __future__ import annotations

import difflib
import functools
import math
import os
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from ticktrail.cli.text import complain
from ticktrail.config import Loaded, Settings, load, unknown_setting
from ticktrail.errors import ConfigError, Terminal, Transient, UsageError

__all__ = [
    "EXIT_TERMINAL",
    "EXIT_TRANSIENT",
    "EXIT_USAGE",
    "FILE",
    "child_options",
    "json_option",
    "known_kinds",
    "listed",
    "load_settings",
    "not_empty",
    "page_option",
    "positive",
    "same_place",
    "settings_options",
]

F = TypeVar("F", bound=Callable[..., Any])

# Of every command.
EXIT_USAGE = 2
# Of a stage that a supervisor started, to tell it whether starting again can help; a stage that was started
# by hand ends with 1 for both.
EXIT_TERMINAL = 3
EXIT_TRANSIENT = 4

_KINDS = ("trades", "quotes", "bars", "status")
# A file's name with room for an ending.
_STAGE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class _File(click.Path):
    """A path; an empty one, such as that of a variable that is not set, would mean the working directory."""

    def convert(
        self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None
    ) -> str | bytes | os.PathLike[str]:
        if not os.fspath(value):
            self.fail("the path is empty.", param, ctx)
        return super().convert(value, param, ctx)


FILE = _File(path_type=Path)


def positive(ctx: click.Context, param: click.Parameter, value: float | None) -> float | None:
    """Refuse what is no number of seconds, symbols or trades: zero, negative, NaN, infinite. A callback."""
    if value is not None and not (value > 0 and math.isfinite(value)):
        raise click.BadParameter(f"{value} is no finite number above 0.", ctx, param)
    return value


def listed(text: str) -> tuple[str, ...]:
    """Split what is given comma-separated."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def not_empty(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Refuse a list of nothing, which is no wish for everything. A callback."""
    if value is not None and not listed(value):
        raise click.BadParameter("it names nothing; leave it out to take the default.", ctx, param)
    return value


def known_kinds(ctx: click.Context, param: click.Parameter, value: str) -> str:
    """Refuse kinds of records that do not exist. A callback."""
    for kind in listed(value):
        if kind not in _KINDS:
            near = difflib.get_close_matches(kind, _KINDS, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(_KINDS)}."
            raise click.BadParameter(f"there is no kind {kind!r}; {hint}", ctx, param)
    not_empty(ctx, param, value)
    return value


def _stage_name(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    if value is not None and not _STAGE_NAME.fullmatch(value):
        raise click.BadParameter("letters, digits, dots and dashes, at most 64, name a stage.", ctx, param)
    return value


def settings_options(function: F) -> F:
    """Add ``--config``, ``--set`` and ``--data-dir``."""
    for option in (
        click.option("--data-dir", type=FILE, help="Where servers and stages keep everything."),
        click.option(
            "--set",
            "assignments",
            multiple=True,
            metavar="KEY=VALUE",
            help="Any setting: --set kafka.partitions=8.",
        ),
        click.option("--config", "config_file", type=FILE, help="A ticktrail.toml to read."),
    ):
        function = option(function)
    return function


def json_option(function: F) -> F:
    """Add ``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")(function)


page_option = click.option(
    "--page/--no-page", "has_page", default=True, help="Serve the page beside it, and evaluate alerts (yes)."
)


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
            complain(f"Error: {error}")
            sys.exit(EXIT_TRANSIENT if isinstance(error, Transient) else EXIT_TERMINAL)

    kind = function.__name__.removesuffix("_command")
    name = click.option(
        "--name",
        "stage_name",
        callback=_stage_name,
        help=f"Name in `status`; by default {kind}, {kind}-2 …",
    )
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


def same_place(settings: Settings) -> str:
    """Give what a further command must be told to meet the same servers: `` --data-dir X``, or nothing."""
    data_dir = settings.stack.data_dir
    try:
        is_default = load().settings.stack.data_dir == data_dir
    except ConfigError:  # of a file that this command was told not to read
        is_default = False
    return "" if is_default else f" --data-dir {shlex.quote(data_dir)}"


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
