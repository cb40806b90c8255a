"""The embedded Cassandra: one node on loopback, tuned for a laptop that ingests ticks."""

from __future__ import annotations

from ticktrail.stack.health import cassandra_answers
from ticktrail.stack.server import (
    LOG_FILE_MIB,
    LOG_FILES,
    Layout,
    Ports,
    ServerClassPath,
    ServerPlan,
    heap_mib,
    write_file,
)

__all__ = ["plan_cassandra", "write_cassandra_config"]

BESIDE_HEAP_MIB = 750
"""What the process holds beside its heap: mapped commit log 256, direct buffers up to 192, classes and
compiled code 150, archive of classes 70, the collector's and the JVM's own tables and stacks 80."""
DIRECT_MIB = 192
NETWORKING_MIB = 96
COMMIT_LOG_MIB = 256
HEAP_MIB_MIN = 512
MEMTABLE_SHARE = 0.25

YAML = """\
cluster_name: ticktrail
num_tokens: 1
partitioner: org.apache.cassandra.dht.Murmur3Partitioner
endpoint_snitch: SimpleSnitch
dynamic_snitch: false
hinted_handoff_enabled: false
seed_provider:
  - class_name: org.apache.cassandra.locator.SimpleSeedProvider
    parameters:
      - seeds: "127.0.0.1:{storage_port}"

listen_address: 127.0.0.1
storage_port: {storage_port}
rpc_address: 127.0.0.1
native_transport_port: {port}

data_file_directories: ["{directory}/data"]
commitlog_directory: "{directory}/commitlog"
saved_caches_directory: "{directory}/saved_caches"
hints_directory: "{directory}/hints"
cdc_raw_directory: "{directory}/cdc_raw"

# Kafka is the write-ahead log: an offset is committed only after this lag has passed.
commitlog_sync: periodic
commitlog_sync_period: 1s
commitlog_segment_size: 32MiB
commitlog_total_space: {commit_log_mib}MiB

storage_compatibility_mode: NONE
sstable:
  selected_format: bti
memtable:
  configurations:
    trie:
      class_name: TrieMemtable
    default:
      inherits: trie
memtable_allocation_type: heap_buffers
memtable_heap_space: {memtable_mib}MiB

# A server that cannot write must say so and go, not serve on with a part of its data.
disk_failure_policy: die
commit_failure_policy: die
# Dropped tables are gone: nobody would find their snapshots, and they would fill the disk.
auto_snapshot: false

# Batches of several partitions up to the failure limit (50 KiB) are how the store writes: no word about each.
batch_size_warn_threshold: 50KiB
unlogged_batch_across_partitions_warn_threshold: 100000

# Room for a laptop's pauses: the machine sleeps, compiles, or collects garbage.
read_request_timeout: 10s
range_request_timeout: 20s
write_request_timeout: 5s
cas_contention_timeout: 5s
request_timeout: 20s
native_transport_timeout: 20s

# Few threads, bounded memory. The caches of keys and counters serve formats and types that are not used.
concurrent_reads: 16
concurrent_writes: 32
native_transport_max_threads: 64
concurrent_compactors: 2
compaction_throughput: 64MiB/s
networking_cache_size: {networking_mib}MiB
key_cache_size: 0MiB
counter_cache_size: 0MiB
materialized_views_enabled: false
user_defined_functions_enabled: false
"""

LOGBACK = """\
<configuration>
  <statusListener class="ch.qos.logback.core.status.NopStatusListener"/>
  <appender name="FILE" class="ch.qos.logback.core.rolling.RollingFileAppender">
    <file>{path}</file>
    <rollingPolicy class="ch.qos.logback.core.rolling.FixedWindowRollingPolicy">
      <fileNamePattern>{path}.%i</fileNamePattern>
      <minIndex>1</minIndex>
      <maxIndex>{older}</maxIndex>
    </rollingPolicy>
    <triggeringPolicy class="ch.qos.logback.core.rolling.SizeBasedTriggeringPolicy">
      <maxFileSize>{size_mib}MB</maxFileSize>
    </triggeringPolicy>
    <encoder>
      <pattern>%d{{ISO8601}} %-5level [%thread] %msg \\(%logger{{30}}\\)%n</pattern>
    </encoder>
  </appender>
  <root level="INFO"><appender-ref ref="FILE"/></root>
  <!-- One line of 15 kB at each start. -->
  <logger name="org.apache.cassandra.config.Config" level="WARN"/>
</configuration>
"""

MODULE_FLAGS = (
    "-Djdk.attach.allowAttachSelf=true",
    "--add-exports=java.base/jdk.internal.misc=ALL-UNNAMED",
    "--add-exports=java.base/java.lang.ref=ALL-UNNAMED",
    "--add-exports=java.management.rmi/com.sun.jmx.remote.internal.rmi=ALL-UNNAMED",
    "--add-exports=java.rmi/sun.rmi.registry=ALL-UNNAMED",
    "--add-exports=java.rmi/sun.rmi.server=ALL-UNNAMED",
    "--add-exports=java.sql/java.sql=ALL-UNNAMED",
    "--add-exports=jdk.unsupported/sun.misc=ALL-UNNAMED",
    "--add-opens=java.base/java.io=ALL-UNNAMED",
    "--add-opens=java.base/java.lang=ALL-UNNAMED",
    "--add-opens=java.base/java.lang.module=ALL-UNNAMED",
    "--add-opens=java.base/java.lang.reflect=ALL-UNNAMED",
    "--add-opens=java.base/java.util=ALL-UNNAMED",
    "--add-opens=java.base/jdk.internal.loader=ALL-UNNAMED",
    "--add-opens=java.base/jdk.internal.math=ALL-UNNAMED",
    "--add-opens=java.base/jdk.internal.module=ALL-UNNAMED",
    "--add-opens=java.base/jdk.internal.ref=ALL-UNNAMED",
    "--add-opens=java.base/jdk.internal.reflect=ALL-UNNAMED",
    "--add-opens=java.base/jdk.internal.util.jar=ALL-UNNAMED",
    "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
    "--add-opens=jdk.management/com.sun.management.internal=ALL-UNNAMED",
    "-Dio.netty.tryReflectionSetAccessible=true",
)
"""Source: conf/jvm17-server.options of Cassandra 5.0, read for 5.0.9."""

START_FLAGS = (
    # One node has nobody to wait for: each of these defaults costs seconds of a start or a stop.
    "-Dcassandra.skip_wait_for_gossip_to_settle=0",
    "-Dcassandra.ring_delay_ms=0",
    "-Dcassandra.superuser_setup_delay_ms=0",
    "-Dcassandra.shutdown_announce_in_ms=0",
    "-Dcassandra-foreground=yes",
)


def plan_cassandra(layout: Layout, jars: ServerClassPath, ports: Ports, memory_mib: int) -> ServerPlan:
    """Say how Cassandra is started so that it stays within `memory_mib` of resident memory."""
    heap = _heap_mib(memory_mib)
    return ServerPlan(
        name="cassandra",
        title="Cassandra",
        version=jars.version,
        port=ports.cassandra,
        port_setting="stack.cassandra_port",
        main="org.apache.cassandra.service.CassandraDaemon",
        class_path=jars.class_path,
        flags=(
            f"-Xms{min(256, heap)}m",
            f"-Xmx{heap}m",
            f"-XX:MaxDirectMemorySize={DIRECT_MIB}m",
            "-XX:ReservedCodeCacheSize=96m",
            "-Xss512k",
            # Two cores have none to spare for G1's refinement threads: a row costs half as much again.
            "-XX:+UseParallelGC",
            *MODULE_FLAGS,
            *START_FLAGS,
            f"-Dcassandra.config={(layout.conf_dir / 'cassandra.yaml').as_uri()}",
            f"-Dcassandra.storagedir={layout.cassandra_dir}",
            f"-Dlogback.configurationFile={layout.conf_dir / 'cassandra-logback.xml'}",
        ),
        arguments=(),
        answers=cassandra_answers,
    )


def write_cassandra_config(layout: Layout, ports: Ports, memory_mib: int) -> None:
    """Write Cassandra's configuration and that of its log."""
    yaml = YAML.format(
        port=ports.cassandra,
        storage_port=ports.cassandra_storage,
        directory=layout.cassandra_dir,
        commit_log_mib=COMMIT_LOG_MIB,
        networking_mib=NETWORKING_MIB,
        memtable_mib=int(_heap_mib(memory_mib) * MEMTABLE_SHARE),
    )
    write_file(layout.conf_dir / "cassandra.yaml", yaml)
    logback = LOGBACK.format(path=layout.log_path("cassandra"), size_mib=LOG_FILE_MIB, older=LOG_FILES - 1)
    write_file(layout.conf_dir / "cassandra-logback.xml", logback)


def _heap_mib(memory_mib: int) -> int:
    return heap_mib(memory_mib, BESIDE_HEAP_MIB, HEAP_MIB_MIN, "stack.cassandra_memory_mib")
