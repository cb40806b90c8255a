"""The command line, as ``python -m ticktrail`` and ``ticktrail``: so small that Ctrl-C always finds it."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line and exit with its code."""
    try:
        from ticktrail.cli.main import main as run  # noqa: PLC0415

        run()
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
