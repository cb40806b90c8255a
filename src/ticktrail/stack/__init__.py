"""The embedded stack: a real Kafka and a real Cassandra with `pip` alone.

`Stack` fetches the server jars (each verified against `jars.lock`), finds a Java 17, writes the
configurations, starts both servers on loopback, and stops them.
"""

from ticktrail.stack.lifecycle import SERVERS, Stack
from ticktrail.stack.progress import Progress, silent
from ticktrail.stack.state import DownReport, Endpoints, ServerEndpoint, ServerStatus, StackStatus

__all__ = [
    "SERVERS",
    "DownReport",
    "Endpoints",
    "Progress",
    "ServerEndpoint",
    "ServerStatus",
    "Stack",
    "StackStatus",
    "silent",
]
