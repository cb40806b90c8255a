"""Technical indicators over the closes of bars, by TA-Lib.

TA-Lib begins exponential averages with a simple mean of the first values; textbooks' spreadsheets and chart
programs begin with the first value. Both agree once a price that stood still is put before the first bar, and
so it is done here: decision 0015 has the comparison.

===================== ============================= ==========================================================
``vwap()``            vwap                          sum of price × size over sum of size, anew each day
``sma(20)``           sma                           mean of the last n closes
``ema(20)``           ema                           exponential mean, alpha = 2 / (n + 1)
``bbands(20,2)``      lower, middle, upper          mean ∓ k population standard deviations of the last n
``rsi(14)``           rsi                           J. Welles Wilder 1978: alpha = 1 / n over gains and losses
``macd(12,26,9)``     macd, signal, histogram       Gerald Appel: ema(fast) less ema(slow), and its own ema
===================== ============================= ==========================================================
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import talib

from ticktrail.errors import UsageError

__all__ = ["CATALOGUE", "PATTERN", "Indicator", "Spec", "computed", "parsed", "warm_up_bars"]

_SPEC = re.compile(r"([a-z]+)(?:\(([0-9., ]*)\))?")
_PERIOD_MAX = 1_000
_AT_ONCE_MAX = 12

Floats = npt.NDArray[np.float64]
Outputs = dict[str, Floats]
Lines = tuple[Floats, ...]


class Indicator(NamedTuple):
    """What an indicator takes and gives.

    Parameters
    ----------
    parameters
        Name → default.
    outputs
        Its lines.
    is_over_price
        Whether it is drawn over the prices, and not below them.
    """

    parameters: dict[str, float]
    outputs: tuple[str, ...]
    is_over_price: bool


class Spec(NamedTuple):
    """An indicator with its numbers; `text` as it was asked for."""

    text: str
    name: str
    numbers: tuple[float, ...]


CATALOGUE = {
    "vwap": Indicator({}, ("vwap",), is_over_price=True),
    "sma": Indicator({"period": 20}, ("sma",), is_over_price=True),
    "ema": Indicator({"period": 20}, ("ema",), is_over_price=True),
    "bbands": Indicator({"period": 20, "deviations": 2}, ("lower", "middle", "upper"), is_over_price=True),
    "rsi": Indicator({"period": 14}, ("rsi",), is_over_price=False),
    "macd": Indicator(
        {"fast": 12, "slow": 26, "signal": 9}, ("macd", "signal", "histogram"), is_over_price=False
    ),
}


def _pattern() -> str:
    number = "(1000|[1-9][0-9]{1,2}|[2-9])"

    def one(name: str, count: int) -> str:
        numbers = ""
        for _ in range(count):
            numbers = f"({number}{numbers})?" if not numbers else f"({number}(,{numbers[1:-2]})?)?"
        return rf"{name}(\({numbers}\))?"

    specs = "|".join(one(name, len(each.parameters)) for name, each in CATALOGUE.items())
    return rf"^(({specs})(,({specs})){{0,{_AT_ONCE_MAX - 1}}})?$"


PATTERN = _pattern()
"""What a list of indicators looks like, for programs; spaces and broken deviations are taken as well."""


def parsed(text: str) -> list[Spec]:
    """Read a list such as ``sma(20),bbands(20,2),vwap``.

    Raises
    ------
    UsageError
        There is no such indicator, or its numbers make no sense.
    """
    specs = [_spec(part.strip()) for part in re.split(r",(?![^()]*\))", text) if part.strip()]
    if len(specs) > _AT_ONCE_MAX:
        raise _wrong(f"{len(specs)} indicators at once", f"at most {_AT_ONCE_MAX} are computed at once")
    return specs


def warm_up_bars(specs: list[Spec]) -> int:
    """Count the bars before the first shown one by which every average has forgotten how it began.

    An exponential average over n forgets by a factor of e in n / 2 bars; a Wilder average in n.
    """
    return max((int(15 * max(spec.numbers, default=0)) for spec in specs), default=0)


def computed(spec: Spec, close: Floats, volume: Floats, vwap: Floats, days: npt.NDArray[np.int64]) -> Outputs:
    """Compute an indicator.

    Parameters
    ----------
    close, volume, vwap
        Of the bars, shape ``(n,)``; NaN where a bar has none.
    days
        Shape ``(n,)``: the trading date of each, by which ``vwap`` begins anew.

    Returns
    -------
    Output → values, shape ``(n,)``; NaN where there are too few bars yet.
    """
    if spec.name == "vwap":
        return {"vwap": _vwap(volume, vwap, days)}
    formula, before = _FORMULAS[spec.name]
    outputs = CATALOGUE[spec.name].outputs
    has_price = np.flatnonzero(~np.isnan(close))
    found = {name: np.full(len(close), np.nan) for name in outputs}
    if has_price.size:
        first = has_price[0]
        # A bar without a price of its own, of odd lots only, has the one before.
        last_priced = np.maximum.accumulate(np.where(np.isnan(close), 0, np.arange(len(close))))
        flat = before(*(int(number) for number in spec.numbers))
        padded = np.concatenate([np.full(flat, close[first]), close[last_priced][first:]])
        for name, line in zip(outputs, formula(padded, *spec.numbers), strict=True):
            found[name][first:] = line[flat:]
            found[name][first : first + flat] = np.nan
    return found


def _sma(close: Floats, period: float) -> Lines:
    return (talib.SMA(close, int(period)),)


def _ema(close: Floats, period: float) -> Lines:
    return (talib.EMA(close, int(period)),)


def _bbands(close: Floats, period: float, deviations: float) -> Lines:
    upper, middle, lower = talib.BBANDS(close, int(period), deviations, deviations)
    return lower, middle, upper


def _rsi(close: Floats, period: float) -> Lines:
    has_moved = np.maximum.accumulate(close != close[0])
    # Of a price that never moved TA-Lib says 0, which would mean that it only fell.
    return (np.where(has_moved, talib.RSI(close, int(period)), np.nan),)


def _macd(close: Floats, fast: float, slow: float, signal: float) -> Lines:
    line, smooth, histogram = talib.MACD(close, int(fast), int(slow), int(signal))
    return line, smooth, histogram


# Each with the count of bars that it needs before the first: so many are put there, with the first price.
_FORMULAS: dict[str, tuple[Callable[..., Lines], Callable[..., int]]] = {
    "sma": (_sma, lambda period: 0),
    "ema": (_ema, lambda period: period - 1),
    "bbands": (_bbands, lambda period, deviations: 0),
    "rsi": (_rsi, lambda period: period),
    "macd": (_macd, lambda fast, slow, signal: max(fast, slow) + signal - 2),
}


def _vwap(volume: Floats, vwap: Floats, days: npt.NDArray[np.int64]) -> Floats:
    amount = np.cumsum(np.where(volume > 0, vwap * volume, 0.0))
    total = np.cumsum(volume)
    # What had come before the day is taken off again.
    first = np.searchsorted(days, days)
    before_amount = np.concatenate([[0.0], amount])[first]
    before_total = np.concatenate([[0.0], total])[first]
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Floats = (amount - before_amount) / (total - before_total)
    return found


def _spec(text: str) -> Spec:
    match = _SPEC.fullmatch(text)
    if match is None or match[1] not in CATALOGUE:
        raise _wrong(repr(text), f"there are {', '.join(CATALOGUE)}")
    defaults = CATALOGUE[match[1]].parameters
    given = [part for part in (match[2] or "").replace(" ", "").split(",") if part]
    if len(given) > len(defaults):
        raise _wrong(repr(text), f"{match[1]} takes {', '.join(defaults) or 'no numbers'}")
    try:
        numbers = tuple(float(number) for number in given) + tuple(defaults.values())[len(given) :]
    except ValueError:
        raise _wrong(repr(text), "its numbers cannot be read") from None
    for name, number in zip(defaults, numbers, strict=True):
        if name == "deviations" and not 0 < number <= _PERIOD_MAX:
            raise _wrong(repr(text), f"deviations is a number above 0, {_PERIOD_MAX} at most")
        if name != "deviations" and not (2 <= number <= _PERIOD_MAX and number == int(number)):
            raise _wrong(repr(text), f"{name} is a whole number from 2 to {_PERIOD_MAX}")
    return Spec(text, match[1], numbers)


def _wrong(what: str, why: str) -> UsageError:
    return UsageError(
        what=f"{what} cannot be computed", why=why, next_step="For example: sma(20),bbands(20,2),vwap."
    )
