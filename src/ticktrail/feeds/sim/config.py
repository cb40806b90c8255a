"""Settings of the simulated exchange: ``[feeds.sim]``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from ticktrail.config import Secret, convert_section
from ticktrail.feeds.sim.faults import Faults, PerMillion, Seconds

__all__ = ["SYMBOLS_MAX", "SimSettings", "read_settings"]

# Symbol numbers travel in 16 bits, and the generated names (ZAAA … ZZZZ) end at 17,576.
SYMBOLS_MAX = 15_000

Count = Annotated[int, Meta(ge=0, le=2**50)]

# They stand in the same section and belong to the feed that reads the exchange.
_OF_THE_CLIENT = frozenset({"url", "encoding", "open_timeout_s"})


class SimSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the exchange trades, how fast, and how it behaves on the wire.

    Parameters
    ----------
    seed
        Everything random follows from it.
    symbols
        How many are listed, 1 … `SYMBOLS_MAX`.
    rate
        Trades per second, on average over a session.
    quotes_per_trade
        Quotes sent per trade, on average; 0 sends none.
    session_s
        Length of one simulated trading day, which repeats: a burst at its open, a lull, a burst at its
        close, then a short extended session. 0 is one endless session at an even rate.
    daily_volatility
        Standard deviation of a typical symbol's return over 6.5 hours.
    late_per_million, corrections_per_million, cancels_per_million
        Of all trades: reported late (condition Z), corrected, cancelled.
    halts_per_hour, halt_s
        How often some symbol is halted, and for how long.
    bars
        Whether minute bars are computed and offered.
    start_at_once
        Start trading before a client has subscribed.
    trades_max, seconds
        Stop trading after so many trades, or so long; 0 never. The connections then stay, silent.
    close_at_end
        After that, close them and return instead.
    port
        On loopback; 0 takes a free one.
    key, secret
        What a client must authenticate with.
    auth_timeout_s
        How long it may take to do so.
    connections_max, symbols_max
        Beyond them clients get errors 406 and 405. `symbols_max` is per channel; 0 is no limit.
    client_buffer_bytes_max
        Unread bytes held for one client before it gets error 407 and is closed.
    messages_per_frame_max
        Keeps frames below the 1 MiB that common websocket clients accept by default.
    step_ms
        How often what is due is sent.
    log_dir
        Where the exchange's own log goes; empty keeps none.
    log_bytes_max
        Where that log ends (with a note in its faults table that it did).
    faults
        What goes wrong, on request.
    """

    seed: Annotated[int, Meta(ge=0, lt=2**62)] = 1
    symbols: Annotated[int, Meta(ge=1, le=SYMBOLS_MAX)] = 500
    rate: Annotated[float, Meta(ge=0.001, le=1e6)] = 1_000.0
    quotes_per_trade: Annotated[float, Meta(ge=0, le=100)] = 1.0
    session_s: Seconds = 300.0
    daily_volatility: Annotated[float, Meta(ge=0, le=1)] = 0.02
    late_per_million: PerMillion = 2_000.0
    corrections_per_million: PerMillion = 50.0
    cancels_per_million: PerMillion = 100.0
    halts_per_hour: Annotated[float, Meta(ge=0, le=36_000)] = 60.0
    halt_s: Annotated[float, Meta(gt=0, le=86_400)] = 20.0
    bars: bool = True
    start_at_once: bool = False
    trades_max: Count = 0
    seconds: Seconds = 0.0
    close_at_end: bool = False
    port: Annotated[int, Meta(ge=0, le=65_535)] = 0
    key: Secret = Secret("sim")
    secret: Secret = Secret("sim")
    auth_timeout_s: Annotated[float, Meta(gt=0, le=3_600)] = 10.0
    connections_max: Annotated[int, Meta(ge=1, le=255)] = 16
    symbols_max: Count = 0
    client_buffer_bytes_max: Annotated[int, Meta(ge=1_024, le=2**32)] = 64 * 1024 * 1024
    messages_per_frame_max: Annotated[int, Meta(ge=1, le=4_000)] = 1_000
    step_ms: Annotated[float, Meta(ge=0.5, le=1_000)] = 5.0
    log_dir: str = ""
    log_bytes_max: Count = 8 * 1024 * 1024 * 1024
    faults: Faults = Faults()


def read_settings(section: Mapping[str, Any]) -> SimSettings:
    """Read and check the exchange's part of ``[feeds.sim]``.

    Raises
    ------
    ConfigError
        A setting is unknown (the nearest one is named), of the wrong type or out of range.
    """
    own = {name: value for name, value in section.items() if name not in _OF_THE_CLIENT}
    return convert_section(own, SimSettings, path="feeds.sim")
