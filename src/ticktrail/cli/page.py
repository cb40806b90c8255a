"""The page of a supervised pipeline: its server as a child, at an address that survives a restart."""

from __future__ import annotations

import os
import secrets
import threading
from pathlib import Path
from typing import IO

from ticktrail.cli.children import Children
from ticktrail.cli.listen import listen
from ticktrail.config import ServeSettings
from ticktrail.errors import PortTaken
from ticktrail.telemetry import run_dir

__all__ = ["PageStage"]

_FILE = "page.token"


class PageStage:
    """Starts the stage `serve`, and learns where it listens.

    The token of the run stands in a file that the user alone can read, for as long as the run lasts: a server
    that was killed and started again has the same one, so that open pages find it.

    Attributes
    ----------
    url
        With the token; None until the server listens.
    """

    def __init__(self, settings: ServeSettings, data_dir: Path) -> None:
        self.url: str | None = None
        self._settings = settings
        self._token_path = run_dir(data_dir) / _FILE

    def start(self, children: Children, options: tuple[str, ...]) -> None:
        """Start it; `url` is set some seconds later."""
        self._write_token()
        port = _free_port(self._settings)
        child = children.start(
            "serve",
            *("serve", "--token-file", str(self._token_path), *options, "--set", f"serve.port={port}"),
            is_vital=False,
            capture_output=True,
        )
        assert child.process is not None
        assert child.process.stdout is not None
        threading.Thread(target=self._read, args=(child.process.stdout,), name="page", daemon=True).start()

    def close(self) -> None:
        """Forget the token."""
        self._token_path.unlink(missing_ok=True)

    def _write_token(self) -> None:
        self._token_path.parent.mkdir(parents=True, exist_ok=True)
        self._token_path.unlink(missing_ok=True)
        # Never readable by others, not even for a moment.
        handle = os.open(self._token_path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(24))

    def _read(self, output: IO[bytes]) -> None:
        line = output.readline().decode()
        if "http" in line:
            self.url = line[line.index("http") :].strip()


def _free_port(settings: ServeSettings) -> int:
    """Give the port of the settings, or where somebody else has it any other."""
    for port in (settings.port, 0):
        try:
            with listen(settings.host, port) as listener:
                found: int = listener.getsockname()[1]
                return found
        except PortTaken:
            continue
    return settings.port  # the server itself will say what is wrong
