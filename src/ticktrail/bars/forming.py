"""Bars that are still open, for people who look on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ticktrail.model import Bar, Columns

__all__ = ["most_traded"]

_SHOWN_BARS_MAX = 40
_NAMES = ("symbol", "ts_open_ns", "open", "high", "low", "close", "volume", "vwap", "trades")


def most_traded(parts: Sequence[Columns[Bar]]) -> list[dict[str, Any]]:
    """Choose the bars with the most trades, and what is shown of each."""
    whole = Columns.concat(parts) if parts else None
    if whole is None or not len(whole):
        return []
    chosen = whole.take(np.argsort(-whole["trades"], kind="stable")[:_SHOWN_BARS_MAX])
    return [{name: getattr(bar, name) for name in _NAMES} for bar in chosen.to_records()]
