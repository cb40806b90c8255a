"""Loopback ports: choose free ones, name who holds a taken one."""

from __future__ import annotations

import random
import socket
from collections.abc import Set as AbstractSet
from contextlib import suppress

import psutil

from ticktrail.errors import PortTaken, StackError

__all__ = ["choose_port", "demand_port", "holder_of", "is_free"]

FIRST_PORT, LAST_PORT = 20_000, 29_999
"""Below Linux's range for outgoing connections (32768 on): one of those could take a port that is only
remembered between `down` and `up`."""
TRIES = 200


def is_free(port: int) -> bool:
    """Return whether a server could listen on that port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def choose_port(remembered: int, taken: AbstractSet[int]) -> int:
    """Return the remembered port if it is still free, else another free one.

    Parameters
    ----------
    remembered
        Of the last start; 0 for none.
    taken
        Ports that the same start has already given away.
    """
    if remembered and remembered not in taken and is_free(remembered):
        return remembered
    for _ in range(TRIES):
        port = random.randint(FIRST_PORT, LAST_PORT)  # noqa: S311 - only to keep two stacks apart
        if port not in taken and is_free(port):
            return port
    raise StackError(
        what="Found no free port on 127.0.0.1",
        why=f"{TRIES} tries between {FIRST_PORT} and {LAST_PORT}",
        next_step="Set stack.kafka_port and stack.cassandra_port.",
    )


def demand_port(port: int, server: str, setting: str) -> int:
    """Return a port that the user gave.

    Raises
    ------
    PortTaken
        When another program listens there; it is named where the system tells.
    """
    if is_free(port):
        return port
    raise port_taken(port, server, setting)


def port_taken(port: int, server: str, setting: str) -> PortTaken:
    """Say who holds a port that a server wants."""
    return PortTaken(
        what=f"{server} cannot listen on 127.0.0.1:{port}",
        why=f"{holder_of(port) or 'another program'} listens there",
        next_step=f"Stop it, or give another port with {setting} (0 takes a free one).",
        port=port,
    )


def holder_of(port: int) -> str:
    """Return ``"name (pid 123)"`` of the process that listens on a port; empty where it cannot be told."""
    with suppress(psutil.Error):  # some systems let only root ask; the port is taken all the same
        for connection in psutil.net_connections("tcp"):
            if connection.laddr and connection.laddr.port == port and connection.status == psutil.CONN_LISTEN:
                if connection.pid is None:
                    return ""
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
    return ""
