"""What is free goes back to the system."""

from __future__ import annotations

import subprocess
import sys

HOLES = """
import time
import psutil
from ticktrail.cli import memory

memory._TRIM_EVERY_S = 0.05
me = psutil.Process()
with memory.settled_memory():
    before = me.memory_info().rss
    kept = [bytearray(1 << 20) for _ in range(200)]
    full = me.memory_info().rss
    # The last one keeps the end of the heap where it is: all the others are holes below it.
    del kept[:-1]
    deadline = time.monotonic() + 20
    while me.memory_info().rss > before + (full - before) // 4 and time.monotonic() < deadline:
        time.sleep(0.02)
    print(full - before >= 190 << 20, me.memory_info().rss <= before + (full - before) // 4)
"""


def test_holes_in_the_heap_are_given_back() -> None:
    done = subprocess.run(
        [sys.executable, "-c", HOLES], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.split() == ["True", "True"], done.stderr
