"""Ask a server whether it serves: one request of its own protocol over a plain socket.

No client library is used, because only the `bus` and `store` rooms may import one, and because a probe that
is sent every 20 ms during a start must cost next to nothing.
"""

from __future__ import annotations

import socket
import struct

__all__ = ["cassandra_answers", "kafka_answers"]

TIMEOUT_S = 2.0
LOOPBACK = "127.0.0.1"
REPLY_BYTES_MAX = 1 << 16
CORRELATION_ID = 0x7469636B


def kafka_answers(port: int) -> bool:
    """Return whether the broker on that loopback port knows itself as alive.

    Sends a Metadata request of version 1 for no topic. ApiVersions would show that the port speaks Kafka, but
    it is answered before the controller has let the broker in, when a topic cannot be made yet.

    Source
    ------
    Kafka protocol guide, Metadata API (key 3) version 1, read for Kafka 4.3.
    """
    # size, api key 3, version 1, correlation id, null client id (-1), empty array of topics
    request = struct.pack(">ihhihi", 14, 3, 1, CORRELATION_ID, -1, 0)
    try:
        with socket.create_connection((LOOPBACK, port), TIMEOUT_S) as connection:
            connection.settimeout(TIMEOUT_S)
            connection.sendall(request)
            (size_bytes,) = struct.unpack(">i", _receive(connection, 4))
            if not 8 <= size_bytes <= REPLY_BYTES_MAX:
                return False
            reply = _receive(connection, size_bytes)
    except OSError:
        return False
    correlation_id, brokers = struct.unpack_from(">ii", reply)
    return bool(correlation_id == CORRELATION_ID and brokers >= 1)


def cassandra_answers(port: int) -> bool:
    """Return whether the node on that loopback port answers CQL's OPTIONS with SUPPORTED.

    Source
    ------
    CQL binary protocol v4, sections 2 (frame header), 4.1.3 (OPTIONS) and 4.2.4 (SUPPORTED).
    """
    try:
        with socket.create_connection((LOOPBACK, port), TIMEOUT_S) as connection:
            connection.settimeout(TIMEOUT_S)
            # version 4, no flags, stream 1, opcode 5 (OPTIONS), empty body
            connection.sendall(struct.pack(">BBhBi", 4, 0, 1, 5, 0))
            version, _flags, stream, opcode, _size = struct.unpack(">BBhBi", _receive(connection, 9))
    except OSError:
        return False
    return bool(version == 0x84 and stream == 1 and opcode == 6)


def _receive(connection: socket.socket, size_bytes: int) -> bytes:
    """Read exactly so many bytes.

    Raises
    ------
    OSError
        When the connection ends first.
    """
    received = b""
    while len(received) < size_bytes:
        piece = connection.recv(size_bytes - len(received))
        if not piece:
            raise ConnectionError
        received += piece
    return received
