"""A server that strangers, floods and bad questions come to; after each test it must be well."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from fixtures_servers import Servers, new_settings, prepared
from serve_kit import Site, serving, until

from ticktrail.config import Settings

SQL_SECONDS_MAX = 4
# What a bad question may add to the server itself, whose answers pass through it.
GROWTH_BYTES_MAX = 400 * 1024**2


@pytest.fixture(scope="package")
def settings(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return prepared(new_settings(servers, tmp_path_factory.mktemp("security")))


@pytest.fixture(scope="package")
def log(settings: Settings) -> Path:
    return Path(settings.stack.data_dir) / "serve.log"


@pytest.fixture(scope="package")
def site(settings: Settings, log: Path) -> Iterator[Site]:
    bounds = {"sql_seconds_max": SQL_SECONDS_MAX, "sql_at_once_max": 1, "requests_per_s": 100_000}
    more = [word for name, value in bounds.items() for word in ("--set", f"serve.{name}={value}")]
    with serving(settings, *more, log=log) as found:
        yield found
    text = log.read_text()
    assert found.token not in text
    assert "Traceback" not in text, text[text.index("Traceback") :][:3_000]


@pytest.fixture(autouse=True)
def the_server_is_well_afterwards(site: Site) -> Iterator[None]:
    process = psutil.Process(site.pid)
    before = process.memory_info().rss
    yield
    until(lambda: is_well(site), "the server is well")
    assert process.memory_info().rss - before < GROWTH_BYTES_MAX


def is_well(site: Site) -> bool:
    with suppress(OSError, http.client.HTTPException, ValueError):
        return site.ask("/api/v1/info")[0] == 200
    return False
