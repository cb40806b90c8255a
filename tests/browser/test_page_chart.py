"""What people draw into a chart: indicators, other symbols; and how it all looks in the other theme."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import page_reading as read
from page_scene import LONG_SYMBOL, Scene, until
from playwright.sync_api import Page, expect

LONG_SECONDS = {"symbol": json.dumps(f"recorded|{LONG_SYMBOL}"), "interval": '"1s"', "indicators": "[]"}


def draw(page: Page, name: str, *numbers: int) -> None:
    offer = page.get_by_role("dialog").locator("li", has=page.get_by_text(name, exact=True)).last
    for field, number in zip(offer.locator("input").all(), numbers, strict=True):
        field.fill(str(number))
    offer.get_by_role("button", name="Draw").click()


def test_indicators_are_those_of_the_stored_closes(scene: Scene, opening: Any) -> None:
    page = opening(**LONG_SECONDS).page
    expect(page.locator(".legend")).to_contain_text("Vol")
    page.get_by_role("button", name="Indicators").click()
    draw(page, "SMA", 50)
    draw(page, "RSI", 7)
    draw(page, "BBANDS", 30, 3)
    page.keyboard.press("Escape")
    page.mouse.move(0, 0)  # the legend tells of the bar that is pointed at, else of the newest
    close = np.array([bar["close"] for bar in scene.bars("recorded", LONG_SYMBOL, "1s")])
    change = np.diff(close)
    gain = loss = 0.0
    for each in change:
        gain += (max(each, 0.0) - gain) / 7
        loss += (max(-each, 0.0) - loss) / 7
    window = close[-30:]
    expected = {
        "SMA 50": [close[-50:].mean()],
        "RSI 7": [100 - 100 / (1 + gain / loss)],
        "BBANDS 30 3": [window.mean() + deviations * window.std() for deviations in (-3, 0, 3)],
    }
    lines = page.locator(".legend-lines > span")
    expect(lines).to_have_count(3)

    def agree() -> bool:
        found = {
            line.locator("span").text_content(): line.locator("b").all_text_contents() for line in lines.all()
        }
        return found.keys() == expected.keys() and all(
            read.shows(text.strip(), value)
            for name, values in expected.items()
            for text, value in zip(found[name], values, strict=True)
        )

    until(agree, "the legend shows them")
    page.get_by_role("button", name="Indicators").click()
    page.get_by_role("dialog").get_by_role("button", name="rsi(7)").click()
    page.keyboard.press("Escape")
    expect(lines).to_have_count(2)


def test_another_symbol_beside_it(scene: Scene, opening: Any) -> None:
    opened = opening(symbol='"sim|AAPL"', interval='"1s"')
    page = opened.page
    expect(page.locator(".legend")).to_contain_text("Vol")
    page.get_by_role("button", name="Compare").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Search symbols to compare").fill("MSF")
    dialog.get_by_role("button", name="MSFT").click()
    expect(dialog.get_by_label("Compared now").locator("li")).to_have_count(1)
    page.keyboard.press("Escape")
    asked = "symbol=MSFT&interval=1s"
    until(lambda: any("/bars?" in url and asked in url for url in opened.requested), "its bars are asked for")
    expect(page.get_by_role("button", name="Compare")).to_contain_text("1")
    expect(page.locator(".chart-note")).to_have_count(0)


def test_the_theme_is_kept(opening: Any) -> None:
    page = opening({"color_scheme": "dark"}).page
    html = page.locator("html")
    expect(html).to_have_attribute("data-theme", "dark")
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")

    def is_light() -> bool:
        page.keyboard.press("t")
        return bool(html.get_attribute("data-theme") == "light")

    until(is_light, "the key goes through the themes")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != dark
    page.reload()
    expect(html).to_have_attribute("data-theme", "light")


def test_the_heat_map_names_what_is_pointed_at(opening: Any) -> None:
    page = opening().page
    page.keyboard.press("2")
    canvas = page.locator(".market canvas")
    expect(canvas).to_be_visible()
    canvas.hover()
    tip = page.locator(".tip")
    expect(tip).to_contain_text("traded")
    symbol = tip.locator("b").text_content()
    canvas.click()
    expect(page.locator("h1")).to_have_text(symbol or "")
