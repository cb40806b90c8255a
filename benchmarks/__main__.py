"""Runs all benchmarks and writes ``docs/benchmarks.md``."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

NAMES = ("start", "sink")
_PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"
_HEAD = """# Benchmarks

Written by `make bench`. Ratios compare ways within one run and are what counts; absolute figures hold for one
machine at one moment. A ratio above 1 means that ticktrail is faster.
"""


def main() -> None:
    """Run each in turn; a failure ends the run and leaves the page as it was."""
    sections = [_HEAD]
    for name in NAMES:
        module = importlib.import_module(f"benchmarks.{name}")
        text = module.main()
        sys.stdout.write(text + "\n")
        sections.append(_section(name, (module.__doc__ or "").strip(), json.loads(text)))
    _PAGE.write_text("\n".join(sections), encoding="utf-8")


def _section(name: str, explanation: str, result: dict[str, object]) -> str:
    machine = result.pop("machine")
    assert isinstance(machine, dict)
    place = ", ".join(f"{key} {value}" for key, value in machine.items())
    body = json.dumps(result, indent=2)
    return f"## {name}\n\n`ticktrail bench {name}` on: {place}\n\n{explanation}\n\n```json\n{body}\n```\n"


if __name__ == "__main__":
    main()
