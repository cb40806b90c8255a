"""The page while a server behind it stands still, or is not there."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from fixtures_servers import Servers, new_settings, prepared
from page_scene import DEADLINE_S, Scene, until
from page_troubles import Troubles
from playwright.sync_api import Browser, expect
from serve_kit import serving

from ticktrail.clock import SystemClock
from ticktrail.config import StackSettings
from ticktrail.stack import Stack

AAPL_SECONDS = {"symbol": '"sim|AAPL"', "interval": '"1s"'}


def listening_at(port: int) -> psutil.Process:
    """Find the process that listens at a port."""
    (pid,) = {
        each.pid
        for each in psutil.net_connections("tcp")
        if each.status == psutil.CONN_LISTEN and each.laddr and each.laddr.port == port and each.pid
    }
    return psutil.Process(pid)


@contextmanager
def standing_still(port: int) -> Iterator[None]:
    """Let the process that listens at a port stand still."""
    process = listening_at(port)
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)


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


def test_the_page_says_that_kafka_is_gone(browser: Browser, tmp_path: Path) -> None:
    stack = StackSettings(data_dir=str(tmp_path / "servers"))
    with Stack(stack, SystemClock()).bound() as endpoints:
        servers = Servers(endpoints.kafka_bootstrap, endpoints.cassandra_host, endpoints.cassandra_port)
        settings = prepared(new_settings(servers, tmp_path))
        with serving(settings) as site, browser.new_context() as context:
            page = context.new_page()
            troubles = Troubles(page)
            page.set_default_timeout(DEADLINE_S * 1_000)
            page.goto(f"http://{site.address}/?token={site.token}")
            page.locator(".light.on").wait_for()
            assert page.get_by_role("alert").count() == 0
            kafka = listening_at(int(servers.kafka.rpartition(":")[2]))
            kafka.kill()
            kafka.wait(DEADLINE_S)
            banner = page.get_by_role("alert")
            expect(banner).to_contain_text("Nothing new comes.", timeout=DEADLINE_S * 1_000)
            expect(banner).to_contain_text("Kafka")
            expect(page.locator(".light")).to_contain_text("Standstill")
            assert not troubles.found
