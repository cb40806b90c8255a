"""`ticktrail cqlsh`: Cassandra's own shell."""

from __future__ import annotations

import importlib.util
import os
import sys
from typing import Any, NoReturn

import click

from ticktrail.cli.options import load_settings, settings_options
from ticktrail.errors import ConfigError, UsageError

__all__ = ["cqlsh_command"]

# It was built for 5.0.0 and warns at every other version, also of the same series, which it speaks.
_WITHOUT_WARNING = """
import sys
from cqlshlib import cqlshmain
cqlshmain.Shell.check_build_versions = lambda shell: None
sys.argv[0] = "cqlsh"
cqlshmain.main(sys.argv[1:], "")
"""


@click.command("cqlsh", context_settings={"ignore_unknown_options": True})
@settings_options
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def cqlsh_command(arguments: tuple[str, ...], **options: Any) -> NoReturn:
    """Open the cqlsh shell on the store's keyspace; further arguments are cqlsh's own.

    Example: ticktrail cqlsh -e "SELECT symbol, trade.price FROM latest WHERE feed='sim' LIMIT 5"
    """
    store = load_settings(**options).settings.store
    if not store.hosts:
        raise ConfigError(
            what="No Cassandra is known",
            why="store.hosts is empty and no embedded Cassandra is running",
            next_step="Start one with `ticktrail up`, or set TICKTRAIL_STORE__HOSTS.",
            key="store.hosts",
            source="default",
        )
    if importlib.util.find_spec("cqlshlib") is None:
        raise UsageError(
            what="cqlsh is not installed for this Python",
            why=f"{sys.executable} has no module cqlshlib",
            next_step="Install it with `pip install cqlsh`.",
        )
    command = [
        sys.executable,
        "-c",
        _WITHOUT_WARNING,
        store.hosts.split(",")[0].strip(),
        str(store.port),
        "-k",
        store.keyspace,
    ]
    if store.user:
        command += ["-u", store.user]
        # The password is asked for by cqlsh itself: arguments can be seen by every user of the machine.
    if store.tls:
        command.append("--ssl")
    # In our place, not as a child: Ctrl-C is cqlsh's own, which by it ends a query and not itself.
    os.execv(sys.executable, [*command, *arguments])  # noqa: S606  (our own program)
