"""A way to Kafka that can be cut and mended.

Clients learn the broker's address from the broker itself; here it is replaced by the proxy's own in
everything that the broker says. Both addresses have one length on the wire, so nothing else changes.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

from tcp_proxy import TcpProxy


class KafkaProxy(TcpProxy):
    """Forwards to one broker, under an address of its own."""

    def __init__(self, bootstrap: str) -> None:
        host, _, port = bootstrap.rpartition(":")
        super().__init__(host, int(port))
        self.bootstrap = f"{host}:{self.port}"
        # As in Metadata responses: host, then a port of four bytes.
        self._theirs = host.encode() + struct.pack(">i", int(port))
        self._ours = host.encode() + struct.pack(">i", self.port)

    def transformed(self, source: socket.socket, data: bytes) -> bytes:
        is_brokers = source.getpeername()[1] == self._target[1]
        return data.replace(self._theirs, self._ours) if is_brokers else data


@contextmanager
def kafka_proxy(bootstrap: str) -> Iterator[KafkaProxy]:
    proxy = KafkaProxy(bootstrap)
    try:
        yield proxy
    finally:
        proxy.close()
