"""A browser, and pages of which nothing may go wrong unnoticed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fixtures_servers import Servers, new_settings, prepared
from page_scene import DEADLINE_S, Scene, find_browser
from page_troubles import Troubles
from playwright.sync_api import Browser, BrowserContext, Error, sync_playwright

import ticktrail.dashboard

PAGE = Path(ticktrail.dashboard.__file__).with_name("page") / "index.html"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not PAGE.is_file():
        pytest.skip("the page is not built: `pip install --no-deps --no-build-isolation -e .` builds it")
    with sync_playwright() as playwright:
        path = find_browser() or playwright.chromium.executable_path
        if not Path(path).is_file():
            pytest.skip("no Chromium: `apt-get install chromium`, or `playwright install chromium`")
        # The sandbox needs rights that a container's root does not have; the pages are our own.
        try:
            browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        except Error as error:
            pytest.skip(f"{path} does not start: {error.message[:300]}")
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def scene(browser: Browser, servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    del browser  # without one, nothing else need be started
    made = Scene(
        prepared(new_settings(servers, tmp_path_factory.mktemp("page"))), tmp_path_factory.mktemp("scene")
    )
    try:
        made.start()
        yield made
    finally:
        made.stop()


class Opened(Troubles):
    """A page that is live."""

    def __init__(self, context: BrowserContext, scene: Scene, settings: dict[str, str]) -> None:
        for name, text in settings.items():
            context.add_init_script(f"localStorage.setItem('ticktrail.{name}', {text!r})")
        self.page = context.new_page()
        self.page.set_default_timeout(DEADLINE_S * 1_000)
        super().__init__(self.page)
        self.page.goto(scene.url)
        self.page.locator(".light.on").wait_for()


Opening = Callable[..., Opened]


@pytest.fixture
def opening(browser: Browser, scene: Scene) -> Iterator[Opening]:
    """Open pages, with settings of theirs as the page keeps them; afterwards nothing may have gone wrong."""
    contexts: list[BrowserContext] = []
    opened: list[Opened] = []

    def open_page(context: dict[str, Any] | None = None, **settings: str) -> Opened:
        options = {"viewport": {"width": 1400, "height": 900}, **(context or {})}
        contexts.append(browser.new_context(**options))
        opened.append(Opened(contexts[-1], scene, settings))
        return opened[-1]

    yield open_page
    for context in contexts:
        context.close()
    for each in opened:
        assert not each.found
        for url in each.requested:
            assert url.startswith((f"http://{scene.address}/", f"ws://{scene.address}/")), url
