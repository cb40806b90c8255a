"""Kafka's own producer performance tool, run with the jars and the Java of the embedded stack."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from ticktrail.clock import SystemClock
from ticktrail.config import KafkaSettings, StackSettings
from ticktrail.stack import silent
from ticktrail.stack.fetch import JarStore
from ticktrail.stack.java import find_java
from ticktrail.stack.lock import Jar, JarLock, ServerJars, load_lock

__all__ = ["PerfTool", "steady_rate_of"]

# The tool's own jar is not needed to run a broker, and so is not in the stack's lock. All else that it needs
# is what the broker needs.
_JAR = Jar(
    coordinate="org.apache.kafka:kafka-tools:4.3.1",
    size_bytes=698668,
    sha256="62f3c5dd7aa3442d4c5bc6a95f86e2502178ea09de8e27f74d9563bf955e253c",
)
_HEAP = "-Xmx512M"  # as kafka-producer-perf-test.sh has it
_TIMEOUT_S = 600
_RATE = re.compile(r"(\d+) steady state records sent, ([\d.]+) records/sec")


class PerfTool:
    """Runs the tool; its jar is fetched at first use.

    Parameters
    ----------
    kafka
        The broker.
    properties
        Of the producer, as Java has them.
    """

    def __init__(self, kafka: KafkaSettings, properties: Mapping[str, str]) -> None:
        stack = StackSettings()  # of the user, whose cache of jars it is
        nothing = ServerJars(version="", roots=(), jars=())
        tools = ServerJars(version="", roots=(_JAR.coordinate,), jars=(_JAR,))
        broker = load_lock().kafka
        clock, cache_dir = SystemClock(), Path(stack.cache_dir).expanduser()
        store = JarStore(JarLock(kafka=tools, cassandra=nothing), cache_dir, clock)
        store.ensure(silent)
        class_path = f"{store.server(broker).class_path}:{store.server(tools).class_path}"
        java = find_java(stack.java_home).path
        self._command = [java, _HEAP, "-cp", class_path, "org.apache.kafka.tools.ProducerPerformance"]
        self._command += ["--bootstrap-server", kafka.bootstrap_servers, "--throughput", "-1"]
        self._command += ["--command-property", *(f"{name}={value}" for name, value in properties.items())]

    def run(self, topic: str, records: int, warm_up_records: int, *payload: str) -> tuple[int, float]:
        """Send records as fast as possible.

        Parameters
        ----------
        payload
            ``--record-size N`` or ``--payload-file PATH``.

        Returns
        -------
        How many it sent after its warm-up, and the seconds that it says these took.
        """
        counts = ("--num-records", str(warm_up_records + records), "--warmup-records", str(warm_up_records))
        command = [*self._command, "--topic", topic, *counts, *payload]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
        assert ran.returncode == 0, ran.stderr[-2_000:]
        return steady_rate_of(ran.stdout)


def steady_rate_of(output: str) -> tuple[int, float]:
    """Read the tool's last word: how many records after the warm-up, in how many seconds."""
    found = _RATE.findall(output)
    assert found, output[-2_000:]
    records, per_s = found[-1]
    return int(records), int(records) / float(per_s)
