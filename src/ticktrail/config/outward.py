"""Settings of what looks outward: alerts and the page."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from ticktrail.config.fields import BatchMilliseconds, Count, Name, Port, Seconds, Section
from ticktrail.config.secret import Secret

__all__ = ["AlertTarget", "AlertsSettings", "ServeSettings", "ServeToken", "Watchlist"]

_TOKEN_CHARACTERS_MIN = 16


class Watchlist(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A named list of symbols; rules name it as ``"@tech"``.

    Parameters
    ----------
    name
        Letters, digits, dashes.
    symbols
        Canonical.
    """

    name: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{1,40}$")]
    symbols: tuple[Name, ...]


class AlertTarget(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where alerts are sent to.

    Parameters
    ----------
    name
        By which rules name it.
    kind
        ``"apprise"`` (mail, chats, desktop: https://appriseit.com) or ``"webhook"`` (signed, see docs).
    url, url_file
        The service's address with its credentials, or the file that holds it.
    secret, secret_file
        Of a webhook: its signature is made with it.
    """

    name: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{1,40}$")]
    kind: Literal["apprise", "webhook"] = "apprise"
    url: Secret = Secret("")
    url_file: str = ""
    secret: Secret = Secret("")
    secret_file: str = ""

    def __post_init__(self) -> None:
        if bool(self.url) == bool(self.url_file):
            raise ValueError("a target needs either url or url_file")
        if (self.kind == "webhook") != bool(self.secret or self.secret_file):
            raise ValueError("webhooks need a secret or secret_file, and other targets have none")


class AlertsSettings(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rules on the live data, and whom they notify.

    Parameters
    ----------
    group
        Consumer group; that of the notifiers has ``-notify`` behind it.
    batch_ms
        How long records are gathered in Kafka before they are evaluated together.
    poll_records_max
        Records taken from Kafka at once.
    snapshot_ms
        How often the evaluation's state is stored; after a crash it goes on from the last one.
    rules
        ``[[alerts.rules]]``; checked by the alerts themselves.
    watchlists
        ``[[alerts.watchlists]]``.
    targets
        ``[[alerts.targets]]``.
    notify_tries_max
        After so many a notification becomes a dead letter.
    notify_age_s_max
        Alerts older than that are recorded, and nobody is notified any more.
    """

    group: Name = "ticktrail-alerts"
    batch_ms: BatchMilliseconds = 20
    poll_records_max: Count = 20_000
    snapshot_ms: Annotated[int, msgspec.Meta(ge=100, le=600_000)] = 5_000
    rules: tuple[dict[str, Any], ...] = ()
    watchlists: tuple[Watchlist, ...] = ()
    targets: tuple[AlertTarget, ...] = ()
    notify_tries_max: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 8
    notify_age_s_max: Seconds = 3_600.0


class ServeToken(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who may ask the server of the page.

    Parameters
    ----------
    name
        For logs.
    token
        What is sent as ``Authorization: Bearer …``.
    scopes
        ``"read"`` (live and stored data), ``"sql"``, ``"alerts"`` (change rules, acknowledge).
    """

    name: Name
    token: Secret
    scopes: tuple[Literal["read", "sql", "alerts"], ...] = ("read",)

    def __post_init__(self) -> None:
        if len(self.token.reveal()) < _TOKEN_CHARACTERS_MIN:
            raise ValueError(f"the token of {self.name} has fewer than {_TOKEN_CHARACTERS_MIN} characters")


class ServeSettings(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The page and the API.

    Parameters
    ----------
    host
        Where to listen. Beyond loopback only with tokens.
    port
        0 takes a free one.
    tokens
        ``[[serve.tokens]]``; without any, each run makes one of its own, for loopback only.
    allowed_hosts
        Names that the server is called by besides its own: behind a proxy.
    requests_per_s
        How many requests a client (an address) may make a second, lastingly; three seconds' worth at once.
        Behind a proxy all people are one client.
    sql_seconds_max, sql_rows_max, sql_at_once_max
        Bounds of questions in SQL.
    """

    host: Name = "127.0.0.1"
    port: Port = 8600
    tokens: tuple[ServeToken, ...] = ()
    allowed_hosts: tuple[Name, ...] = ()
    requests_per_s: Annotated[float, msgspec.Meta(ge=1, le=100_000)] = 40.0
    sql_seconds_max: Seconds = 30.0
    sql_rows_max: Annotated[int, msgspec.Meta(ge=1, le=10_000_000)] = 100_000
    sql_at_once_max: Annotated[int, msgspec.Meta(ge=1, le=64)] = 2
