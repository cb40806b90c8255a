"""Measures, and writes the results into ``docs/benchmarks.md``: all, or those named.

What the page says outside of its measured sections is written by hand, and stays.
"""

from __future__ import annotations

import importlib
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ticktrail.errors import FileFormatError

__all__ = ["NAMES", "main", "section_of", "with_section"]

NAMES = ("start", "sink", "produce", "pipeline", "replay", "latency", "steady", "alerts", "dashboard")
_COMMANDS = {"replay": "pipeline --replay"}
_DOCS = Path(__file__).resolve().parent.parent / "docs"
_PAGE = _DOCS / "benchmarks.md"
_PICTURES = {name: _DOCS / "assets" / f"{name}.svg" for name in ("latency", "steady")}


def main(names: Sequence[str] = NAMES) -> None:
    """Run each in turn. A failure ends the run; what was measured before it stands in the page."""
    if unknown := set(names) - set(NAMES):
        sys.exit(f"There is no benchmark {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}.")
    for name in names:
        module = importlib.import_module(f"benchmarks.{name}")
        picture = {"svg": _PICTURES[name]} if name in _PICTURES else {}
        try:
            text = module.main(**picture)
        except FileFormatError as error:
            if len(names) == 1:
                sys.exit(str(error))
            sys.stderr.write(f"{name} is left out. {error}\n")  # not everybody has the recordings
            continue
        sys.stdout.write(text + "\n")
        section = section_of(name, (module.__doc__ or "").strip(), json.loads(text))
        _PAGE.write_text(with_section(_PAGE.read_text(encoding="utf-8"), name, section), encoding="utf-8")


def section_of(name: str, explanation: str, result: dict[str, Any]) -> str:
    """Write a result as Markdown. What it has over time is left to its picture."""
    result = {key: value for key, value in result.items() if key != "over_time"}
    place = ", ".join(f"{key} {value}" for key, value in result.pop("machine").items())
    parts = [
        f"## {name}",
        f"`ticktrail bench {_COMMANDS.get(name, name)}` on: {place}",
        explanation,
        *([f"![{name} over time](assets/{_PICTURES[name].name})"] if name in _PICTURES else []),
        f"```json\n{json.dumps(result, indent=2)}\n```",
        _end_of(name),
    ]
    return "\n\n".join(parts) + "\n"


def with_section(page: str, name: str, section: str) -> str:
    """Put a section in the place of its former one, or at the page's end."""
    former = re.compile(rf"^## {re.escape(name)}\n.*?^{re.escape(_end_of(name))}\n", re.MULTILINE | re.DOTALL)
    if former.search(page):
        return former.sub(lambda _: section, page, count=1)
    return f"{page.rstrip()}\n\n{section}"


def _end_of(name: str) -> str:
    return f"<!-- end of {name} -->"


if __name__ == "__main__":
    main(sys.argv[1:] or NAMES)
