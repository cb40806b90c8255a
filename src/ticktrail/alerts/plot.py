"""A line of prices with the alerts on it, as a picture: SVG without scripts, for light and dark pages."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from xml.sax.saxutils import escape

import numpy as np

from ticktrail.clock import NS_PER_SECOND
from ticktrail.model import Alert, Array

__all__ = ["plot_alerts"]

_WIDTH, _HEIGHT = 960, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 20, 54, 40
_TICKS = 5
_COLORS = {"info": "#1f77b4", "warning": "#b35c00", "critical": "#c0182b"}


def plot_alerts(title: str, times_ns: Array, values: Array, alerts: Sequence[Alert]) -> str:
    """Draw a symbol's line and mark where a rule fired.

    Parameters
    ----------
    title
        Above the picture; any text.
    times_ns, values
        Shape ``(n,)``; NaN leaves a hole.
    alerts
        Of this symbol.
    """
    is_known = ~np.isnan(values)
    times_ns, values = times_ns[is_known], values[is_known]
    if not len(values):
        return _page(title, ["<text x='70' y='180'>No values are stored for this span.</text>"])
    first_ns, last_ns = int(times_ns[0]), max(int(times_ns[-1]), int(times_ns[0]) + 1)
    low, high = float(values.min()), float(values.max())
    high = high if high > low else low + 1.0

    def x(time_ns: int) -> float:
        share = (time_ns - first_ns) / (last_ns - first_ns)
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * min(max(share, 0.0), 1.0)

    def y(value: float) -> float:
        return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * (value - low) / (high - low)

    parts = []
    for tick in range(_TICKS):
        value = low + (high - low) * tick / (_TICKS - 1)
        time_ns = first_ns + (last_ns - first_ns) * tick // (_TICKS - 1)
        moment = datetime.fromtimestamp(time_ns // NS_PER_SECOND, tz=UTC)
        height, right = f"{y(value):.1f}", _WIDTH - _RIGHT
        parts.append(f"<line class='grid' x1='{_LEFT}' x2='{right}' y1='{height}' y2='{height}'/>")
        parts.append(f"<text x='{_LEFT - 8}' y='{y(value) + 4:.1f}' text-anchor='end'>{value:.6g}</text>")
        anchor = "start" if tick == 0 else "end" if tick == _TICKS - 1 else "middle"
        parts.append(
            f"<text x='{x(time_ns):.1f}' y='{_HEIGHT - 14}' text-anchor='{anchor}'>"
            f"{moment:%m-%d %H:%M:%S}</text>"
        )
    line = " ".join(f"{x(t):.1f},{y(v):.1f}" for t, v in zip(times_ns.tolist(), values.tolist(), strict=True))
    parts.append(f"<polyline class='line' points='{line}'/>")
    for alert in alerts:
        at = min(int(np.searchsorted(times_ns, alert.ts_ns)), len(values) - 1)
        color = _COLORS.get(alert.severity, _COLORS["warning"])
        parts.append(
            f"<circle cx='{x(alert.ts_ns):.1f}' cy='{y(float(values[at])):.1f}' r='4' fill='{color}'>"
            f"<title>{escape(alert.message)}</title></circle>"
        )
    return _page(f"{title}: {len(alerts)} alerts (UTC)", parts)


def _page(title: str, parts: Sequence[str]) -> str:
    style = (
        "text{font:12px sans-serif;fill:#333}.grid{stroke:#ddd}rect{fill:#fff}"
        ".line{fill:none;stroke:#4a6fa5;stroke-width:1.2}"
    )
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {_WIDTH} {_HEIGHT}' role='img'>"
        f"<title>{escape(title)}</title><style>{style}</style><rect width='{_WIDTH}' height='{_HEIGHT}'/>"
        f"<text x='{_LEFT}' y='28' style='font-size:15px'>{escape(title)}</text>{''.join(parts)}</svg>\n"
    )
