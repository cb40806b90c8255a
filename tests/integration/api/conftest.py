"""One server of the API with three tokens, and a pipeline beside it, for all tests here."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from api_kit import FULL, TOKENS, kinds_that_run
from fixtures_servers import Servers, new_settings, prepared
from serve_kit import DEADLINE_S, TICKTRAIL, Site, flags_of_alerts, pipeline, serving, until

from ticktrail.config import Settings


@pytest.fixture(scope="package")
def settings(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return prepared(new_settings(servers, tmp_path_factory.mktemp("api")))


@pytest.fixture(scope="package")
def toml(settings: Settings) -> Path:
    path = Path(settings.stack.data_dir) / "ticktrail.toml"
    path.write_text(TOKENS)
    return path


@pytest.fixture(scope="package")
def site(settings: Settings, toml: Path) -> Iterator[Site]:
    # One question at a time, so that there is one child; and no budget that hides what is looked for.
    more = ("--set", "serve.sql_at_once_max=1", "--set", "serve.requests_per_s=100000")
    with serving(settings, "--config", str(toml), *more, token=FULL) as found:
        yield found


@pytest.fixture(scope="package")
def run(settings: Settings, site: Site, toml: Path) -> Iterator[None]:
    """Run the whole pipeline, and the evaluation of alerts."""
    command = [*TICKTRAIL, "alerts", "--config", str(toml), *flags_of_alerts(settings)]
    with (
        pipeline(settings, "--rate", "50", "--symbols", "5"),
        subprocess.Popen(command, stdin=subprocess.DEVNULL) as alerts,
    ):
        try:
            until(lambda: len(site.get("/api/v1/symbols")["symbols"]) >= 5, "the symbols are known")
            until(lambda: {"alerts", "persist"} <= set(kinds_that_run(site)), "the stages run")
            yield
        finally:
            alerts.terminate()
            alerts.wait(DEADLINE_S)
