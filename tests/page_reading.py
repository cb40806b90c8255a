"""Reading the page as people do, and acting in it; shared by its tests."""

from __future__ import annotations

import json
import re
from typing import Any

from playwright.sync_api import Locator, Page

# A day as its bars have it; trades that came after the last bar, because nothing has closed theirs, on top.
DAY = """
WITH closed AS (
  SELECT feed, symbol, sum(volume) AS volume, sum(vwap * volume) AS amount,
    arg_min(open, ts) FILTER (NOT isnan(open)) AS open, max(ts) + INTERVAL 1 MINUTE AS until
  FROM bars WHERE interval = '1m' GROUP BY ALL
), later AS (
  SELECT feed, symbol, sum(size) AS volume, sum(size * price) AS amount
  FROM trades LEFT JOIN closed USING (feed, symbol)
  WHERE (until IS NULL OR ts >= until) AND flags & 4 > 0 GROUP BY ALL
)
SELECT latest.feed, latest.symbol, latest.price AS last, closed.open, bid_price, ask_price,
  coalesce(closed.volume, 0) + coalesce(later.volume, 0) AS volume,
  coalesce(closed.amount, 0) + coalesce(later.amount, 0) AS amount
FROM latest LEFT JOIN closed USING (feed, symbol) LEFT JOIN later USING (feed, symbol)
"""

_BARS_JS = """() => [...document.querySelectorAll('.bar-table tr[data-ts-open-s]')].map(row => ({
  open_s: Number(row.dataset.tsOpenS),
  is_forming: row.querySelector('th').textContent.includes('forming'),
  cells: [...row.querySelectorAll('td')].map(cell => cell.textContent),
}))"""


def number(text: str) -> float | None:
    """Read a number as the page writes it; None for a missing one."""
    if text == "–":
        return None
    scale = {"K": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}.get(text[-1], 1.0)
    return float(re.sub(r"[^\d.-]", "", text.replace("−", "-"))) * scale


def shows(text: str, value: float | None, decimals_max: int = 6) -> bool:
    """Tell whether a text is a number, rounded to as many decimals as the text has."""
    shown = number(text)
    if value is None or value != value:  # noqa: PLR0124 (NaN)
        return shown is None
    if shown is None:
        return False
    digits = re.sub(r"[^\d.]", "", text)
    decimals = len(digits.partition(".")[2])
    scale = {"K": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}.get(text[-1], 1.0)
    return decimals <= decimals_max and abs(shown - value) <= scale * (0.5 * 10**-decimals) * (1 + 1e-6)


def table_bars(page: Page) -> list[dict[str, Any]]:
    """Give the bars that the table draws, in rising order."""
    bars: list[dict[str, Any]] = page.evaluate(_BARS_JS)
    return bars[::-1]


def shown_rightly(shown: dict[str, Any], stored: dict[str, Any]) -> bool:
    """Tell whether a row of the table is a bar of the store."""
    names = ("open", "high", "low", "close", "volume", "vwap", "trades", "revision")
    texts = [text if text != "" else "0" for text in shown["cells"]]
    return shown["open_s"] == stored["open_s"] and all(
        shows(text, stored[name]) for text, name in zip(texts, names, strict=True)
    )


def choose_table(page: Page) -> None:
    """Show the bars as a table."""
    page.get_by_role("button", name="Bars as a table").click()
    page.locator(".bar-table tr[data-ts-open-s]").first.wait_for()


def rule(name: str, **fields: Any) -> dict[str, Any]:
    """Make a rule that fires soon, once."""
    params = {"percent": 0.005, "window_s": 60, "direction": "up"}
    plain = {"name": name, "kind": "percent_move", "feed": "sim", "symbols": ["AAPL"], "params": params}
    return {**plain, "cooldown_s": 3_600, "source": "page", **fields}


def send(page: Page, method: str, path: str, body: Any) -> Any:
    """Ask the API as the page does, with its cookie."""
    answer = page.request.fetch(
        f"{page.url.partition('#')[0]}api/v1/{path}",
        method=method,
        data=json.dumps(body),
        headers={"content-type": "application/json"},
    )
    assert answer.ok, answer.text()
    return answer.json() if answer.body() else None


def ask(page: Page, sql: str) -> None:
    """Run a query in the editor."""
    page.locator(".cm-content").click()
    page.keyboard.press("Control+a")
    # Over a selection Chromium would insert with the selection's colours, as a style that the policy forbids.
    page.keyboard.press("Delete")
    page.keyboard.insert_text(sql)
    page.keyboard.press("Control+Enter")


def fill_rule(dialog: Locator, name: str) -> None:
    """Fill in the form of a rule that fires soon."""
    dialog.get_by_label("Name", exact=True).fill(name)
    dialog.get_by_label("Kind").select_option("percent_move")
    dialog.get_by_label(re.compile(r"^percent \(%\)", re.IGNORECASE)).fill("0.005")
    dialog.get_by_label(re.compile(r"^direction", re.IGNORECASE)).select_option("up")
    dialog.get_by_label(re.compile(r"^window \(s\)", re.IGNORECASE)).fill("60")
    dialog.get_by_label(re.compile(r"^cool-down", re.IGNORECASE)).fill("3600")


def row_shows(row: Locator, day: dict[str, Any]) -> bool:
    """Tell whether a row of the watchlist is a day of the store."""
    names = ("last", "change", "change_pct", "volume", "spread")
    text = {name: row.locator(f".c-{name}").text_content() or "" for name in names}
    change = day["last"] - day["open"]
    has_quote = day["feed"] == "sim"
    return (
        shows(text["last"], day["last"])
        and shows(text["change"], change)
        and shows(text["change_pct"].rstrip("%"), change / day["open"] * 100)
        and number(row.locator(".c-volume").get_attribute("title") or "") == day["volume"]
        and shows(text["volume"], day["volume"])
        and shows(text["spread"], day["ask_price"] - day["bid_price"] if has_quote else None)
    )


def violations(page: Page) -> list[Any]:
    """Give what axe finds serious or worse: rule, and where. axe is loaded already."""
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        (each["id"], [node["html"][:200] for node in each["nodes"][:3]])
        for each in found["violations"]
        if each["impact"] in {"serious", "critical"}
    ]


def server_bars(page: Page, query: str) -> dict[int, dict[str, Any]]:
    """Give bars as the API has them, by their opening in seconds."""
    columns = page.request.get(f"{page.url.partition('#')[0]}api/v1/bars?{query}").json()["bars"]
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return {row["ts_open_ns"] // 10**9: row | {"open_s": row["ts_open_ns"] // 10**9} for row in rows}


def tape(page: Page) -> list[tuple[str, float | None, float | None, str]]:
    """Give the trades of the tape: time of day, price, size, venue."""
    rows = page.locator(".ticks tbody tr")
    rows.first.wait_for()
    cells = [row.locator("td").all_text_contents() for row in rows.all()]
    return [(at, number(price), number(size), venue) for at, price, size, venue in cells]
