"""The OpenAPI document: it lists every route, and schemathesis finds nothing that it does not say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest
from serve_kit import Site

from ticktrail.config import Settings
from ticktrail.dashboard.alert_routes import ALERT_ROUTES
from ticktrail.dashboard.routes import ROUTES

CONFIG = Path(__file__).resolve().parents[2] / "schemathesis.toml"
pytestmark = [pytest.mark.servers, pytest.mark.timeout(400)]


def test_the_document_lists_every_route(site: Site) -> None:
    document = site.get("/api/v1/openapi.json")
    listed = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    routes = {("GET", "/healthz"), ("GET", "/metrics")}
    for handler in [*ROUTES, *ALERT_ROUTES]:
        for path in handler.paths:
            written = f"/api/v1{path.replace(':str', '')}"
            routes |= {(method, written) for method in handler.http_methods if method != "OPTIONS"}
    assert listed == routes
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert operation["summary"], (method, path)
            content = operation["responses"].get("200", operation["responses"].get("201", {}))
            for media in content.get("content", {}).values():
                assert media["schema"], (method, path)


@pytest.mark.timeout(900)
def test_schemathesis_finds_nothing(site: Site, settings: Settings, tmp_path: Path) -> None:
    """All checks but those that its file leaves out, with the reasons."""
    command = [
        *(sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()"),
        *("--config-file", str(CONFIG), "--no-color", "run"),
        *(f"http://{site.address}/api/v1/openapi.json", "-H", f"Authorization: Bearer {site.token}"),
        *("--max-examples", "25", "--seed", "1", "--continue-on-failure", "--warnings", "off"),
        *("--request-timeout", "60", "--suppress-health-check", "all"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=880, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:]
    assert "19 selected / 19 total" in done.stdout
    assert site.get("/healthz") == {"is_healthy": True}
    # What it has made concerns only what it has asked for, but the evaluation would read it for ever.
    for rule in site.get("/api/v1/rules")["rules"]:
        if rule["source"] == "page":
            site.ask(f"/api/v1/rules/{quote(rule['name'], safe='')}", method="DELETE")
