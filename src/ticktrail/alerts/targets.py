"""Where notifications go: services through apprise, and signed webhooks; addresses come from the settings.

A webhook is a POST of the alert as JSON, signed as https://www.standardwebhooks.com describes, so that
libraries of many languages check it:

- ``webhook-id``: the alert's id. It comes more than once where an answer was lost: keep it, and pass over
  repeats.
- ``webhook-timestamp``: seconds since 1970, when this try was made. Refuse what is minutes old.
- ``webhook-signature``: ``v1,`` and, in base64, HMAC-SHA256 over ``ID.TIMESTAMP.BODY`` with the secret. Of a
  secret that begins with ``whsec_`` the rest is base64; any other is taken as it is, in UTF-8.

Any answer 2xx counts as delivered. Redirects are not followed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import http.client
import importlib
import logging
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import msgspec

from ticktrail.clock import NS_PER_SECOND, Clock
from ticktrail.config import AlertsSettings, AlertTarget, Secret
from ticktrail.config.layers import secret_from_file
from ticktrail.errors import ConfigError, Unreachable
from ticktrail.model import Alert

__all__ = ["Target", "Webhook", "signature", "targets_of"]

_TIMEOUT_S = 10.0
# Trying again does not help: the request itself is refused.
_REFUSALS = frozenset({400, 401, 403, 404, 405, 410, 413, 415, 422})


class Target(Protocol):
    """Somebody who is notified.

    `send` is called by one thread, with one alert after the other; it may block for some seconds. An alert
    may come again, with the same id, when an answer was lost or the process died.
    """

    @property
    def name(self) -> str:
        """By which rules name it."""
        ...

    def send(self, alert: Alert) -> None:
        """Deliver an alert.

        Raises
        ------
        Unreachable
            Trying again may help.
        ConfigError
            It will not.
        """
        ...


class Webhook:
    """A signed webhook.

    Parameters
    ----------
    url
        Of http or https.
    secret
        Known to the receiver, too.
    """

    def __init__(self, name: str, url: Secret, secret: Secret, clock: Clock) -> None:
        self.name = name
        self._url = url
        self._key = _key_of(name, secret)
        self._clock = clock
        self._host = urllib.parse.urlsplit(url.reveal()).netloc.rpartition("@")[2]
        if urllib.parse.urlsplit(url.reveal()).scheme not in ("http", "https") or not self._host:
            raise _wrong_target(name, "its url is none of http or https", "Mend it in [[alerts.targets]].")
        self._opener = urllib.request.build_opener(_NoRedirect)

    def send(self, alert: Alert) -> None:
        body = msgspec.json.encode(alert)
        timestamp = str(self._clock.now_ns() // NS_PER_SECOND)
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "ticktrail",
            "webhook-id": alert.id,
            "webhook-timestamp": timestamp,
            "webhook-signature": signature(self._key, alert.id, timestamp, body),
        }
        # The scheme was checked above.
        request = urllib.request.Request(self._url.reveal(), body, headers, method="POST")  # noqa: S310
        try:
            with self._opener.open(request, timeout=_TIMEOUT_S) as answer:
                answer.read(1)
        except urllib.error.HTTPError as error:
            error.close()
            why = f"it answered {error.code}"
            if error.code in _REFUSALS:
                raise _wrong_target(self.name, why, "Check its url and secret.") from None
            raise self._away(why) from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = error.reason if isinstance(error, urllib.error.URLError) else error
            raise self._away(type(reason).__name__) from None

    def _away(self, why: str) -> Unreachable:
        # The rest of the address may hold a key.
        return Unreachable(
            what=f"The target {self.name} took no notification",
            why=why,
            service=self.name,
            address=self._host,
        )


class _Apprise:
    """Any service that apprise knows."""

    def __init__(self, name: str, url: Secret) -> None:
        self.name = name
        # Here, as it brings a second of imports along that only stages with such targets need.
        try:
            apprise: Any = importlib.import_module("apprise")
        except ImportError:
            raise _wrong_target(
                name, "apprise is not installed", "Run `pip install ticktrail[notify]`."
            ) from None
        self._apprise = apprise
        self._service = apprise.Apprise()
        with _silenced("apprise"):  # it would log an address that it does not know, with its secrets
            is_known = self._service.add(url.reveal())
        if not is_known:
            raise _wrong_target(
                name, "apprise knows no such address", "See https://github.com/caronc/apprise for the forms."
            )

    def send(self, alert: Alert) -> None:
        kinds = {"info": "info", "warning": "warning", "critical": "failure"}
        # As plain text: what a rule's author wrote is no markup of the service.
        is_sent = self._service.notify(
            title=f"{alert.severity}: {alert.rule}",
            body=f"{alert.message}\n{alert.id}",
            notify_type=kinds.get(alert.severity, "info"),
            body_format="text",
        )
        if not is_sent:
            raise Unreachable(
                what=f"The target {self.name} took no notification",
                why="apprise could not deliver it; its log says why",
                service=self.name,
                address=self.name,
            )


@contextmanager
def _silenced(name: str) -> Iterator[None]:
    logger = logging.getLogger(name)
    was_disabled, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = was_disabled


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def targets_of(settings: AlertsSettings, clock: Clock) -> list[Target]:
    """Make the targets of the settings.

    Raises
    ------
    ConfigError
        One is wrong, two have one name, or a file cannot be read.
    """
    made: list[Target] = []
    for target in settings.targets:
        if target.name in {each.name for each in made}:
            raise _wrong_target(target.name, "there are two of this name", "Give each its own name.")
        made.append(_made(target, clock))
    return made


def signature(key: bytes, id_: str, timestamp: str, body: bytes) -> str:
    """Sign a webhook: ``v1,`` and base64. Source: Standard Webhooks, "Signature scheme", read in 2026-11."""
    signed = b".".join((id_.encode(), timestamp.encode(), body))
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


def _made(target: AlertTarget, clock: Clock) -> Target:
    url = _secret(target, "url", target.url, target.url_file)
    if target.kind == "apprise":
        return _Apprise(target.name, url)
    secret = _secret(target, "secret", target.secret, target.secret_file)
    return Webhook(target.name, url, secret, clock)


def _secret(target: AlertTarget, key: str, value: Secret, file: str) -> Secret:
    if not file:
        return value
    entry = secret_from_file(file, f"alerts.targets.{target.name}.{key}", "[[alerts.targets]]")
    found: Secret = entry.value
    return found


def _key_of(name: str, secret: Secret) -> bytes:
    text = secret.reveal()
    if not text.startswith("whsec_"):
        return text.encode()
    try:
        return base64.b64decode(text.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        raise _wrong_target(name, "its secret is no base64", "Give it as the receiver showed it.") from None


def _wrong_target(name: str, why: str, next_step: str) -> ConfigError:
    return ConfigError(
        what=f"The target {name} cannot be notified",
        why=why,
        next_step=next_step,
        key="alerts.targets",
        source="settings",
    )
