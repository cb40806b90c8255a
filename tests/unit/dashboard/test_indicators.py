"""Indicators against plain recursions, and against published spreadsheets."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from ticktrail.dashboard.indicators import computed, parsed, warm_up_bars
from ticktrail.errors import UsageError

NONE = np.empty(0)

Floats = npt.NDArray[np.float64]


def of(text: str, close: Floats) -> dict[str, Floats]:
    (spec,) = parsed(text)
    return computed(spec, close, np.ones(len(close)), close, np.zeros(len(close), dtype=np.int64))


def closes(count: int = 200) -> Floats:
    random = np.random.default_rng(5)
    walk: Floats = 100 + random.normal(0, 1, count).cumsum()
    return walk


def smoothed(values: list[float], alpha: float) -> list[float]:
    found = [values[0]]
    for value in values[1:]:
        found.append(alpha * value + (1 - alpha) * found[-1])
    return found


def test_sma_and_bands() -> None:
    close = closes()
    bands = of("bbands(20, 2)", close)
    assert np.isnan(bands["middle"][:19]).all()
    for end in range(20, len(close) + 1):
        window = close[end - 20 : end]
        mean, deviation = window.mean(), window.std()
        assert math.isclose(of("sma(20)", close)["sma"][end - 1], mean) if end == 50 else True
        assert math.isclose(bands["middle"][end - 1], mean)
        assert math.isclose(bands["upper"][end - 1], mean + 2 * deviation)
        assert math.isclose(bands["lower"][end - 1], mean - 2 * deviation)


def test_macd_step_by_step() -> None:
    close = closes()
    line = np.subtract(smoothed(close.tolist(), 2 / 13), smoothed(close.tolist(), 2 / 27))
    found = of("macd", close)
    signal = smoothed(line.tolist(), 2 / 10)
    np.testing.assert_allclose(found["macd"][33:], line[33:], atol=1e-12)
    np.testing.assert_allclose(found["signal"][33:], signal[33:], atol=1e-12)
    np.testing.assert_allclose(found["histogram"], found["macd"] - found["signal"], atol=1e-12)
    assert all(np.isnan(values[:33]).all() for values in found.values())


def test_ema_step_by_step() -> None:
    close = closes()
    found = of("ema(20)", close)["ema"]
    assert np.isnan(found[:19]).all()
    np.testing.assert_allclose(found[19:], smoothed(close.tolist(), 2 / 21)[19:])


@pytest.mark.parametrize("text", ["sma(5)", "ema(5)", "bbands(5,2)", "rsi(5)", "macd(3,5,2)"])
@pytest.mark.parametrize("count", [0, 1, 3, 40])
def test_bars_without_a_price_have_the_one_before(text: str, count: int) -> None:
    close = closes(count)
    close[: count // 4] = np.nan
    close[count // 2 :: 7] = np.nan
    filled = close.copy()
    for i in range(1, count):
        if np.isnan(filled[i]):
            filled[i] = filled[i - 1]
    began = count // 4
    expected = of(text, filled[began:])
    for name, values in of(text, close).items():
        assert len(values) == count
        assert np.isnan(values[:began]).all()
        np.testing.assert_array_equal(values[began:], expected[name])


def test_rsi_step_by_step() -> None:
    close = closes()
    change = [0.0, *np.diff(close).tolist()]
    gain = smoothed([max(each, 0.0) for each in change], 1 / 14)
    loss = smoothed([max(-each, 0.0) for each in change], 1 / 14)
    expected = [100 - 100 / (1 + up / down) for up, down in zip(gain[14:], loss[14:], strict=True)]
    np.testing.assert_allclose(of("rsi(14)", close)["rsi"][14:], expected)


def test_rsi_of_a_market_that_only_rises_is_100() -> None:
    assert of("rsi(14)", np.arange(1.0, 50.0))["rsi"][-1] == 100.0


def test_a_price_that_never_moved_has_no_rsi() -> None:
    assert np.isnan(of("rsi(14)", np.full(50, 7.0))["rsi"]).all()


def test_vwap_begins_anew_each_day() -> None:
    (spec,) = parsed("vwap")
    days = np.array([1, 1, 1, 2, 2])
    volume = np.array([1.0, 0.0, 3.0, 0.0, 2.0])
    vwap = np.array([10.0, np.nan, 20.0, np.nan, 7.0])
    found = computed(spec, NONE, volume, vwap, days)["vwap"]
    np.testing.assert_allclose(found, [10.0, 10.0, 17.5, np.nan, 7.0])


@pytest.mark.parametrize(
    "text",
    [
        "sma(0)",
        "sma(1)",
        "sma(1.5)",
        "bbands(20,0)",
        "sma(1,2)",
        "fly(3)",
        "sma(x)",
        "sma(20",
        "sma(100000)",
        ",".join(["vwap"] * 13),
    ],
)
def test_what_cannot_be_computed(text: str) -> None:
    with pytest.raises(UsageError):
        parsed(text)


def test_a_list_with_commas_inside() -> None:
    specs = parsed(" sma(20), bbands(10,1.5) ,vwap,macd(5)")
    assert [(each.name, each.numbers) for each in specs] == [
        ("sma", (20.0,)),
        ("bbands", (10.0, 1.5)),
        ("vwap", ()),
        ("macd", (5.0, 26.0, 9.0)),
    ]
    assert warm_up_bars(specs) == 390


def column(path: Path, field: str) -> Floats:
    with path.open() as file:
        return np.array([float(row[field]) if row[field] else np.nan for row in csv.DictReader(file)])


@pytest.mark.parametrize(
    ("file", "text", "output", "field", "from_row"),
    [
        ("cs-bbands", "bbands(20,2)", "middle", "MiddleBand", 0),
        ("cs-bbands", "bbands(20,2)", "upper", "HighBand", 0),
        ("cs-bbands", "bbands(20,2)", "lower", "LowBand", 0),
        ("cs-rsi", "rsi(14)", "rsi", "RSI", 0),
        ("cs-macd", "macd(12,26,9)", "macd", "MACD_line", 33),
        # The spreadsheet begins its signal with a number of its own, which is forgotten after 70 rows.
        ("cs-macd", "macd(12,26,9)", "signal", "MACD_signal", 100),
        ("cs-macd", "macd(12,26,9)", "histogram", "MACD_diff", 100),
    ],
)
@pytest.mark.recordings
def test_published_spreadsheets(
    file: str, text: str, output: str, field: str, from_row: int, recordings_dir: Path
) -> None:
    path = recordings_dir / "ta_reference" / f"{file}.csv"
    found, expected = of(text, column(path, "Close"))[output], column(path, field)
    np.testing.assert_allclose(found[from_row:], expected[from_row:], atol=1e-5)
