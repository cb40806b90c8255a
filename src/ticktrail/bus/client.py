"""What producer, consumer and admin share: librdkafka's configuration and its errors in our terms."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any, TypeVar

from confluent_kafka import KafkaError, KafkaException

from ticktrail.clock import NS_PER_SECOND, SystemClock
from ticktrail.config import KafkaSettings
from ticktrail.errors import ConfigError, Overloaded, SchemaMismatch, TicktrailError, Unreachable
from ticktrail.telemetry import get_logger

__all__ = ["MESSAGE_BYTES_MAX", "WATCHED", "is_away", "is_news", "new_client", "translated"]

Client = TypeVar("Client")

_log = get_logger("bus")

# Dead letters and raw frames are kept whole: twice the largest frame of any feed, with room for headers.
MESSAGE_BYTES_MAX = 16 * 1024 * 1024

_REFUSED = {
    KafkaError.SASL_AUTHENTICATION_FAILED,
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError._AUTHENTICATION,
    KafkaError._SSL,
}
_MISSING = {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION}
_AWAY = {
    KafkaError._TRANSPORT,
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._RESOLVE,
    KafkaError._TIMED_OUT,
    KafkaError._MSG_TIMED_OUT,
    KafkaError.NETWORK_EXCEPTION,
}


# librdkafka reports the same outage dozens of times a second.
_REPORT_AGAIN_NS = 10 * NS_PER_SECOND
# Of a client that is polled all the time: how often it says what it is connected to, by which the end of an
# outage is seen. In one that is not polled these words would pile up.
WATCHED = {"statistics.interval.ms": 2_000}
# Address → why it was last out of reach: "connection refused" is said to the reporter only, while the call
# that fails says "transport failure". As many entries as clusters that this process speaks to.
_causes: dict[str, KafkaError] = {}
# Addresses of which nothing answers.
_away: set[str] = set()
# Of what librdkafka logs itself: lost connections, which the reporter is told of as well; and that a broker
# which has just started gives no producer's number yet, which is asked for again.
_NO_NEWS = {"FAIL", "ERROR", "GETPID"}
# Address and trouble → when a reporter, of whichever client, tells it again.
_due_ns: dict[tuple[str, str], int] = {}


def is_news(record: logging.LogRecord) -> bool:
    """Tell whether a line of librdkafka's own log says something that is not said otherwise; a log filter."""
    return not (isinstance(record.args, tuple) and record.args and record.args[0] in _NO_NEWS)


# Where nobody has set up logging, Python would print librdkafka's own lines beside our errors.
logging.getLogger("librdkafka").addHandler(logging.NullHandler())
logging.getLogger("librdkafka").addFilter(is_news)


def new_client(
    make: Callable[[dict[str, Any]], Client], settings: KafkaSettings, more: dict[str, Any] | None = None
) -> Client:
    """Make a client of librdkafka.

    Parameters
    ----------
    make
        The client's class.
    more
        Of its configuration, besides how to reach Kafka.

    Raises
    ------
    ConfigError
        No Kafka is known, or librdkafka cannot begin with these settings: a certificate that cannot be read,
        a mechanism that it does not have.
    """
    try:
        return make(_client_config(settings) | (more or {}))
    except KafkaException as error:
        raise ConfigError(
            what="Kafka cannot be spoken to as the settings say",
            why=error.args[0].str(),
            next_step="Check the [kafka] settings: security_protocol, sasl_mechanism, user, password, tls_*.",
            key="kafka",
            source="settings",
        ) from error


def _client_config(settings: KafkaSettings) -> dict[str, Any]:
    """Build the part of librdkafka's configuration that says how to reach Kafka.

    Raises
    ------
    ConfigError
        No Kafka is known.
    """
    if not settings.bootstrap_servers:
        raise ConfigError(
            what="No Kafka is known",
            why="kafka.bootstrap_servers is empty and no embedded Kafka is running",
            next_step="Start one with `ticktrail up`, or set TICKTRAIL_KAFKA__BOOTSTRAP_SERVERS.",
            key="kafka.bootstrap_servers",
            source="default",
        )
    reporter = _Reporter(settings.bootstrap_servers)
    config: dict[str, Any] = {
        "bootstrap.servers": settings.bootstrap_servers,
        "security.protocol": settings.security_protocol,
        "error_cb": reporter,
        "stats_cb": reporter.look,
        "logger": logging.getLogger("librdkafka"),
        # Reconnecting at once to a broker that restarts spares most of the outage; the cap keeps it polite.
        "reconnect.backoff.ms": 50,
        "reconnect.backoff.max.ms": 2_000,
        "socket.nagle.disable": True,
    }
    optional = {
        "sasl.mechanism": settings.sasl_mechanism,
        "sasl.username": settings.user,
        "sasl.password": settings.password.reveal(),
        "ssl.ca.location": settings.tls_ca_file,
        "ssl.certificate.location": settings.tls_certificate_file,
        "ssl.key.location": settings.tls_key_file,
    }
    return config | {key: value for key, value in optional.items() if value}


def translated(error: KafkaError | KafkaException, address: str) -> TicktrailError:
    """Say librdkafka's error in ticktrail's terms."""
    cause = error.args[0] if isinstance(error, KafkaException) else error
    if cause.code() in _AWAY:
        cause = _causes.get(address, cause)
    code, why = cause.code(), cause.str()
    if code in _REFUSED:
        return ConfigError(
            what=f"Kafka at {address} refused the login or the request",
            why=why,
            next_step="Check the [kafka] settings: security_protocol, sasl_mechanism, user, password, tls_*.",
            key="kafka.security_protocol",
            source="settings",
        )
    if code in _MISSING:
        return SchemaMismatch(
            what=f"Kafka at {address} lacks a topic",
            why=why,
            next_step="Any ticktrail command that writes creates what is missing; restart the stage.",
        )
    if code in _AWAY:
        return Unreachable(
            what=f"Cannot reach Kafka at {address}",
            why=why,
            next_step="Start it with `ticktrail up`, or set TICKTRAIL_KAFKA__BOOTSTRAP_SERVERS.",
            service="Kafka",
            address=address,
        )
    return Overloaded(what=f"Kafka at {address} did not carry out the request", why=why, service="Kafka")


def is_away(address: str) -> bool:
    """Tell whether no broker was to be reached when a `WATCHED` client of this process last saw to it."""
    return address in _away


class _Reporter:
    """Logs what a client meets while it reconnects by itself; runners see lasting trouble as time-outs."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._clock = SystemClock()

    def __call__(self, error: KafkaError) -> None:
        if error.code() == KafkaError._ALL_BROKERS_DOWN:
            _away.add(self._address)
            return  # why, was said before
        if error.code() in _AWAY | _REFUSED:
            _causes[self._address] = error
        now_ns = self._clock.monotonic_ns()
        trouble = self._address, error.name()
        if now_ns >= _due_ns.get(trouble, now_ns):
            _due_ns[trouble] = now_ns + _REPORT_AGAIN_NS
            _log.warning("kafka.error", code=error.name(), detail=error.str())

    def look(self, statistics: str) -> None:
        """Say once that Kafka answers again, whichever client sees it first."""
        if self._address not in _away:
            return
        if any(broker["state"] == "UP" for broker in json.loads(statistics)["brokers"].values()):
            _away.discard(self._address)
            _log.info("kafka.reachable", address=self._address)
