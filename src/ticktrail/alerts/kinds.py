"""The kinds of rules: what each takes, where it looks, and in which unit it reckons."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

__all__ = [
    "KINDS",
    "BarCondition",
    "Direction",
    "Gaps",
    "Kind",
    "Lag",
    "NewExtreme",
    "NoParams",
    "Params",
    "PercentMove",
    "PriceCrosses",
    "SigmaMove",
    "Silent",
    "Spread",
    "VolumeSpike",
    "VwapCross",
]

Direction = Literal["up", "down", "either"]
Interval = Literal["1s", "1m", "5m", "1h", "1d"]
BarField = Literal["open", "high", "low", "close", "volume", "vwap", "trades", "range", "change_pct"]
Aggregate = Literal["last", "first", "mean", "min", "max", "sum"]
# Longer windows of bars would be kept for every symbol.
BarWindow = Annotated[int, msgspec.Meta(ge=1, le=200)]
Positive = Annotated[float, msgspec.Meta(gt=0, le=1e15)]
# From a second, and of a day at most: beyond that daily bars are the better question.
WindowSeconds = Annotated[int, msgspec.Meta(ge=1, le=86_400)]


class Params(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of what a kind takes."""


class NoParams(Params, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of kinds that need nothing more."""


class PriceCrosses(Params, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The last price reaches a price from the other side of it.

    Parameters
    ----------
    price
        In the instrument's currency.
    """

    price: Positive
    direction: Direction = "either"


class PercentMove(Params, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The last price lies so far from the lowest (up) or highest (down) price of the window.

    Parameters
    ----------
    percent
        Of that price.
    window_s
        In sixtieths: the present one and the 59 before it.
    """

    percent: Positive
    window_s: WindowSeconds
    direction: Direction = "either"


class SigmaMove(Params, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The move since the last window's end, in standard deviations of the moves of the 60 windows before.

    Parameters
    ----------
    sigmas
        How many.
    window_s
        Windows without trades are passed over; with fewer than 20 moves there is no answer.
    """

    sigmas: Positive
    window_s: WindowSeconds
    direction: Direction = "either"


class VolumeSpike(Params, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A bar's volume is so many times what is usual at this time of the day.

    Parameters
    ----------
    times
        The mean volume of the bars at the same local time on earlier days.
    days
        How many days on which the symbol traded are looked back upon.
    days_min
        With fewer there is no answer.
    volume_min
        Bars with less are no spike.
    """

    times: Positive
    days: Annotated[int, msgspec.Meta(ge=1, le=250)] = 20
    days_min: Annotated[int, msgspec.Meta(ge=1, le=250)] = 3
    volume_min: Annotated[float, msgspec.Meta(ge=0, le=1e15)] = 0.0


class Spread(Params, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ask less bid.

    Parameters
    ----------
    at_least
        In the unit.
    unit
        ``"bps"`` of the middle, or ``"price"``.
    """

    at_least: Positive
    unit: Literal["bps", "price"] = "bps"


class VwapCross(Params, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The last price crosses the day's volume-weighted average price."""

    direction: Direction = "either"


class NewExtreme(Params, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A trade above all, or below all, of the trading day's before it.

    Parameters
    ----------
    by_percent
        How far beyond at least.
    """

    by_percent: Annotated[float, msgspec.Meta(ge=0, le=1_000)] = 0.0


class Gaps(Params, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A row in the ledger of gaps.

    Parameters
    ----------
    causes
        Only these; empty: all.
    seconds_min
        Only windows as long as this.
    """

    causes: tuple[str, ...] = ()
    seconds_min: Annotated[float, msgspec.Meta(ge=0, le=1e9)] = 0.0


class Silent(Params, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """No trade of a symbol for so long, while capture is alive and the session is regular.

    Parameters
    ----------
    seconds
        In the time of the symbol's partition.
    """

    seconds: Annotated[float, msgspec.Meta(ge=1, le=86_400)]


class Lag(Params, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From the venue's time of a trade until it stood in Kafka.

    Parameters
    ----------
    at_least_ms
        Milliseconds.
    """

    at_least_ms: Positive


class BarCondition(Params, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An aggregate of the last bars compared with a number, or with another aggregate.

    ``field="volume", op=">", than_field="volume", than_aggregate="mean", than_window=20, times=3``: a bar
    with three times the mean volume of the 20 bars before it.

    Parameters
    ----------
    field, aggregate, window
        Over so many bars, the last one included.
    op
        How they are compared.
    value
        A number; or instead:
    than_field, than_aggregate, than_window, times
        Over so many bars *before* the left side's, times a factor.
    """

    field: BarField
    op: Literal[">", ">=", "<", "<="]
    aggregate: Aggregate = "last"
    window: BarWindow = 1
    value: float | None = None
    than_field: BarField | None = None
    than_aggregate: Aggregate = "mean"
    than_window: BarWindow = 20
    times: Positive = 1.0

    def __post_init__(self) -> None:
        if (self.value is None) == (self.than_field is None):
            raise ValueError("give either value or than_field")


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a kind.

    Parameters
    ----------
    params
        What it takes.
    source
        The records that it looks at: ``"trades"``, ``"quotes"``, ``"status"``, ``"gaps"`` or ``"bars"``.
    unit
        Of value, threshold and hysteresis.
    is_crossing
        Whether the first value only tells the side; else it may fire at once.
    note
        What it says, where `params` is of several kinds.
    """

    params: type[Params]
    source: str
    unit: str = ""
    is_crossing: bool = False
    note: str = ""


KINDS: dict[str, Kind] = {
    "price_crosses": Kind(params=PriceCrosses, source="trades", is_crossing=True),
    "percent_move": Kind(params=PercentMove, source="trades", unit="%"),
    "sigma_move": Kind(params=SigmaMove, source="trades", unit="σ"),
    "volume_spike": Kind(params=VolumeSpike, source="bars", unit="×"),
    "spread": Kind(params=Spread, source="quotes"),
    "vwap_cross": Kind(params=VwapCross, source="trades", unit="%", is_crossing=True),
    "new_high": Kind(
        params=NewExtreme, source="trades", unit="%", note="A trade above all of the trading day's before it."
    ),
    "new_low": Kind(
        params=NewExtreme, source="trades", unit="%", note="A trade below all of the trading day's before it."
    ),
    "halt": Kind(params=NoParams, source="status", note="Trading of the symbol stops, or pauses."),
    "resume": Kind(params=NoParams, source="status", note="Trading goes on after a halt that was seen."),
    "gap": Kind(params=Gaps, source="gaps", unit="s"),
    "silent_feed": Kind(params=Silent, source="trades", unit="s"),
    "lag": Kind(params=Lag, source="trades", unit="ms"),
    "bar_condition": Kind(params=BarCondition, source="bars"),
}
