"""An installation for tests of the page: recorded trades, a simulated market, alerts, the page's server."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from fixtures_servers import flags_of

from ticktrail.clock import SystemClock
from ticktrail.config import Settings
from ticktrail.query import Engine
from ticktrail.store import StoreSession, connect

DEADLINE_S = 120.0
TOKEN = "a-token-for-tests-of-the-page"
# What a vendor, or somebody between, might send as a symbol.
MARKUP_SYMBOL = "<img/src=x/onerror=alert(1)>"
# A symbol whose seconds fill more than one request of the page.
LONG_SYMBOL = "LONG"
LONG_BARS = 1_300
SYMBOLS = 25

T = TypeVar("T")


def until(condition: Callable[[], T], what: str) -> T:
    """Wait for a condition; give what it gave."""
    deadline = time.monotonic() + DEADLINE_S
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(0.1)  # the pause of a wait with a deadline
    return found


def find_browser() -> str | None:
    """Give the path of an installed Chromium; None where Playwright's own must do."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((path for name in names if (path := shutil.which(name))), None)


class Scene:
    """The installation's processes. Made once for a module.

    Attributes
    ----------
    address
        Host and port of the page.
    """

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.address = ""
        self.engine: Engine
        self._folder = folder
        self._settings = settings
        self._flags = flags_of(settings)
        self._session: StoreSession | None = None
        self._server: subprocess.Popen[str] | None = None
        self._others: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def url(self) -> str:
        return f"http://{self.address}/?token={TOKEN}"

    def start(self) -> None:
        """Import what was recorded, then start everything."""
        self._session = connect(self._settings.store)
        self.engine = Engine(self._session)
        self._import()
        self.start_server()
        self._start("alerts", "alerts")
        options = ["--symbols", str(SYMBOLS), "--rate", "250", "--headless", "--no-page"]
        self._start("market", "run", "--feed", "sim", *options)
        known = "SELECT symbol FROM latest WHERE feed = 'sim'"
        until(lambda: len(self.rows(known)) == SYMBOLS, "all symbols trade")

    def start_server(self) -> None:
        """Start the page's server; again at the same address."""
        port = self.address.rpartition(":")[2] or "0"
        config = self._folder / "serve.toml"
        config.write_text(
            f'[[serve.tokens]]\nname = "tests"\ntoken = "{TOKEN}"\nscopes = ["read", "sql", "alerts"]\n'
        )
        command = self._command("serve", "--config", str(config), "--set", f"serve.port={port}")
        with (self._folder / "serve.log").open("ab") as log:
            self._server = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=log, stdin=subprocess.DEVNULL, text=True
            )
        assert self._server.stdout is not None
        line = self._server.stdout.readline()
        assert "http://" in line, (line, (self._folder / "serve.log").read_text()[-2_000:])
        self.address = line.split()[-1].removeprefix("http://").partition("/")[0]

    def kill_server(self) -> None:
        """End the page's server as nothing but a power failure would."""
        assert self._server is not None
        assert self._server.stdout is not None
        self._server.kill()
        self._server.wait()
        self._server.stdout.close()

    def stop_market(self) -> None:
        """End the exchange, and wait until everything of it is stored and rebuilt."""
        if (market := self._others.pop("market", None)) is not None:
            market.send_signal(signal.SIGINT)
            assert market.wait(DEADLINE_S) == 0, (self._folder / "market.log").read_text()[-2_000:]

    def stop(self) -> None:
        self.stop_market()
        for process in self._others.values():
            process.terminate()
            process.wait(DEADLINE_S)
        if self._server is not None and self._server.poll() is None:
            self._server.terminate()
            self._server.communicate(timeout=DEADLINE_S)
        self.engine.close()
        if self._session is not None:
            self._session.close()

    def rows(self, query: str) -> list[dict[str, Any]]:
        """Ask the store, in this process."""
        found: list[dict[str, Any]] = self.engine.sql(query, scan_all=True).arrow().to_pylist()
        return found

    def bars(self, feed: str, symbol: str, interval: str) -> list[dict[str, Any]]:
        """Give all stored bars of a symbol, with their opening in seconds."""
        found = self.engine.read("bars", symbols=symbol, feed=feed, interval=interval).to_pylist()
        return [{**bar, "open_s": int(bar["ts"].timestamp())} for bar in found]

    def _import(self) -> None:
        from_s = SystemClock().now_ns() // 10**9 - LONG_BARS - 3_600
        lines = ["symbol,ts_event_ns,price,size"]
        for second in range(LONG_BARS):
            price = 100 + 3 * (second % 97) / 97 - second % 7 / 10
            lines += [f"{LONG_SYMBOL},{(from_s + second) * 10**9 + 5 * 10**8},{price:.2f},{1 + second % 300}"]
        lines += [f"{MARKUP_SYMBOL},{(from_s + second) * 10**9},10.5,100" for second in range(3)]
        path = self._folder / "recorded.csv"
        path.write_text("\n".join(lines) + "\n")
        subprocess.run(
            self._command("import", str(path), "--feed-name", "recorded"),
            check=True,
            capture_output=True,
            timeout=DEADLINE_S,
        )

    def _start(self, name: str, *arguments: str) -> None:
        with (self._folder / f"{name}.log").open("ab") as log:
            self._others[name] = subprocess.Popen(
                self._command(*arguments), stdout=subprocess.DEVNULL, stderr=log, stdin=subprocess.DEVNULL
            )

    def _command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "ticktrail", *arguments, *self._flags]
