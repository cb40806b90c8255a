"""Technical indicators over the closes of bars, by pandas.

Exponential averages begin with the first value and go on recursively (pandas' ``adjust=False``), as chart
programs show them and as the textbooks' spreadsheets have them; libraries that begin with a simple average of
the first values (TA-Lib) differ from those by points while they warm up. Decision 0015 has the comparison.

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
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ticktrail.errors import UsageError

__all__ = ["CATALOGUE", "PATTERN", "Indicator", "Spec", "computed", "parsed", "warm_up_bars"]

_SPEC = re.compile(r"([a-z]+)(?:\(([0-9., ]*)\))?")
_PERIOD_MAX = 1_000
_AT_ONCE_MAX = 12

Floats = npt.NDArray[np.float64]
Outputs = dict[str, Floats]


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
    number = "(1000|[1-9][0-9]{0,2})"

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
    import pandas as pd  # noqa: PLC0415 (half a second, and only for this)

    return _FORMULAS[spec.name](pd.Series(close).ffill(), *spec.numbers)


def _sma(close: Any, period: float) -> Outputs:
    return {"sma": close.rolling(int(period)).mean().to_numpy()}


def _ema(close: Any, period: float) -> Outputs:
    return {"ema": _smooth(close, period, int(period)).to_numpy()}


def _bbands(close: Any, period: float, deviations: float) -> Outputs:
    window = close.rolling(int(period))
    middle, distance = window.mean(), deviations * window.std(ddof=0)
    return {
        "lower": (middle - distance).to_numpy(),
        "middle": middle.to_numpy(),
        "upper": (middle + distance).to_numpy(),
    }


def _rsi(close: Any, period: float) -> Outputs:
    change = close.diff().fillna(0.0)
    settings = {"alpha": 1 / period, "adjust": False, "min_periods": int(period) + 1}
    gain = change.clip(lower=0).ewm(**settings).mean()
    loss = (-change).clip(lower=0).ewm(**settings).mean()
    with np.errstate(divide="ignore", invalid="ignore"):
        strength = gain.to_numpy() / loss.to_numpy()
        return {"rsi": 100 - 100 / (1 + strength)}


def _macd(close: Any, fast: float, slow: float, signal: float) -> Outputs:
    line = _smooth(close, fast, 1) - _smooth(close, slow, int(slow))
    smooth = line.ewm(span=signal, adjust=False, min_periods=int(signal)).mean()
    return {"macd": line.to_numpy(), "signal": smooth.to_numpy(), "histogram": (line - smooth).to_numpy()}


_FORMULAS: dict[str, Callable[..., Outputs]] = {
    "sma": _sma,
    "ema": _ema,
    "bbands": _bbands,
    "rsi": _rsi,
    "macd": _macd,
}


def _smooth(close: Any, period: float, from_bar: int) -> Any:
    return close.ewm(span=period, adjust=False, min_periods=from_bar).mean()


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
        if not 0 < number <= _PERIOD_MAX or (name != "deviations" and number != int(number)):
            raise _wrong(repr(text), f"{name} is a whole number from 1 to {_PERIOD_MAX}")
    return Spec(text, match[1], numbers)


def _wrong(what: str, why: str) -> UsageError:
    return UsageError(
        what=f"{what} cannot be computed", why=why, next_step="For example: sma(20),bbands(20,2),vwap."
    )
