"""The real page in a real browser, over a running pipeline: what people see, and whether it is true."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import page_reading as read
import pytest
from page_scene import DEADLINE_S, LONG_BARS, LONG_SYMBOL, MARKUP_SYMBOL, SYMBOLS, Scene, until
from playwright.sync_api import expect

pytestmark = [pytest.mark.servers, pytest.mark.timeout(400)]

expect.set_options(timeout=DEADLINE_S * 1_000)

AXE = Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"
VIEWS = ["trade", "market", "pipeline", "sql", "alerts"]
AAPL_SECONDS = {"symbol": '"sim|AAPL"', "interval": '"1s"', "zone": '"UTC"'}
# The editor has images of its own, which are empty.
PICTURES = "img:not(.cm-widgetBuffer)"
# A table that is as high as all its rows draws them all.
HIGH = {"viewport": {"width": 1400, "height": 15_000}}


def test_candles_move_and_are_what_the_server_says(scene: Scene, opening: Any) -> None:
    page = opening(**AAPL_SECONDS).page
    expect(page.locator(".legend")).to_contain_text("Vol")
    legends = {page.locator(".legend").text_content()}
    until(lambda: len(legends | {page.locator(".legend").text_content()}) > len(legends), "the candle moves")
    read.choose_table(page)
    first_s = read.table_bars(page)[-1]["open_s"]
    until(lambda: read.table_bars(page)[-1]["open_s"] >= first_s + 3, "new candles")
    query = "feed=sim&symbol=AAPL&interval=1s&limit=500"

    def are_the_same() -> bool:
        told = read.server_bars(page, query)
        shown = [bar for bar in read.table_bars(page) if not bar["is_forming"] and bar["open_s"] in told]
        return len(shown) >= 3 and all(read.shown_rightly(bar, told[bar["open_s"]]) for bar in shown)

    until(are_the_same, "table and server agree")
    assert len(page.locator(".ticks tbody tr").all()) > 0


def test_history_loads_when_dragged(scene: Scene, opening: Any) -> None:
    settings = {**AAPL_SECONDS, "symbol": json.dumps(f"recorded|{LONG_SYMBOL}")}
    page = opening(**settings).page
    host = page.locator(".chart-host")
    expect(host).to_have_attribute("data-bars", "500")
    box = host.bounding_box()
    assert box is not None
    left, right = ({"x": x, "y": box["height"] / 3} for x in (100, 550))

    def drag() -> bool:
        host.drag_to(host, source_position=left, target_position=right, steps=5)
        return bool(host.get_attribute("data-bars") == str(LONG_BARS))

    until(drag, "all bars are loaded")
    read.choose_table(page)
    page.set_viewport_size({"width": 1400, "height": 15_000})
    stored = scene.bars("recorded", LONG_SYMBOL, "1s")
    assert len(stored) == LONG_BARS
    until(lambda: len(read.table_bars(page)) >= 500, "a high table")
    shown = read.table_bars(page)
    newest = stored[-len(shown) :]
    assert [bar["open_s"] for bar in shown] == [bar["open_s"] for bar in newest]
    for bar, expected in zip(shown, newest, strict=True):
        assert read.shown_rightly(bar, expected), (bar, expected)
    expect(page.locator(".bar-table table")).to_have_attribute("aria-rowcount", str(LONG_BARS + 1))


def test_a_killed_server_leaves_no_hole_and_no_double_bar(scene: Scene, opening: Any) -> None:
    opened = opening(HIGH, **AAPL_SECONDS)
    page = opened.page
    read.choose_table(page)
    until(lambda: len(read.table_bars(page)) >= 5, "some bars")
    before_s = read.table_bars(page)[-1]["open_s"]
    scene.kill_server()
    expect(page.locator(".banner")).to_contain_text("Not connected")
    expect(page.locator(".light")).to_have_text("Offline")
    # The market goes on while nobody serves the page.
    until(lambda: scene.bars("sim", "AAPL", "1s")[-1]["open_s"] > before_s + 5, "bars in between")
    scene.start_server()
    expect(page.locator(".light.on")).to_be_visible()
    expect(page.locator(".banner")).to_have_count(0)
    back_s = scene.bars("sim", "AAPL", "1s")[-1]["open_s"]
    until(lambda: read.table_bars(page)[-1]["open_s"] > back_s, "the page goes on")

    def is_whole() -> bool:
        shown = read.table_bars(page)
        opens = [bar["open_s"] for bar in shown]
        assert opens == sorted(set(opens)), "a double bar"
        stored = scene.bars("sim", "AAPL", "1s")
        until_s = min(stored[-1]["open_s"], max(bar["open_s"] for bar in shown if not bar["is_forming"]))
        left = [bar for bar in shown if bar["open_s"] <= until_s]
        right = [bar for bar in stored if opens[0] <= bar["open_s"] <= until_s]
        # Revisions are on their way now and then, to here or to there.
        return len(left) == len(right) and all(map(read.shown_rightly, left, right))

    until(is_whole, "the page's bars are those of the store")
    assert opened.found, "a connection that breaks is told on the console"
    opened.found.clear()


def test_an_alert_made_in_the_page(scene: Scene, opening: Any) -> None:
    page = opening(**{**AAPL_SECONDS, "interval": '"1m"'}).page
    expect(page.locator(".chart-host[data-alerts='0']")).to_be_visible()
    page.keyboard.press("5")
    page.get_by_role("button", name="New rule").click()
    dialog = page.get_by_role("dialog")
    read.fill_rule(dialog, "Any move")
    # A test against history first.
    dialog.get_by_label("Span of the test").select_option("1")
    dialog.get_by_role("button", name="Test", exact=True).click()
    outcome = dialog.get_by_text(re.compile(r"It would have fired [\d,]+ times"))
    fired = read.number(re.findall(r"[\d,]+", outcome.text_content() or "")[0])
    assert fired == len(dialog.locator(".fired tbody tr").all()) > 0
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_have_count(0)
    page.keyboard.press("1")
    toast = page.locator(".toast")
    expect(toast).to_contain_text("AAPL")
    expect(toast).to_contain_text("Any move")
    expect(page.locator(".chart-host")).not_to_have_attribute("data-alerts", "0")
    toast.get_by_role("button", name="Dismiss").click()
    expect(toast).to_have_count(0)
    page.keyboard.press("5")
    row = page.locator("tr[data-alert]", has_text="Any move")
    expect(row).to_have_count(1)
    (stored,) = until(
        lambda: scene.rows("SELECT * FROM alerts WHERE rule = 'Any move'"), "the alert is in the store"
    )
    assert row.get_attribute("data-alert") == stored["id"]
    assert read.shows(row.locator("td").nth(3).text_content() or "", stored["value"])
    row.get_by_role("button", name="Acknowledge").click()
    expect(row).to_contain_text("acknowledged")
    item = page.locator(".rule", has_text="Any move")
    item.get_by_role("button", name="Mute 1 h").click()
    expect(item).to_contain_text("muted until")
    item.get_by_role("button", name="Unmute").click()
    expect(item).not_to_contain_text("muted until")
    item.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(item).to_have_count(0)


def test_another_page_learns_of_an_acknowledgement(opening: Any) -> None:
    one, other = opening().page, opening().page
    read.send(one, "POST", "rules", read.rule("Seen elsewhere", symbols=["MSFT"]))
    for page in (one, other):
        page.keyboard.press("5")
    row = "tr[data-alert]:has-text('Seen elsewhere')"
    one.locator(row).get_by_role("button", name="Acknowledge").click()
    expect(other.locator(row)).to_contain_text("acknowledged")
    read.send(one, "DELETE", "rules/Seen%20elsewhere", None)


def assert_only_refused(opened: Any) -> None:
    """The browser notes answers of 400 on the console by itself."""
    assert opened.found
    assert all("400" in text for text in opened.found), opened.found
    opened.found.clear()


def test_sql(scene: Scene, opening: Any) -> None:
    opened = opening()
    page = opened.page
    page.keyboard.press("4")
    query = (
        "SELECT symbol, count(*) AS n, sum(volume) AS v FROM bars "
        "WHERE feed = 'recorded' AND interval = '1s' GROUP BY 1 ORDER BY 1"
    )
    read.ask(page, query)
    # Without bounds of time it is refused, and the page offers what may be done.
    page.get_by_role("button", name="Scan everything anyway").click()
    assert_only_refused(opened)
    rows = page.locator(".result tbody tr")
    expect(rows).to_have_count(2)
    shown = [[cell.text_content() for cell in row.locator("td").all()[1:]] for row in rows.all()]
    stored = scene.rows(query)
    assert [(symbol, float(count or ""), float(volume or "")) for symbol, count, volume in shown] == [
        (row["symbol"], row["n"], row["v"]) for row in stored
    ]
    page.get_by_role("button", name="Chart", exact=True).click()
    expect(page.locator(".result-panel svg, .result-panel canvas").first).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV").click()
    lines = Path(download.value.path()).read_text().splitlines()
    assert len(lines) == 1 + len(stored)
    assert not opened.found
    read.ask(page, "SELEC 1")
    texts = page.locator(".result-panel .problem p")
    expect(texts).to_have_count(3)
    assert all(text for text in texts.all_text_contents())
    assert "SELEC" in " ".join(texts.all_text_contents())
    assert_only_refused(opened)


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_axe_finds_nothing_serious(opening: Any, scheme: str) -> None:
    if not AXE.is_file():
        pytest.skip("axe-core is not installed: `npm ci` in web/ installs it")
    page = opening({"color_scheme": scheme}, **AAPL_SECONDS).page
    page.locator(".legend").wait_for()
    page.evaluate(AXE.read_text())

    def check(where: str) -> None:
        assert not read.violations(page), where

    for key, view in enumerate(VIEWS, 1):
        page.keyboard.press(str(key))
        page.locator(f".{view}").wait_for()
        check(view)
    page.get_by_role("button", name="New rule").click()
    page.get_by_role("dialog").wait_for()
    check("a rule's form")
    page.keyboard.press("Escape")
    page.keyboard.press("1")
    read.choose_table(page)
    check("the table of bars")
    page.keyboard.press("?")
    page.get_by_role("dialog").wait_for()
    check("help")


def test_on_a_phone(opening: Any) -> None:
    phone = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
    page = opening(phone, **AAPL_SECONDS).page

    def check(where: str) -> None:
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= 390, (where, width)

    page.get_by_role("button", name="List").tap()
    page.locator("tr[data-key='sim|MSFT']").tap()
    check("list")
    page.get_by_role("button", name="Tape").tap()
    expect(page.locator(".ticks tbody tr").first).to_be_visible()
    check("tape")
    page.get_by_role("group", name="Part of the view").get_by_role("button", name="Chart").tap()
    expect(page.locator("h1")).to_have_text("MSFT")
    expect(page.locator(".legend")).to_be_in_viewport()
    check("chart")
    for view in VIEWS[1:]:
        page.locator(f".views a[href='#/{view}']").tap()
        expect(page.locator(f".{view}")).to_be_in_viewport()
        check(view)
    page.get_by_role("button", name="New rule").tap()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Name", exact=True)).to_be_in_viewport()
    check("a rule's form")
    dialog.get_by_role("button", name="Close").tap()


def test_keys(opening: Any) -> None:
    page = opening(**AAPL_SECONDS).page
    heading = page.locator("h1")
    expect(heading).to_have_text("AAPL")
    page.keyboard.press("/")
    expect(page.get_by_label("Search symbols", exact=True)).to_be_focused()
    page.keyboard.type("msf")
    page.keyboard.press("Enter")
    expect(heading).to_have_text("MSFT")
    page.get_by_label("Search symbols", exact=True).fill("")
    page.keyboard.press("Escape")
    keys = [row.get_attribute("data-key") for row in page.locator("tr[data-key]").all()]
    at = keys.index("sim|MSFT")
    for key, place in (("ArrowDown", at + 1), ("ArrowUp", at), ("ArrowUp", at - 1)):
        page.keyboard.press(key)
        expect(page.locator("tr[aria-current]")).to_have_attribute("data-key", keys[place] or "")
    for place, view in enumerate(VIEWS, 1):
        page.keyboard.press(str(place))
        expect(page.locator(f".views a[href='#/{view}']")).to_have_attribute("aria-current", "page")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Help")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_markup_stays_text(opening: Any) -> None:
    markup = "<img src=x onerror=alert(1)>"
    page = opening(symbol=json.dumps(f"recorded|{MARKUP_SYMBOL}"), interval='"1s"').page
    read.send(page, "POST", "rules", read.rule(markup))
    expect(page.locator("h1")).to_have_text(MARKUP_SYMBOL)
    expect(page.locator("tr[aria-current] .symbol")).to_have_text(MARKUP_SYMBOL)
    expect(page.locator(".toast")).to_contain_text(markup)
    for view in VIEWS:
        page.locator(f".views a[href='#/{view}']").click()
        page.locator(f".{view}").wait_for()
        assert page.locator(PICTURES).count() == 0
        if view == "sql":
            read.ask(page, f"SELECT '{markup}' AS \"<b>x</b>\", rule FROM alerts WHERE rule = '{markup}'")
            expect(page.locator(".result tbody tr")).to_contain_text(markup)
            expect(page.locator(".result th").last).to_contain_text("rule")
    expect(page.locator("tr[data-alert]", has_text=markup)).to_have_count(1)
    item = page.locator(".rule", has_text=markup)
    expect(item.locator("b")).to_have_text(markup)
    item.get_by_role("button", name="Edit or test").click()
    expect(page.get_by_role("dialog").locator("h2").first).to_have_text(markup)
    assert page.locator(PICTURES).count() == 0
    page.keyboard.press("Escape")
    item.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(item).to_have_count(0)


@pytest.fixture(scope="module")
def stopped(scene: Scene) -> Scene:
    """The same, after the market has ended and all of it is stored."""
    scene.stop_market()
    return scene


def test_the_watchlist_is_what_sql_says(stopped: Scene, opening: Any) -> None:
    page = opening(HIGH).page
    days = {f"{day['feed']}|{day['symbol']}": day for day in stopped.rows(read.DAY)}
    assert len(days) == SYMBOLS + 2
    rows = page.locator("tr[data-key]")
    expect(rows).to_have_count(len(days))

    def agrees() -> bool:
        return all(read.row_shows(row, days[row.get_attribute("data-key") or ""]) for row in rows.all())

    until(agrees, "the watchlist is what SQL says")


def test_the_market_view_is_what_sql_says(stopped: Scene, opening: Any) -> None:
    page = opening().page
    page.keyboard.press("2")
    days = stopped.rows(read.DAY)
    changes = [day["last"] - day["open"] for day in days]
    figures = page.locator(".figures > div")
    signs = [(change > 0) - (change < 0) for change in changes]
    expected = {
        name: signs.count(way) for name, way in (("Advancing", 1), ("Declining", -1), ("Unchanged", 0))
    }

    def breadth() -> dict[str, float | None]:
        # Names and values of one instant: the page may draw anew between two questions.
        shown = dict(figures.evaluate_all("all => all.map(one => [...one.children].map(e => e.textContent))"))
        return {name: read.number(shown[name]) for name in expected}

    until(lambda: breadth() == expected, "breadth is what SQL says")
    by_amount = sorted(days, key=lambda day: -day["amount"])[:5]
    rows = page.get_by_role("region", name="Most traded").locator("tbody tr").all()[:5]
    for row, day in zip(rows, by_amount, strict=True):
        assert row.locator("th").text_content() == day["symbol"]
        assert read.shows(row.locator("td").last.text_content() or "", day["amount"])


@pytest.mark.parametrize("interval", ["1s", "1m"])
def test_the_chart_s_bars_are_what_sql_says(stopped: Scene, opening: Any, interval: str) -> None:
    page = opening(HIGH, **{**AAPL_SECONDS, "interval": json.dumps(interval)}).page
    read.choose_table(page)
    stored = stopped.bars("sim", "AAPL", interval)[-500:]

    def agrees() -> bool:
        shown = read.table_bars(page)
        final = [bar for bar in shown if not bar["is_forming"]]
        assert len(shown) - len(final) <= 1
        return len(final) == len(stored) and all(map(read.shown_rightly, final, stored))

    until(agrees, "the bars are those of the store")
    assert page.locator(".bar-table table").get_attribute("aria-rowcount") == str(
        len(read.table_bars(page)) + 1
    )


def test_the_tape_is_what_sql_says(stopped: Scene, opening: Any) -> None:
    shown = read.tape(opening(**AAPL_SECONDS).page)
    stored = stopped.rows(
        "SELECT strftime(make_timestamp_ms(ts_event_ns // 1000000), '%H:%M:%S.%g') AS at, price, size, venue "
        "FROM trades WHERE feed = 'sim' AND symbol = 'AAPL' "
        f"ORDER BY ts_recv_ns DESC, ts_event_ns DESC, event_id DESC LIMIT {len(shown)}"
    )
    assert len(shown) >= 50
    expected = [(each["at"], round(each["price"], 4), each["size"], each["venue"] or "–") for each in stored]
    assert sorted(shown, key=str) == sorted(expected, key=str)


def test_alerts_and_gaps_are_what_sql_says(stopped: Scene, opening: Any) -> None:
    page = opening().page
    page.keyboard.press("5")
    stored = stopped.rows("SELECT * FROM alerts")
    rows = page.locator("tr[data-alert]")
    expect(rows).to_have_count(len(stored))
    by_id = {alert["id"]: alert for alert in stored}
    for row in rows.all():
        alert = by_id.pop(row.get_attribute("data-alert") or "")
        cells = row.locator("td").all_text_contents()
        assert row.locator("th").text_content() == alert["symbol"]
        assert cells[1].split(" ", 1)[1] in alert["message"]
        assert cells[2] == alert["rule"]
        assert read.shows(cells[3], alert["value"])
    page.keyboard.press("3")
    gaps = stopped.rows("SELECT * FROM gaps WHERE state = 'open'")
    expect(page.locator(".card", has_text="Open gaps").locator(".card-value")).to_have_text(str(len(gaps)))
