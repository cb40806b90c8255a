"""The `ticktrail` command: finds the subcommand, and turns errors into messages and exit codes.

Exit codes: 0 success, 1 failure, 2 wrong usage.
"""

from __future__ import annotations

import difflib
import importlib
import os
import sys
from typing import Any

import click

from ticktrail.cli.options import EXIT_USAGE
from ticktrail.cli.text import complain, write_any_text
from ticktrail.errors import ConfigError, StageFailed, TicktrailError, UsageError

__all__ = ["main"]

# Name → module and one line for the overview. Modules are imported only when used, so that `ticktrail
# --help` answers at once whatever a command needs.
_COMMANDS = {
    "demo": ("demo", "Everything on one machine: servers, market, pipeline, live view."),
    "up": ("servers", "Start the embedded Kafka and Cassandra."),
    "down": ("servers", "Stop them."),
    "status": ("status", "Say how the servers and stages fare, once or live."),
    "logs": ("servers", "Show a server's log."),
    "run": ("run", "Capture + persist + bars of one feed, supervised."),
    "capture": ("capture", "One stage: a feed into Kafka."),
    "persist": ("persist", "One stage: Kafka into Cassandra."),
    "bars": ("bars", "One stage: trades into bars."),
    "serve": ("serve", "The page, the API and the live stream."),
    "alerts": ("alerts", "One stage: rules on the live data; their alerts."),
    "top": ("top", "Watch the market live on a terminal."),
    "exchange": ("exchange", "Serve the simulated exchange."),
    "import": ("imports", "Recorded files, through Kafka like everything else."),
    "replay": ("replay", "Send dead letters once more, after a fix."),
    "sql": ("sql", "Ask the store with SQL."),
    "cqlsh": ("cqlsh", "Open Cassandra's own shell on the store."),
    "tail": ("tail", "Print a topic's values as they come."),
    "feeds": ("feeds", "List the feeds."),
    "config": ("config", "Show every setting and where it comes from."),
    "bench": ("bench", "Measure: latency, pipeline, produce, sink, start, steady."),
}


class _Lazy(click.Group):
    """Imports a command's module when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"ticktrail.cli.{_COMMANDS[cmd_name][0]}")
        command: click.Command = getattr(module, f"{cmd_name}_command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in _COMMANDS and (near := difflib.get_close_matches(args[0], _COMMANDS, n=1)):
            ctx.fail(f"No such command {args[0]!r}. Did you mean {near[0]}?")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="ticktrail", prog_name="ticktrail")
def cli() -> None:
    """Follow every tick from the venue to the table: feed, Kafka, Cassandra, SQL.

    Try `ticktrail demo`. Every command has --help with an example.
    """


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    write_any_text()
    try:
        result: Any = cli.main(arguments, prog_name="ticktrail", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(EXIT_USAGE)
    except click.Abort:
        click.echo("Stopped.", err=True)
        sys.exit(1)
    except TicktrailError as error:
        complain(f"Error: {error}")
        sys.exit(_exit_code(error))
    except BrokenPipeError:  # who reads it has seen enough: `ticktrail tail trades | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the last flush complains
        sys.exit(1)
    except OSError as error:  # a full disk, a directory that may not be written: no fault of the program
        what = f"Cannot use {error.filename}" if error.filename else "The system refused"
        step = "Check the path, its permissions, and the room on its disk."
        complain(f"Error: {what}: {error.strerror or error}. {step}")
        sys.exit(1)
    sys.exit(result if isinstance(result, int) else 0)


def _exit_code(error: TicktrailError) -> int:
    wrongly_called = isinstance(error, StageFailed) and error.code == EXIT_USAGE
    return EXIT_USAGE if wrongly_called or isinstance(error, UsageError | ConfigError) else 1
