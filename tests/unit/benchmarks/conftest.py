"""The benchmarks are part of the checkout, not of the package."""

from __future__ import annotations

import sys
from pathlib import Path

_CHECKOUT = str(Path(__file__).resolve().parents[3])
if _CHECKOUT not in sys.path:
    sys.path.append(_CHECKOUT)
