"""Alerts over the API and to live clients."""

from __future__ import annotations

from typing import Any

import pytest
from api_kit import CLOCK, S, make_rule, send, trade
from serve_kit import Site, heard, subscribed, until

from ticktrail.config import Settings

pytestmark = [pytest.mark.servers, pytest.mark.timeout(400)]


def test_an_alert_reaches_everybody_and_so_does_its_acknowledgement(
    site: Site, settings: Settings, run: None
) -> None:
    rule = make_rule(site, name="reaches <b>everybody", symbols=["Ünï|C"])
    now_ns = CLOCK.now_ns()
    with site.live() as one, site.live() as other:
        for socket in (one, other):
            assert "alerts" in subscribed(socket, alerts=True, every_ms=50)
        send(settings, [trade("Ünï|C", price, now_ns + n, n) for n, price in enumerate([9.0, 11.0])])
        streamed = heard(one, lambda message: of_rule(message, rule))
        assert heard(other, lambda message: of_rule(message, rule)) == streamed
        (shown,) = [row for row in site.get("/api/v1/alerts")["alerts"] if row["rule"] == rule["name"]]
        assert streamed == [shown]
        assert (shown["ts_ns"], shown["value"], shown["threshold"]) == (now_ns + 1, 11.0, 10.0)
        assert shown["acknowledged_ns"] is None
        assert stored(site, shown["id"]) == shown
        with site.live() as late:
            assert shown in subscribed(late, alerts=True)["alerts"]
        assert site.ask(f"/api/v1/alerts/{shown['id']}/acknowledge", method="POST") == (204, None)
        for socket in (one, other):
            (seen,) = heard(socket, lambda message: of_rule(message, rule))
            assert seen["acknowledged_ns"] is not None
            assert seen | {"acknowledged_ns": None} == shown
    (now,) = [row for row in site.get("/api/v1/alerts")["alerts"] if row["id"] == shown["id"]]
    assert now["acknowledged_ns"] is not None
    assert stored(site, shown["id"]) == now


def of_rule(message: dict[str, Any], rule: dict[str, Any]) -> list[Any]:
    return [row for row in message.get("alerts", []) if row["rule"] == rule["name"]]


def stored(site: Site, alert_id: str) -> dict[str, Any]:
    """Read an alert by SQL, as the API has it."""
    names = (
        "id, rule, rule_kind, feed, symbol, ts_ns, recorded_ns, value, threshold, is_quiet, severity, notify,"
        " message, acknowledged_ns"
    )
    (row,) = site.rows(f"SELECT {names} FROM alerts WHERE id = '{alert_id}'")
    found = dict(zip(names.replace(" ", "").split(","), row, strict=True))
    for name in ("ts_ns", "recorded_ns", "acknowledged_ns"):  # texts, where JavaScript would round them
        found[name] = None if found[name] is None else int(found[name])
    return found


def test_pages_of_alerts_lose_none_and_double_none(site: Site, settings: Settings, run: None) -> None:
    rule = make_rule(site, name="many at one time")
    now_ns = CLOCK.now_ns()
    symbols = [f"P{number}" for number in range(7)]
    # All of them at two instants, so that most neighbours have the same time.
    prices = enumerate([9.0, 11.0, 9.0])
    send(settings, [trade(name, price, now_ns + n * S, n) for n, price in prices for name in symbols])

    def fired() -> list[Any]:
        return [row for row in site.get("/api/v1/alerts?limit=1000")["alerts"] if row["rule"] == rule["name"]]

    until(lambda: len(fired()) == 14, "all of them are recorded")
    whole = site.get("/api/v1/alerts?limit=1000")["alerts"]
    assert {(row["symbol"], row["ts_ns"]) for row in fired()} == {
        (name, now_ns + n * S) for name in symbols for n in (1, 2)
    }
    for limit in (1, 3, 5):
        paged: list[Any] = []
        path = f"/api/v1/alerts?limit={limit}"
        while page := site.get(path)["alerts"]:
            assert len(page) <= limit
            paged += page
            path = f"/api/v1/alerts?limit={limit}&before={page[-1]['id']}"
        assert paged == whole
    assert whole == sorted(whole, key=lambda row: (row["ts_ns"], row["id"]), reverse=True)
    for chosen in ("P3", "P6"):
        path = f"/api/v1/alerts?feed=f&symbol={chosen}"
        assert site.get(path)["alerts"] == [row for row in whole if row["symbol"] == chosen]
        assert site.get(f"{path}&limit=1")["alerts"] == [row for row in whole if row["symbol"] == chosen][:1]
    path = f"/api/v1/alerts?start_ns={now_ns + S}&end_ns={now_ns + 2 * S}&limit=3"
    assert site.get(path)["alerts"] == [row for row in whole if row["ts_ns"] == now_ns + S][:3]
    assert site.get("/api/v1/alerts?feed=none")["alerts"] == []
