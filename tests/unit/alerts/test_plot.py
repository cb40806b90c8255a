"""The picture of a test."""

from __future__ import annotations

from xml.etree import ElementTree

import msgspec
import numpy as np

from ticktrail.alerts.plot import plot_alerts
from ticktrail.model import Alert

ALERT = Alert(
    id="x",
    rule="r",
    rule_kind="lag",
    feed="f",
    symbol="A",
    ts_ns=5 * 10**9,
    recorded_ns=0,
    value=1.0,
    threshold=1.0,
    message="<script>alert(1)</script>&",
)


def test_strangers_text_is_text() -> None:
    times = np.arange(10) * 10**9
    text = plot_alerts(
        "<b>&'\"", times, np.arange(10.0), [ALERT, msgspec.structs.replace(ALERT, severity="info")]
    )
    root = ElementTree.fromstring(text)
    names = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert names == {"svg", "title", "style", "rect", "text", "line", "polyline", "circle"}
    circles = [element for element in root.iter() if element.tag.endswith("circle")]
    assert [circle[0].text for circle in circles] == [ALERT.message] * 2


def test_nothing_and_one_value_are_drawn() -> None:
    for values in (np.empty(0), np.array([1.0]), np.array([np.nan])):
        ElementTree.fromstring(plot_alerts("x", np.arange(len(values)), values, []))
