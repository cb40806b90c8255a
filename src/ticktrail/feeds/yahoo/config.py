"""Settings of the Yahoo feed: ``[feeds.yahoo]``."""

from __future__ import annotations

from typing import Annotated

import msgspec

__all__ = ["YahooConfig"]

_Seconds = Annotated[float, msgspec.Meta(gt=0, le=3_600)]


class YahooConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to reach Yahoo's stream.

    Parameters
    ----------
    url
        Of the stream, or of anything that speaks the same protocol.
    open_timeout_s
        How long dialling may take.
    subscribe_every_s
        How often the subscription is repeated; Yahoo forgets it otherwise.
    """

    url: Annotated[str, msgspec.Meta(pattern="^wss?://")] = "wss://streamer.finance.yahoo.com/?version=2"
    open_timeout_s: _Seconds = 10.0
    subscribe_every_s: _Seconds = 15.0
