"""The page while a server behind it stands still, or is not there."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import psutil
from fixtures_servers import Servers, new_settings
from page_scene import DEADLINE_S, Scene, until
from page_troubles import Troubles
from playwright.sync_api import Browser, expect
from serve_kit import serving

AAPL_SECONDS = {"symbol": '"sim|AAPL"', "interval": '"1s"'}


@contextmanager
def standing_still(port: int) -> Iterator[None]:
    """Let the process that listens at a port stand still."""
    (pid,) = {
        each.pid
        for each in psutil.net_connections("tcp")
        if each.status == psutil.CONN_LISTEN and each.laddr and each.laddr.port == port and each.pid
    }
    psutil.Process(pid).send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        psutil.Process(pid).send_signal(signal.SIGCONT)


def test_a_store_that_stands_still_holds_up_no_chart(scene: Scene, servers: Servers, opening: Any) -> None:
    with standing_still(servers.cassandra_port):
        page = opening(**AAPL_SECONDS).page
        host = page.locator(".chart-host")
        expect(page.locator(".legend")).to_contain_text("Vol")
        expect(page.locator(".chart-note")).to_have_text("Reading older bars…")
        begun = int(host.get_attribute("data-bars") or 0)
        until(lambda: int(host.get_attribute("data-bars") or 0) >= begun + 2, "new candles come")
    expect(page.locator(".chart-note")).to_have_count(0)
    stored = len(scene.bars("sim", "AAPL", "1s"))
    until(lambda: int(host.get_attribute("data-bars") or 0) >= min(stored, 500), "the history has come")


def test_a_server_that_kafka_does_not_reach_says_so(
    browser: Browser, servers: Servers, tmp_path: Path
) -> None:
    settings = new_settings(servers, tmp_path)
    nowhere = msgspec.structs.replace(settings.kafka, bootstrap_servers="127.0.0.1:9")
    with serving(msgspec.structs.replace(settings, kafka=nowhere)) as site, browser.new_context() as context:
        page = context.new_page()
        troubles = Troubles(page)
        page.set_default_timeout(DEADLINE_S * 1_000)
        page.goto(f"http://{site.address}/?token={site.token}")
        banner = page.get_by_role("alert")
        expect(banner).to_contain_text("Nothing new comes.", timeout=DEADLINE_S * 1_000)
        expect(banner).to_contain_text("127.0.0.1:9")
        expect(page.locator(".light")).to_contain_text("Standstill")
        assert not troubles.found
