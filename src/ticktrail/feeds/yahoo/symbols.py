"""Canonical symbols to Yahoo's and back.

Yahoo writes share classes with a hyphen, ``BRK-B``, because a point begins the suffix of a foreign exchange
(``VOD.L``, ``7203.T``). Classes are A to C; no exchange has such a suffix, so both ways are unambiguous.
"""

from __future__ import annotations

import re

__all__ = ["from_yahoo", "to_yahoo"]

_CANONICAL_CLASS = re.compile(r"([A-Z]{1,5})\.([ABC])")
_YAHOO_CLASS = re.compile(r"([A-Z]{1,5})-([ABC])")


def to_yahoo(symbol: str) -> str:
    """Spell a canonical symbol as Yahoo does."""
    found = _CANONICAL_CLASS.fullmatch(symbol)
    return f"{found[1]}-{found[2]}" if found else symbol


def from_yahoo(symbol: str) -> str:
    """Spell one of Yahoo's symbols canonically."""
    found = _YAHOO_CLASS.fullmatch(symbol)
    return f"{found[1]}.{found[2]}" if found else symbol
