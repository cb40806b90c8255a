"""Who may ask: tokens and their scopes, and on loopback the host and origin of the request.

Beyond loopback nothing is answered without a token. On loopback a page of another site could reach us
through the user's own browser: by a name that resolves to 127.0.0.1 (DNS rebinding), by a form, by a
websocket, to which no same-origin rule applies. So a request must name this server as its host, and where a
browser tells an origin, it must be ours; and it needs the token, which the printed URL carries, and a cookie
from then on.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from ipaddress import ip_address
from typing import NamedTuple
from urllib.parse import parse_qs, quote, unquote, urlsplit

from ticktrail.clock import Clock
from ticktrail.config import ServeSettings
from ticktrail.dashboard.budget import Budget
from ticktrail.errors import UsageError

__all__ = ["SCOPES", "Guard", "Refusal", "is_loopback"]

_COOKIE = "ticktrail_token"
SCOPES = ("read", "sql", "alerts")
# The page needs a dozen requests when it opens, and several may open at once.
_BURST_S = 3.0
_CLIENTS_MAX = 10_000


class Refusal(NamedTuple):
    """Why a request is not answered."""

    status: int
    reason: str
    what: str
    next_step: str


class Guard:
    """Judges requests by their headers.

    Parameters
    ----------
    serve
        Where the server listens, its names, its tokens. Without any, a token of this run is made, on
        loopback only.
    run_token
        What to use where the settings have no tokens; None makes one.

    Attributes
    ----------
    run_token
        The token of this run; None where the settings have tokens.

    Raises
    ------
    UsageError
        The server would listen beyond loopback without a token.
    """

    def __init__(self, serve: ServeSettings, clock: Clock, run_token: str | None = None) -> None:
        host, allowed_hosts = serve.host, serve.allowed_hosts
        known = {each.token.reveal(): frozenset[str](each.scopes) for each in serve.tokens}
        if not known and not is_loopback(host):
            raise UsageError(
                what=f"{host} can be reached from other machines, and no token is set",
                next_step="Set one under [[serve.tokens]] in ticktrail.toml (ticktrail serve --help), "
                "or listen at 127.0.0.1.",
            )
        self.run_token = None if known else run_token or secrets.token_urlsafe(24)
        self._tokens = known or {self.run_token or "": frozenset(SCOPES)}
        self._clock = clock
        names = {host, *allowed_hosts}
        if is_loopback(host):
            names |= {"127.0.0.1", "localhost", "::1"}
        self._hosts = None if host in {"0.0.0.0", "::"} and not set(allowed_hosts) else names  # noqa: S104
        self._per_s = serve.requests_per_s
        self._budgets: dict[str, Budget] = {}

    def check_place(self, headers: Mapping[str, str]) -> Refusal | None:
        """Judge where a request says that it goes to and comes from; for every path."""
        host = headers.get("host", "")
        if self._hosts is not None and _name(host) not in self._hosts:
            return Refusal(
                403,
                "host",
                f"This server is not {host!r}",
                "Call it by its own name, or set serve.allowed_hosts.",
            )
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != host:
            return Refusal(
                403, "origin", f"A page of {origin!r} may not ask here", "Open the page of this server."
            )
        if (
            headers.get("sec-fetch-site") in {"cross-site", "same-site"}
            and headers.get("sec-fetch-mode") != "navigate"
        ):
            return Refusal(
                403, "origin", "A page of another site may not ask here", "Open the page of this server."
            )
        return None

    def scopes(self, headers: Mapping[str, str], query: str) -> frozenset[str] | None:
        """Find what the request's token allows; None where it has none that is known."""
        given = self._given(headers, query)
        if given is None:
            return None
        found = None
        for token, scopes in self._tokens.items():  # all of them: the time taken tells nothing
            if hmac.compare_digest(token.encode(), given.encode("utf-8", "surrogateescape")):
                found = scopes
        return found

    def is_too_much(self, client: str) -> bool:
        """Count a request of a client; tell whether there were too many."""
        now_ns = self._clock.monotonic_ns()
        if len(self._budgets) > _CLIENTS_MAX:
            self._budgets.clear()
        budget = self._budgets.get(client)
        if budget is None:
            budget = self._budgets[client] = Budget(self._per_s, self._per_s * _BURST_S, now_ns)
        return budget.is_spent(now_ns)

    def cookie(self, headers: Mapping[str, str], query: str) -> str:
        """Give the cookie that stands for the token of an address from then on."""
        token = self._given({}, query) or ""
        # Tokens of the settings may hold what a cookie may not.
        return f"{_cookie_name(headers)}={quote(token, safe='')}; Path=/; HttpOnly; SameSite=Strict"

    @staticmethod
    def _given(headers: Mapping[str, str], query: str) -> str | None:
        kind, _, token = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and token:
            return token.strip()
        asked = parse_qs(query).get("token")
        if asked:
            return asked[0]
        try:
            morsel = SimpleCookie(headers.get("cookie", "")).get(_cookie_name(headers))
        except CookieError:
            return None
        return None if morsel is None else unquote(morsel.value)


def is_loopback(host: str) -> bool:
    """Tell whether only this machine reaches an address."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _cookie_name(headers: Mapping[str, str]) -> str:
    """Name the cookie after the port: browsers send a host's cookies to all of its ports."""
    _, _, port = headers.get("host", "").rpartition("]")[2].rpartition(":")
    return f"{_COOKIE}_{port}" if port.isascii() and port.isdigit() else _COOKIE


def _name(host: str) -> str:
    """Take the port off a host header."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if ":" in host else host
