"""Types that settings share, with their ranges."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

__all__ = [
    "BatchMilliseconds",
    "Consistency",
    "Count",
    "Keyspace",
    "Milliseconds",
    "Name",
    "Port",
    "Seconds",
    "Section",
    "TopicPrefix",
]

Port = Annotated[int, msgspec.Meta(ge=0, le=65_535)]
Count = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
Name = Annotated[str, msgspec.Meta(min_length=1)]
# A day: longer is a slip of units, and infinity would make a stop wait for ever.
Seconds = Annotated[float, msgspec.Meta(gt=0, le=86_400)]
Milliseconds = Annotated[float, msgspec.Meta(ge=0, le=86_400_000)]
BatchMilliseconds = Annotated[int, msgspec.Meta(ge=0, le=60_000)]
# What Kafka allows in a topic's name, with room for the rest of it below 249 characters.
TopicPrefix = Annotated[str, msgspec.Meta(pattern=r"^[a-zA-Z0-9._-]{1,100}$")]
# What CQL takes unquoted; capitals would be folded silently.
Keyspace = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_]{0,47}$")]
Consistency = Literal["ONE", "TWO", "THREE", "QUORUM", "ALL", "LOCAL_QUORUM", "EACH_QUORUM", "LOCAL_ONE"]


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of the sections: immutable, by keyword only, unknown names refused."""
