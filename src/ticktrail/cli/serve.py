"""`ticktrail serve`: the page and the API."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import uvicorn

from ticktrail.bus import ensure_topics
from ticktrail.cli.listen import listen
from ticktrail.cli.options import FILE, child_options, load_settings, settings_options
from ticktrail.cli.stage import stage, stop_with_parent
from ticktrail.clock import Clock, SystemClock
from ticktrail.config import Settings
from ticktrail.dashboard.app import make_app
from ticktrail.dashboard.doorstep import Doorstep, LiveDoor
from ticktrail.dashboard.guard import Guard
from ticktrail.dashboard.service import Service

__all__ = ["serve_command"]

_LOOK_S = 0.1
_GRACE_S = 3
# The live stream is asked for by names, 20,000 at most.
_MESSAGE_BYTES_MAX = 4 * 1024**2


@click.command("serve")
@settings_options
@child_options
@click.option("--token-file", type=FILE, hidden=True, help="Holds the token of this run.")
def serve_command(stage_name: str | None, is_child: bool, token_file: Path | None, **options: Any) -> None:
    """Serve the page, the HTTP API and the live stream until Ctrl-C.

    Without [[serve.tokens]] in ticktrail.toml each run makes a token of its own, which the printed address
    carries, and listens on loopback only.

    Example: ticktrail serve --set serve.port=8600
    """
    settings = load_settings(**options).settings
    clock = SystemClock()
    with stage("serve", settings, clock, name=stage_name) as stop:
        if is_child:
            stop_with_parent()
        ensure_topics(settings.kafka, stop=stop)
        if not stop.is_set():
            run_token = token_file.read_text(encoding="ascii") if token_file is not None else None
            asyncio.run(_serve(settings, clock, stop, run_token))


class _Server(uvicorn.Server):
    """Leaves signals to the stage."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _serve(settings: Settings, clock: Clock, stop: threading.Event, run_token: str | None) -> None:
    serve = settings.serve
    guard = Guard(serve, clock, run_token)
    listener = listen(serve.host, serve.port)
    port = listener.getsockname()[1]
    app = make_app(Service(settings, clock), guard, clock)
    server = _Server(
        uvicorn.Config(
            app,
            log_config=None,
            http=Doorstep,
            ws=LiveDoor,
            ws_max_size=_MESSAGE_BYTES_MAX,
            # 76 us a message and client, where a row of the market is encoded for all of them together.
            ws_per_message_deflate=False,
            lifespan="on",
            # What proxies say of a client's address is believed by nobody: it would be another budget.
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=_GRACE_S,
        )
    )
    host = f"[{serve.host}]" if ":" in serve.host else serve.host
    query = f"?token={guard.run_token}" if guard.run_token else ""
    running = asyncio.create_task(server.serve(sockets=[listener]))
    is_told = False
    while not stop.is_set() and not running.done():
        await clock.sleep(_LOOK_S)
        if server.started and not is_told:
            is_told = True
            click.echo(f"The page is at http://{host}:{port}/{query}")
    server.should_exit = True
    await running
