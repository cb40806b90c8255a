"""Options that many commands share, and the settings that come of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from ticktrail.config import Loaded, load
from ticktrail.errors import UsageError

__all__ = ["child_options", "json_option", "load_settings", "settings_options"]

F = TypeVar("F", bound=Callable[..., Any])


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
    """Add what a stage's command needs to run as one of many: ``--name``, ``--stop-with-parent``."""
    name = click.option("--name", "stage_name", help="Name in `status`, for a second process of a stage.")
    child = click.option("--stop-with-parent", "is_child", is_flag=True, hidden=True)
    return name(child(function))


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
        if not separator:
            raise UsageError(
                what=f"--set {assignment} assigns nothing",
                next_step="Write --set KEY=VALUE, for instance --set kafka.partitions=8.",
            )
        overrides[key.strip()] = value.strip()
    if data_dir is not None:
        overrides["stack.data_dir"] = str(data_dir.absolute())
    overrides |= {key.replace("__", "."): value for key, value in flags.items() if value is not None}
    return load(config_file=config_file, overrides=overrides)
