"""Figures over time as a picture: SVG without scripts, on a ground of its own for light and dark pages."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple
from xml.sax.saxutils import escape

__all__ = ["Line", "plot"]

_WIDTH, _HEIGHT = 920, 380
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 24, 84, 48
_STEPS = (1, 2, 5)
_LEGEND_PX = 205
_X_TICKS_MAX = 10


class Line(NamedTuple):
    """One figure over time.

    Parameters
    ----------
    label
        For the legend.
    color
        As SVG writes it.
    values
        One for each interval; None leaves a hole.
    is_dashed
        To tell it from another of the same colour, also where colours cannot be told.
    """

    label: str
    color: str
    values: Sequence[float | int | None]
    is_dashed: bool = False


def plot(title: str, note: str, lines: Sequence[Line], interval_s: float, unit: str = "ms") -> str:
    """Draw lines over time, on a logarithmic axis.

    Parameters
    ----------
    title, note
        Above the picture; the note says what was measured.
    lines
        As many values in each as there were intervals.
    interval_s
        Between two values.
    unit
        Of the values.

    Raises
    ------
    ValueError
        There is nothing above 0 to draw.
    """
    drawn = [value for line in lines for value in line.values if value is not None and value > 0]
    if not drawn:
        raise ValueError("nothing to draw")
    low, high = _bounds(drawn)
    seconds = interval_s * max(len(line.values) for line in lines)

    def x_of(second: float) -> float:
        return _LEFT + second / seconds * (_WIDTH - _LEFT - _RIGHT)

    def y_of(value: float) -> float:
        share = math.log(max(value, low) / low) / math.log(high / low)
        return _HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM)

    parts = [*_head(title, note, lines)]
    for tick in _ticks(low, high):
        y = y_of(tick)
        parts.append(f'<path d="M{_LEFT} {y:.1f} H{_WIDTH - _RIGHT}" stroke="#cfd8dc"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>')
    step_s = _step_s(seconds)
    for number in range(int(seconds // step_s) + 1):
        x, label = x_of(number * step_s), _time_text(number * step_s, seconds)
        parts.append(f'<text x="{x:.1f}" y="{_HEIGHT - 26}" text-anchor="middle">{label}</text>')
    time_unit = "minutes" if seconds >= 120 else "seconds"
    parts.append(f'<text x="{_WIDTH / 2}" y="{_HEIGHT - 8}" text-anchor="middle">{time_unit}</text>')
    parts.append(f'<text x="{_LEFT - 8}" y="{_TOP - 14}" text-anchor="end">{unit}</text>')
    for line in lines:
        points = [
            None if value is None else (x_of((index + 0.5) * interval_s), y_of(value))
            for index, value in enumerate(line.values)
        ]
        dash = ' stroke-dasharray="6 4"' if line.is_dashed else ""
        parts.append(f'<path d="{_path(points)}" fill="none" stroke="{line.color}" stroke-width="2"{dash}/>')
    return "\n".join([*parts, "</svg>", ""])


def _head(title: str, note: str, lines: Sequence[Line]) -> Iterator[str]:
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" '
        f'height="{_HEIGHT}" role="img" aria-labelledby="title desc" font-family="system-ui, sans-serif" '
        'font-size="12" fill="#263238" stroke-linejoin="round" stroke-linecap="round">'
    )
    yield f'<title id="title">{escape(title)}</title>'
    yield f'<desc id="desc">{escape(note)}</desc>'
    yield f'<rect width="{_WIDTH}" height="{_HEIGHT}" rx="10" fill="#fafafa" stroke="#cfd8dc"/>'
    yield f'<text x="20" y="26" font-size="15" font-weight="600">{escape(title)}</text>'
    yield f'<text x="20" y="44" fill="#546e7a">{escape(note)}</text>'
    for index, line in enumerate(lines):
        x = _LEFT + 30 + index * min(_LEGEND_PX, (_WIDTH - _LEFT - _RIGHT) // len(lines))
        dash = ' stroke-dasharray="6 4"' if line.is_dashed else ""
        yield f'<path d="M{x} 64 h26" stroke="{line.color}" stroke-width="2"{dash}/>'
        yield f'<text x="{x + 32}" y="68">{escape(line.label)}</text>'


def _bounds(values: Sequence[float]) -> tuple[float, float]:
    """Give round numbers around all values, never equal ones."""
    ticks = [step * 10.0**power for power in range(-6, 10) for step in _STEPS]
    low = max((tick for tick in ticks if tick < min(values)), default=ticks[0])
    high = min((tick for tick in ticks if tick > max(values)), default=ticks[-1])
    return low, high


def _ticks(low: float, high: float) -> list[float]:
    ticks = [step * 10.0**power for power in range(-6, 10) for step in _STEPS]
    return [tick for tick in ticks if low * 0.999 <= tick <= high * 1.001]


def _step_s(seconds: float) -> int:
    choices = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1_800, 3_600, 7_200, 18_000)
    return next((step for step in choices if seconds / step <= _X_TICKS_MAX), choices[-1])


def _time_text(second: int, seconds: float) -> str:
    return f"{second / 60:g}" if seconds >= 120 else str(second)


def _path(points: Sequence[tuple[float, float] | None]) -> str:
    """Join neighbours; a hole begins a new line, and a point between two holes is a dot."""
    words, is_open = [], False
    for index, point in enumerate(points):
        if point is None:
            is_open = False
            continue
        words.append(f"{'L' if is_open else 'M'}{point[0]:.1f} {point[1]:.1f}")
        if not is_open and (index + 1 == len(points) or points[index + 1] is None):
            words.append("h0.1")
        is_open = True
    return " ".join(words)
