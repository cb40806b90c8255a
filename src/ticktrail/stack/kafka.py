"""The embedded Kafka: one process that is broker and controller (KRaft), on loopback."""

from __future__ import annotations

import base64
import uuid

from ticktrail.stack.health import kafka_answers
from ticktrail.stack.server import (
    LOG_FILE_MIB,
    LOG_FILES,
    MIB,
    Layout,
    Ports,
    ServerClassPath,
    ServerPlan,
    heap_mib,
    java_properties,
    write_file,
)

__all__ = ["NODE_ID", "format_flags", "needs_format", "plan_kafka", "write_kafka_config"]

NODE_ID = 1
BESIDE_HEAP_MIB = 350
"""What the process holds beside its heap: classes and compiled code 130, archive of classes 65, network
buffers 64, thread stacks 30, mapped index files and the JVM itself 60."""
DIRECT_MIB = 64
METASPACE_MIB = 128
HEAP_MIB_MIN = 192

PROPERTIES = """\
process.roles=broker,controller
node.id={node_id}
controller.quorum.voters={node_id}@127.0.0.1:{controller_port}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs={log_dir}

# One broker: a single copy of everything, and few partitions of the internal topics.
default.replication.factor=1
min.insync.replicas=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1

# Topics are made on purpose, never by a typing mistake; a group starts without waiting for more members.
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
# A stage that was killed is taken for gone after 6 s instead of 45; only then do others get its partitions.
group.consumer.min.heartbeat.interval.ms=500
group.consumer.heartbeat.interval.ms=1000
group.consumer.min.session.timeout.ms=3000
group.consumer.session.timeout.ms=6000

# A laptop: few threads, bounded memory.
num.network.threads=2
num.io.threads=4
background.threads=4
num.recovery.threads.per.data.dir=2
group.coordinator.threads=1
share.coordinator.threads=1
queued.max.request.bytes={queue_bytes}
socket.request.max.bytes={request_bytes}
log.cleaner.dedupe.buffer.size={dedupe_bytes}
"""

LOG4J = """\
status=error
appender.file.type=RollingFile
appender.file.name=file
appender.file.fileName={path}
appender.file.filePattern={path}.%i
appender.file.layout.type=PatternLayout
appender.file.layout.pattern=%d{{ISO8601}} %-5p %m (%c)%n
appender.file.policies.type=SizeBasedTriggeringPolicy
appender.file.policies.size={size_mib}MB
appender.file.strategy.type=DefaultRolloverStrategy
appender.file.strategy.max={older}
rootLogger.level=info
rootLogger.appenderRef.file.ref=file
# Hundreds of lines at each start that repeat the configuration.
logger.config.name=org.apache.kafka.common.config
logger.config.level=warn
"""


def plan_kafka(layout: Layout, jars: ServerClassPath, ports: Ports, memory_mib: int) -> ServerPlan:
    """Say how Kafka is started so that it stays within `memory_mib` of resident memory."""
    heap = heap_mib(memory_mib, BESIDE_HEAP_MIB, HEAP_MIB_MIN, "stack.kafka_memory_mib")
    return ServerPlan(
        name="kafka",
        title="Kafka",
        version=jars.version,
        port=ports.kafka,
        port_setting="stack.kafka_port",
        main="kafka.Kafka",
        class_path=jars.class_path,
        flags=(
            f"-Xms{min(128, heap)}m",
            f"-Xmx{heap}m",
            f"-XX:MaxDirectMemorySize={DIRECT_MIB}m",
            f"-XX:MaxMetaspaceSize={METASPACE_MIB}m",
            "-XX:ReservedCodeCacheSize=64m",
            "-Xss512k",
            "-XX:+UseG1GC",
            "-XX:MaxGCPauseMillis=20",
            f"-Dlog4j2.configurationFile={layout.conf_dir / 'kafka-log4j2.properties'}",
        ),
        arguments=(str(layout.conf_dir / "kafka.properties"),),
        answers=kafka_answers,
    )


def write_kafka_config(layout: Layout, ports: Ports) -> None:
    """Write Kafka's configuration and that of its log."""
    properties = PROPERTIES.format(
        node_id=NODE_ID,
        port=ports.kafka,
        controller_port=ports.kafka_controller,
        log_dir=layout.kafka_dir,
        queue_bytes=64 * MIB,
        request_bytes=32 * MIB,
        dedupe_bytes=16 * MIB,  # the default of 128 MiB would take a third of the heap
    )
    write_file(layout.conf_dir / "kafka.properties", java_properties(properties))
    log4j = LOG4J.format(path=layout.log_path("kafka"), size_mib=LOG_FILE_MIB, older=LOG_FILES - 1)
    write_file(layout.conf_dir / "kafka-log4j2.properties", java_properties(log4j))


def needs_format(layout: Layout) -> bool:
    """Return whether the storage was never formatted."""
    return not (layout.kafka_dir / "meta.properties").exists()


def format_flags(layout: Layout, class_path: str) -> list[str]:
    """Return the Java arguments that format the storage, as Kafka demands once before the first start.

    Writing the files ourselves was rejected: without the feature levels of the bootstrap checkpoint the
    KIP-848 consumer protocol would be off.
    """
    cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "_")
    return [
        "-Xmx128m",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "-cp",
        class_path,
        "kafka.tools.StorageTool",
        "format",
        "--ignore-formatted",
        "--cluster-id",
        cluster_id,
        "--config",
        str(layout.conf_dir / "kafka.properties"),
    ]
