"""`ticktrail` with a wall clock that is off by as many seconds as a file says, from one moment to the next.

Run as ``stepped.py FILE COMMAND …``. The machine's own clock is never touched.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from ticktrail.cli.main import main
from ticktrail.clock import NS_PER_SECOND, SystemClock

offset = Path(sys.argv.pop(1))


def stepped_ns(self: SystemClock) -> int:
    del self
    return time.time_ns() + int(offset.read_text("ascii")) * NS_PER_SECOND


SystemClock.now_ns = stepped_ns  # type: ignore[method-assign]
main()
