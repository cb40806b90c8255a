"""The server: page, API, live stream, behind one guard."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import msgspec
from litestar import Litestar, MediaType, Request, Response, Router, WebSocket, get
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.exceptions import HTTPException, PermissionDeniedException, WebSocketDisconnect
from litestar.handlers import BaseRouteHandler, websocket
from litestar.static_files import create_static_files_router
from litestar.types import ASGIApp, Receive, Scope, Send
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from ticktrail.clock import Clock
from ticktrail.dashboard.alert_routes import ALERT_ROUTES
from ticktrail.dashboard.answers import Health, Problem
from ticktrail.dashboard.channel import Channel, ClientGone
from ticktrail.dashboard.document import API, openapi_config
from ticktrail.dashboard.guard import Guard, Refusal
from ticktrail.dashboard.metrics import REFUSED
from ticktrail.dashboard.routes import ROUTES
from ticktrail.dashboard.service import Service
from ticktrail.errors import NotFound, Overloaded, QueryError, TicktrailError, UsageError, WriteRejected
from ticktrail.telemetry import get_logger
from ticktrail.telemetry.exporter import prometheus_registry

__all__ = ["make_app"]

_log = get_logger("serve")

PAGE = Path(__file__).with_name("page")
# Nothing of the page comes from elsewhere, and nothing may be put into it.
_HEADERS = {
    "content-security-policy": "default-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
_OPEN = ("/healthz",)
# The longest question in SQL, in characters of four bytes, each escaped.
_BODY_BYTES_MAX = 1024**2
_KINDS = ("http", "websocket")
_OUR_OWN = ("the SQL endpoint", "the rule test")
_FOREIGN = 4003
_CLOSE_CODES = {401: 4001, 429: 4029}
# What who asks can mend; everything else is ours, and may pass.
_THEIRS = (UsageError, QueryError, WriteRejected)


def make_app(service: Service, guard: Guard, clock: Clock) -> ASGIApp:
    """Put the server together. The guard stands before the router: a stranger learns of no path."""

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        del app
        await service.start()
        try:
            yield
        finally:
            await service.stop()

    api = Router(API, route_handlers=[*ROUTES, *ALERT_ROUTES, live])
    page = (
        [create_static_files_router("/", [PAGE], html_mode=True, include_in_schema=False)]
        if PAGE.is_dir()
        else [no_page]
    )
    app = Litestar(
        [api, health, metrics, *page],
        lifespan=[lifespan],
        state=State({"service": service, "clock": clock, "registry": prometheus_registry()}),
        guards=[_allow],
        exception_handlers={
            TicktrailError: _told,
            HTTPException: _refused,
            RecursionError: _too_deep,
            Exception: _broken,
        },
        openapi_config=openapi_config(),
        request_max_body_size=_BODY_BYTES_MAX,
        logging_config=None,
    )
    return _Door(app, guard)


@get("/healthz", summary="Whether the market is followed; needs no token", opt={"scope": None})
async def health(state: State) -> Response[Health]:
    """Tell supervisors whether the market is being followed: 200, else 503."""
    trouble = state.service.trouble
    return Response(Health(is_healthy=trouble is None), status_code=200 if trouble is None else 503)


@get("/metrics", media_type=MediaType.TEXT, summary="What this process counts, as Prometheus reads it")
async def metrics(state: State) -> Response[bytes]:
    """Give what this process counts, as Prometheus reads it."""
    return Response(generate_latest(state.registry), media_type=CONTENT_TYPE_LATEST)


@get("/", include_in_schema=False, media_type="text/plain")
async def no_page() -> str:
    """Say that this installation has no page."""
    return "The page was not built into this installation; the API is described at /api/v1/openapi.json."


@websocket("/live")
async def live(socket: WebSocket[Any, Any, State]) -> None:
    """Stream what is live; the protocol stands in `ticktrail.dashboard.channel`."""
    await socket.accept()
    state = socket.app.state
    await Channel(state.service.hub, _Socket(socket), state.clock).run()


class _Socket:
    """A websocket of Litestar as the channel wants it."""

    def __init__(self, socket: WebSocket[Any, Any, State]) -> None:
        self._socket = socket

    async def send(self, text: bytes) -> None:
        try:
            await self._socket.send_data(text.decode(), mode="text")
        except (WebSocketDisconnect, RuntimeError, OSError) as error:
            raise ClientGone from error

    async def receive(self) -> bytes | str:
        try:
            found: str = await self._socket.receive_text()
        except (WebSocketDisconnect, RuntimeError) as error:
            raise ClientGone from error
        return found

    async def close(self, code: int, reason: str) -> None:
        try:
            await self._socket.close(code, reason)
        except (WebSocketDisconnect, RuntimeError, OSError):
            return  # it has gone by itself


class _Door:
    """Lets requests in, as the guard has it; stands around everything."""

    def __init__(self, app: ASGIApp, guard: Guard) -> None:
        self._app = app
        self._guard = guard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in _KINDS:
            await self._app(scope, receive, send)
            return
        send = _with_headers(send)
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]
        }
        refusal = self._judge(scope, headers)
        if refusal is not None:
            REFUSED.inc(reason=refusal.reason)
            await _refuse(scope, receive, send, refusal)
            return
        query = scope.get("query_string", b"").decode("latin-1")
        is_http = str(scope["type"]) == "http"
        if is_http and scope["path"] == "/" and "token" in parse_qs(query):
            await _set_cookie(send, self._guard.cookie(headers, query))
            return
        await self._app(scope, receive, send)

    def _judge(self, scope: Any, headers: dict[str, str]) -> Refusal | None:
        guard, path = self._guard, scope["path"]
        if (refusal := guard.check_place(headers)) is not None:
            return refusal
        client = scope.get("client") or ("", 0)
        if guard.is_too_much(str(client[0])):
            return Refusal(429, "rate", "Too many requests", "Wait a moment.")
        if "\0" in path:
            return Refusal(400, "path", "There is no such path", "Write it without NUL.")
        takes_query = path in {"/", f"{API}/live"}
        query = scope.get("query_string", b"").decode("latin-1") if takes_query else ""
        scopes = guard.scopes(headers, query)
        if scopes is None and path in _OPEN:
            scopes = frozenset()
        if scopes is None:
            return Refusal(
                401,
                "token",
                "A token is needed",
                "Open the address that `ticktrail serve` has printed, or send Authorization: Bearer TOKEN.",
            )
        # Of requests the routes know the scope: by its path, one could be written in several ways.
        if scope["type"] == "websocket" and "read" not in scopes:
            return Refusal(403, "scope", "This token does not allow 'read'", "Use another token.")
        scope.setdefault("state", {})["scopes"] = sorted(scopes)
        return None


async def _refuse(scope: Any, receive: Receive, send: Send, refusal: Refusal) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept", "subprotocol": None, "headers": []})
        code = _CLOSE_CODES.get(refusal.status, _FOREIGN)
        await send({"type": "websocket.close", "code": code, "reason": refusal.what})
        return
    body = msgspec.json.encode(_error(refusal.what, "", refusal.next_step))
    headers = [(b"content-type", b"application/json")]
    if refusal.status == 401:
        headers.append((b"www-authenticate", b'Bearer realm="ticktrail"'))
    if refusal.status == 429:
        headers.append((b"retry-after", b"1"))
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def _set_cookie(send: Send, cookie: str) -> None:
    headers = [
        (b"location", b"/"),
        (b"set-cookie", cookie.encode("ascii")),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": 303, "headers": headers})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def _with_headers(send: Send) -> Send:
    async def sending(message: Any) -> None:
        if message["type"] == "http.response.start":
            more = [(name.encode(), value.encode()) for name, value in _HEADERS.items()]
            message = {**message, "headers": [*message.get("headers", ()), *more]}
        await send(message)

    return sending


def _allow(connection: ASGIConnection[Any, Any, Any, State], handler: BaseRouteHandler) -> None:
    """Let through what the token allows; what a route needs stands in its `opt`."""
    needed = handler.opt.get("scope", "read")
    if needed is not None and needed not in connection.scope["state"].get("scopes", ()):
        REFUSED.inc(reason="scope")
        raise PermissionDeniedException(f"This token does not allow {needed!r}")


def _told(request: Request[Any, Any, State], error: TicktrailError) -> Response[Problem]:
    del request
    status = 400 if isinstance(error, _THEIRS) else 503
    if isinstance(error, NotFound):
        status = 404
    elif isinstance(error, Overloaded) and error.service in _OUR_OWN:
        status = 429
    return Response(_error(error.what, error.why, error.next_step), status_code=status)


def _refused(request: Request[Any, Any, State], error: HTTPException) -> Response[Problem]:
    del request
    extra = error.extra
    why = (
        "; ".join(f"{each.get('key', '')}: {each.get('message', '')}" for each in extra)
        if isinstance(extra, list)
        else ""
    )
    return Response(
        _error(error.detail, why, f"See {API}/openapi.json."),
        status_code=error.status_code,
        headers=error.headers,
    )


def _too_deep(request: Request[Any, Any, State], error: RecursionError) -> Response[Problem]:
    del request, error
    return Response(_error("The body is nested too deeply", "", f"See {API}/openapi.json."), status_code=400)


def _broken(request: Request[Any, Any, State], error: Exception) -> Response[Problem]:
    _log.error("serve.request_failed", path=request.url.path, exc_info=error)
    return Response(
        _error("The server failed at this request", "a bug", "Its log has the details."), status_code=500
    )


def _error(what: str, why: str, next_step: str) -> Problem:
    return {"error": {"what": what, "why": why, "next_step": next_step}}
