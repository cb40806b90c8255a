"""What the environment says about the terminal."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TextIO

__all__ = ["wants_color"]


def wants_color(stream: TextIO, environ: Mapping[str, str] | None = None) -> bool:
    """Tell whether text written to a stream should be coloured.

    Source: https://no-color.org (``NO_COLOR``, set and not empty, forbids; ``FORCE_COLOR`` asks).
    """
    variables = os.environ if environ is None else environ
    if variables.get("NO_COLOR"):
        return False
    return bool(variables.get("FORCE_COLOR")) or (stream.isatty() and variables.get("TERM") != "dumb")
