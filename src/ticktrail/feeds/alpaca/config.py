"""Settings of the Alpaca feed: ``[feeds.alpaca]``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from ticktrail.config import Secret, convert_section
from ticktrail.config.section import variable_of
from ticktrail.errors import ConfigError
from ticktrail.feeds.alpaca.decode import Encoding

__all__ = ["AlpacaConfig", "read_config"]

Plan = Literal["iex", "sip", "delayed_sip", "test"]
Seconds = Annotated[float, Meta(gt=0, le=3_600)]


class AlpacaConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to reach Alpaca, and as whom.

    Parameters
    ----------
    plan
        Which of Alpaca's streams: ``"iex"`` (free), ``"sip"``, ``"delayed_sip"``, or ``"test"``, which
        sends the symbol FAKEPACA round the clock.
    url
        A whole URL instead, for anything that speaks the same protocol.
    key, secret
        Of an Alpaca account.
    encoding
        ``"json"`` or ``"msgpack"``; the columns are the same, MessagePack is smaller on the wire.
    open_timeout_s
        How long dialling may take.
    auth_timeout_s
        How long each answer of the dialogue may take. The venue itself waits 10 s for the keys.
    quote_size_unit
        Shares in one unit of a quote's size. 0 follows the venue: shares since 2025-11-03, when the
        SEC's new round lots began, lots of 100 shares before.
    """

    plan: Plan = "iex"
    url: Annotated[str, Meta(pattern="^(wss?://|$)")] = ""
    key: Secret = Secret("")
    secret: Secret = Secret("")
    encoding: Encoding = "json"
    open_timeout_s: Seconds = 10.0
    auth_timeout_s: Seconds = 10.0
    quote_size_unit: Annotated[int, Meta(ge=0, le=10_000)] = 0

    @property
    def address(self) -> str:
        """The URL to dial."""
        return self.url or f"wss://stream.data.alpaca.markets/v2/{self.plan}"


def read_config(feed: str, settings: Mapping[str, Any]) -> AlpacaConfig:
    """Read and check the section of a feed.

    Raises
    ------
    ConfigError
        A setting is unknown, missing, of the wrong type or out of range.
    """
    config = convert_section(settings, AlpacaConfig, path=f"feeds.{feed}")
    for name in ("key", "secret"):
        if not getattr(config, name):
            raise ConfigError(
                what=f"Feed {feed} has no {name}",
                why="the venue admits nobody without it",
                next_step=f"Set {variable_of(f'feeds.{feed}.{name}')}.",
                key=f"feeds.{feed}.{name}",
                source="the settings",
            )
    return config
