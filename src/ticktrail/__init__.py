"""Live stock market data through Kafka into Cassandra, asked with SQL."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ticktrail.api import read, sql
    from ticktrail.codec import decode

    __version__: str

__all__ = ["__version__", "decode", "read", "sql"]

# Imported when first used: a consumer that only decodes needs neither DuckDB nor a Cassandra driver.
_HOMES = {"decode": "ticktrail.codec", "read": "ticktrail.api", "sql": "ticktrail.api"}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415  (slow, and for this alone)

        return version("ticktrail")
    if name not in _HOMES:
        raise AttributeError(f"module 'ticktrail' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
