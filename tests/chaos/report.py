"""The results of a run, as a page of the documentation."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import psutil
from chaos.checks import Verdict

_HEAD = """\
# Reliability

Processes are killed, frozen and cut off under load; afterwards the store is compared with the simulated
exchange's own log, record by record, by clients that share no code with the pipeline. This page is the last
result of:

```bash
make chaos
```

"""
_TAIL = """
*Sent* are the trades that the exchange handed to a connected client, *stored* the rows of the table.
*Excused* are trades that were sent while capture itself was down or cut off, each inside a window that the
gap ledger names. Nothing may be stored twice, in another order, with other content, or be missing otherwise;
whatever is committed is stored; each value in Kafka is a row, a dead letter or a heartbeat; every bar equals
the one computed from the exchange's log. One scenario is repeated by

```bash
pytest tests/chaos --chaos --chaos-seed N -k NAME
```

What is promised, and why it holds: [guarantees](guarantees.md).
"""


@dataclass
class Report:
    """Collects the results of one run.

    Parameters
    ----------
    rate
        Trades per second of every scenario.
    """

    rate: float
    rows: list[str] = field(default_factory=list)

    def add(
        self, name: str, seed: int, seconds: float, faults: int, verdict: Verdict, result: str = ""
    ) -> None:
        """Add one scenario; `result` where something else is right than that nothing is missing."""
        result = result or "; ".join(verdict.problems) or "nothing lost, nothing doubled"
        self.rows.append(
            f"| {name} | {seed} | {faults} | {seconds:.0f} s | {verdict.sent:,} | {verdict.stored:,} "
            f"| {verdict.excused:,} | {verdict.bars:,} | {result} |"
        )

    def write(self, path: Path) -> None:
        """Write the page."""
        memory_gib = psutil.virtual_memory().total / 2**30
        machine = f"{os.cpu_count()} cores, {memory_gib:.0f} GiB, {platform.system()} {platform.machine()}"
        when = datetime.now(UTC).date().isoformat()
        table = [
            "| scenario | seed | faults | took | sent | stored | excused | bars | result |",
            "|---|---:|---:|---:|---:|---:|---:|---:|---|",
            *self.rows,
        ]
        about = f"{when}, {machine}, {self.rate:,.0f} trades/s.\n\n"
        path.write_text(_HEAD + about + "\n".join(table) + "\n" + _TAIL, encoding="utf-8")
